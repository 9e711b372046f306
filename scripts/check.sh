#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check.sh DOOR...: run the tests behind each door (lint, kernels, dkms, deb, unit,
# xen, long, debug) and add them up.
# The last line is "N passed, N failed, N skipped"; the status is 0 when none
# failed and at least one ran.

set -euo pipefail
cd "$(dirname "$0")/.."

results=$(mktemp)
trap 'rm -f "$results"' EXIT
# Each door appends lines "pass|fail|skip NAME REASON" to this file.
export XENTAP_RESULTS=$results

# A door that breaks before its first test must not pass for empty.
run_door()
{
	local door=$1 failed
	shift
	failed=$(grep -c '^fail ' "$results" || true)
	"$@" && return
	[ "$(grep -c '^fail ' "$results" || true)" != "$failed" ] ||
		echo "fail $door-door ended early, see above" >>"$results"
}

door_lint()
{
	run_door lint scripts/lint.sh
}

# as_root DOOR COMMAND...: root file systems are built and entered.
as_root()
{
	local door=$1 env=XENTAP_RESULTS,XENTAP_HEADERS_CACHE,XENTAP_LAB_CACHE,XENTAP_LAB_LOGS
	shift
	if [ "$(id -u)" = 0 ]; then
		run_door "$door" "$@"
	elif command -v sudo >/dev/null; then
		run_door "$door" sudo --preserve-env=$env,XENTAP_LAB_KEEP,XENTAP_LAB_MACHINES,XENTAP_LAB_PATIENCE,XENTAP_LONG,XENTAP_CHECK_UNTIL "$@"
	else
		echo "fail $door-door needs root: run it as root or install sudo" >>"$results"
	fi
}

door_kernels()
{
	as_root kernels scripts/check-kernels.sh
}

door_dkms()
{
	as_root dkms scripts/check-dkms.sh
}

door_deb()
{
	as_root deb scripts/check-deb.sh
}

door_unit()
{
	# Many wait more than they work.
	run_door unit make --no-print-directory -C test/unit -j$((2 * $(nproc))) check
}

door_xen()
{
	as_root xen test/lab/lab run "${xen_tests[@]}"
	# A kernel that looks for faults, if it was compiled before.
	if test/lab/lab has --host debug; then
		as_root debug test/lab/lab run --host debug test/xen/module.sh
	fi
}

door_debug()
{
	as_root debug test/lab/lab run --host debug "${debug_tests[@]}"
}

# Those that do more if they may take longer, and those that are run here only.
door_long()
{
	XENTAP_LONG=1 as_root long test/lab/lab run test/xen/module-reload.sh \
		test/xen/module-hostile.sh test/xen/frontends.sh test/xen/driver-domain.sh \
		test/xen/pvgrub.sh \
		"${long_tests[@]}"
	as_root pv12 test/lab/lab run --host pv12 "${pv12_tests[@]}"
}

# All scripts there but the libraries.
xen_tests=()
long_tests=()
for file in test/xen/*.sh; do
	if grep -qx '# long: yes' "$file"; then
		long_tests+=("$file")
	elif [[ $file != test/xen/lib* ]]; then
		xen_tests+=("$file")
	fi
done
mapfile -t pv12_tests < <(grep -lx '# debian 12: yes' test/xen/*.sh)
mapfile -t debug_tests < <(grep -lx '# debug: yes' test/xen/*.sh)

for door in "$@"; do
	"door_$door"
done

count() { grep -c "^$1 " "$results" || true; }

grep -e '^fail ' -e '^skip ' "$results" | sed 's/^/  /' || true
echo "$(count pass) passed, $(count fail) failed, $(count skip) skipped"
[ "$(count fail)" = 0 ] && [ "$(count pass)" != 0 ]
