# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs tests, one after the other, each in a host of its own.

TEST_SECONDS=300
TEST_RUNS=2	# of a test that the emulator has spoilt
LAB_LOGS=${XENTAP_LAB_LOGS:-$LAB_CACHE/logs}

# header TEST KEY DEFAULT: the value of a line "# KEY: value" at the top.
header()
{
	local value
	value=$(sed -n "1,10s/^# $2: *//p" "$1")
	echo "${value:-$3}"
}

# test_hosts TEST: the kinds of host it runs on.
test_hosts()
{
	if [ ${#HOSTS[@]} -gt 0 ]; then
		echo "${HOSTS[@]}"
	else
		header "$1" hosts "$HOST_DEFAULT"
	fi
}

# run_tests TEST...: one kind of host after the other, and adds them up.
run_tests()
{
	local test host hosts=() passed=0 failed=0 skipped=0
	mapfile -t GUEST_SUITES < <(guest_suites_of "$@")
	for test in "$@"; do
		[ -f "$test" ] || die "there is no test $test"
		for host in $(test_hosts "$test"); do
			[[ " ${hosts[*]} " == *" $host "* ]] || hosts+=("$host")
		done
	done
	for host in "${hosts[@]}"; do
		use_host "$host"
		for test in "$@"; do
			[[ " $(test_hosts "$test") " != *" $host "* ]] || run_and_count "$test"
		done
	done
	say "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

# A part of run_tests, whose counters it has.
run_and_count()
{
	run_test "$1"
	case $RESULT in
	pass) passed=$((passed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
	[ -z "${XENTAP_RESULTS-}" ] ||
		echo "$RESULT $(result_name "$1") $REASON" >>"$XENTAP_RESULTS"
}

result_name()
{
	local name
	name=$(basename "$1" .sh)
	[ "$HOST_NAME" = "$HOST_DEFAULT" ] || name+=@$HOST_NAME
	echo "$name"
}

# run_test TEST: RESULT is pass, fail or skip, REASON a few words.
run_test()
{
	local runs=0
	RESULT=again
	while [ "$RESULT" = again ] && [ "$runs" -lt "$TEST_RUNS" ] && ! time_is_over; do
		run_once "$1"
		runs=$((runs + 1))
	done
	[ "$RESULT" = again ] || return 0
	# Said every time, and no verdict on what was to be tested.
	RESULT=skip
	if [ "$runs" = 0 ]; then
		REASON="not begun: the time of this run (XENTAP_CHECK_UNTIL) is over"
	else
		REASON="no result $runs times: $REASON"
	fi
	echo "SKIP $(result_name "$1"): $REASON"
}

# Who must have ended by some time loses all results to a slow machine otherwise.
time_is_over() { [ "$(date +%s)" -ge "${XENTAP_CHECK_UNTIL:-$((2 ** 62))}" ]; }

# run_once TEST: RESULT may also be again: the test came to no result.
run_once()
{
	local test=$1 name machine begin status=0
	name=$(result_name "$test")
	resume_for "$test"
	say "---- $name"
	begin=$SECONDS
	run_in_dom0 "$machine" "$test" || status=$?
	collect_logs "$machine"
	machine_stop
	judge "$machine" "$status" "$(header "$test" "log may hold" "")"
	echo "${RESULT^^} $name ($((SECONDS - begin)) s)${REASON:+: $REASON}"
	[ "$RESULT" != fail ] || keep_logs "$machine" "$name"
	rm -rf "$machine"
}

# Tests that need nothing of this project run in the plain host, so that the
# lab can be checked whatever state the rest is in.
resume_for()
{
	if [ "$(header "$1" needs xentap)" = host ]; then
		[ -n "$PLAIN_PAYLOAD" ] || prepare_plain
		machine=$(machine_folder)
		machine_resume "$machine" "$IMAGE" "$HOST" "$PLAIN_PAYLOAD"
	else
		[ -n "$PROGRAMS" ] || prepare_xentap
		machine=$(machine_folder)
		machine_resume "$machine" "$IMAGE" "$PROGRAMS" "$PAYLOAD"
	fi
}

# run_in_dom0 MACHINE TEST: the test's status; 123 if it was never started.
run_in_dom0()
{
	local machine=$1 test=$2 limit
	limit=$(header "$test" "time limit" "$TEST_SECONDS")
	cat "$LAB_DIR/dom0/payload.sh" "$LAB_DIR/dom0/start-test.sh" >"$machine/script"
	machine_sh "$machine" 120 <"$machine/script" >"$machine/output" 2>&1 || {
		cat "$machine/output"
		return 123
	}
	# dom0's own time limit comes first, and lets the test clean up.
	machine_sh "$machine" $((limit + 40)) "$machine/output" <<-END
		cd /run/lab/source
		export XENTAP_PATIENCE=$HOST_PATIENCE XENTAP_LONG=${XENTAP_LONG-}
		timeout -k 20 $((limit * HOST_PATIENCE)) bash test/xen/$(basename "$test")
	END
}

# What is missing because the host is dead is missing.
collect_logs()
{
	local machine=$1
	mkdir "$machine/logs"
	machine_sh "$machine" 60 <"$LAB_DIR/dom0/collect.sh" >"$machine/logs.base64" || true
	base64 -d "$machine/logs.base64" 2>/dev/null | tar -C "$machine/logs" -xz 2>/dev/null || true
	cp "$machine"/{output,console.log,qemu.log} "$machine/logs/"
}

judge()
{
	local machine=$1 status=$2 expected=$3
	RESULT=fail
	case $status in
	0) RESULT=pass REASON= ;;
	76) RESULT=again REASON=$(said "$machine" AGAIN) ;;
	77) RESULT=skip REASON=$(said "$machine" SKIP) ;;
	123) REASON="the host could not be made ready for the test" ;;
	124) REASON="time limit reached" ;;
	125) REASON="the host died or rebooted" ;;
	137) REASON="time limit reached, and the test did not end by itself" ;;
	*) REASON=$(said "$machine" FAIL) ;;
	esac
	[ "$RESULT" = pass ] || REASON=${REASON:-status $status}
	if ! scan_logs "$machine/logs" "$expected"; then
		[ "$RESULT" = fail ] || REASON="trouble in a log"
		RESULT=fail
	fi
}

# said MACHINE WORD: what the test gave as its reason.
said() { sed -n "s/^$2: //p" "$1/output" | head -n 1; }

keep_logs()
{
	local kept
	kept=$LAB_LOGS/$(date +%Y%m%d-%H%M%S)-$2
	mkdir -p "$LAB_LOGS"
	mv "$1/logs" "$kept"
	say "logs of $2: $kept"
	find "$LAB_LOGS" -mindepth 1 -maxdepth 1 -printf '%T@ %p\n' | sort -rn |
		tail -n +21 | cut -d' ' -f2- | xargs -r rm -rf
}
