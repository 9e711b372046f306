#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# long: yes
#
# A hostile guest costs only itself: beside one that floods its disk with events or with
# requests that are refused, a good guest gets nearly the throughput that it has beside one
# that only computes.  A guest that writes to xenstore without end keeps xenstored busy,
# whatever disks it has; what is compared is one that does it where tapback looks with one
# that does it where nobody does.

# shellcheck source=test/xen/hostile.bash
. "$(dirname "$0")/hostile.bash"

WINDOW=${WINDOW:-8}	# seconds measured
ROUNDS=${ROUNDS:-3}
AT_LEAST=80		# percent
FLOODS=(flood_events flood_bad_requests flood_bad_grants)

now_us() { echo "${EPOCHREALTIME//[.,]/}"; }

# Milliseconds of processor time that process $1 has had.
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) * 1000 / hz) }' "/proc/$1/stat"; }

# Where dom0's time went, to explain what is measured: tapback, the bad guest's tapdisk,
# xenstored.
cpu_of_all()
{
	local pid
	for pid in "$TAPBACK_PID" "$BAD_PID" $(pidof xenstored || pidof oxenstored); do
		cpu_ms "$pid"
	done | paste -sd' '
}

# beside LOAD: RATE, the good guest's sectors a second while the bad one does that.
beside()
{
	local sectors us before now
	flood_begin "$1"
	read -ra before <<<"$(cpu_of_all)"
	sectors=$(good_sectors) us=$(now_us)
	sleep "$WINDOW"
	sectors=$(($(good_sectors) - sectors)) us=$(($(now_us) - us))
	bad_floods || fail "the bad guest ended $1 before it was measured"
	RATE=$((sectors * 1000000 / us))
	read -ra now <<<"$(cpu_of_all)"
	echo "$1: $RATE sectors a second; in $((us / 1000)) ms tapback ran" \
		"$((now[0] - before[0])), the bad tapdisk $((now[1] - before[1]))," \
		"xenstored $((now[2] - before[2]))"
	flood_end "$1"
	assert_same_daemons "$1"
}

# compare QUIET FLOOD...: close together, so that what else the machine does comes to all
# of them.
compare()
{
	local flood quiet
	beside "$1"
	quiet=$RATE
	[ "$quiet" -gt 0 ] || fail "the good guest did nothing beside $1"
	for flood in "${@:2}"; do
		beside "$flood"
		echo $((RATE * 100 / quiet)) >>"$WORK/$flood"
	done
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

require_xentap
boot_good_and_bad
load=$(fio_load /dev/xvda)
guest_start_job good "${load/runtime=600/runtime=3600}"
wait_for 60 "the good guest's fio is running" io_is_running
for ((round = 0; round < ROUNDS; round++)); do
	compare compute "${FLOODS[@]}"
	compare write_nodes flood_nodes
done
slow=
for flood in "${FLOODS[@]}" flood_nodes; do
	percent=$(median "$WORK/$flood")
	ok "beside $flood the good guest has $percent % ($(paste -sd' ' "$WORK/$flood"))"
	[ "$percent" -ge "$AT_LEAST" ] || slow+=" $flood"
done
[ -z "$slow" ] || fail "less than $AT_LEAST % beside$slow"
guest_destroy good
guest_destroy bad
assert_no_grants
assert_no_zombie
