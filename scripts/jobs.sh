# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks that run side by side, one for each processor, and report one line each;
# with XENTAP_RESULTS they add "pass|fail|skip NAME REASON" to it. Sourced, by a
# shell with errexit.

JOBS=$(mktemp -d)	# one folder for each job
job_groups=()

stop_jobs()
{
	local group
	for group in "${job_groups[@]}"; do
		kill -TERM -- "-$group" 2>/dev/null || true
	done
	wait
	rm -rf "$JOBS"
}
trap stop_jobs EXIT
trap 'exit 143' TERM HUP
trap 'exit 130' INT

report()
{
	printf '%-5s %s%s\n' "$1" "$2" "${3:+: $3}"
	[ -z "${XENTAP_RESULTS-}" ] || echo "$1 $2 ${3-}" >>"$XENTAP_RESULTS"
	[ "$1" != fail ] || touch "$JOBS/failed"
}

# run_job NAME COMMAND...: the command runs in a subshell that has the job's NAME in
# JOB, and in FOLDER an empty folder.
run_job()
{
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n || true
	done
	# A process group of its own, to be stopped as one.
	set -m
	(
		set +m
		trap 'exit 143' TERM
		trap end_job EXIT
		JOB=$1
		FOLDER=$JOBS/$1
		shift
		mkdir "$FOLDER"
		"$@"
	) </dev/null &
	job_groups+=($!)
	set +m
}

# prepare REASON: if the job ends before it calls judge, it is skipped for this
# reason. Without one it has failed.
prepare() { REASON=${1-}; }

# judge pass|fail|skip [REASON]
judge()
{
	JUDGED=1
	report "$1" "$JOB" "${2-}"
}

end_job()
{
	cache_stop 2>/dev/null || true
	if [ -n "${JUDGED-}" ]; then
		return
	elif [ -n "${REASON-}" ]; then
		report skip "$JOB" "$REASON"
	else
		report fail "$JOB" "its check ended early"
	fi
}

# The status of all jobs, when they have ended.
finish_jobs()
{
	wait
	[ ! -e "$JOBS/failed" ]
}
