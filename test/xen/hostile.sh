#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# long: yes
#
# A guest whose frontend is a program that does what no driver does: bad requests, bad
# grants, rubbish in xenstore, all of it at bad moments.  Its tapdisk and tapback live,
# answer what was good about it, and write nothing that nobody asked for; a neighbour
# that verifies its disk all the time notices nothing.  test/hostile.md has the numbers.

# shellcheck source=test/xen/hostile.bash
. "$(dirname "$0")/hostile.bash"

# Ends when there is a file /tmp/stop in the guest.
verify_until_told()
{
	echo "cd /tmp && while [ ! -e stop ]; do $(fio_verify /dev/xvda 8m) || exit 1; done"
}

neighbour_goes_on()
{
	guest_job_is_done good "$(guest_path good)/result/$GOOD_JOB" &&
		fail "the neighbour's fio has ended: $(guest_wait_job good "$GOOD_JOB")"
	[ "$(good_sectors)" -gt "$SECTORS_BEFORE" ]
}

# What one scenario finds wrong does not keep the next ones from being run.
run_scenario()
{
	local begin=$SECONDS output
	SECTORS_BEFORE=$(good_sectors)
	if output=$(guest_run -t 200 bad "hostile-frontend $BAD_DISK $1"); then
		ok "$1 ($((SECONDS - begin)) s)"
	else
		FAILED+=("$1: $output")
		echo "not ok: ${FAILED[-1]}"
	fi
	assert_same_daemons "$1"
	wait_for 60 "the neighbour goes on after $1" neighbour_goes_on
}

# Of what a guest can cause, tapback says five lines about a disk in ten seconds, tapdisk
# eleven about a ring, and both count what they did not say; as many more at once, if they
# had nothing to say before.
LINES_IN_TEN_SECONDS=18
assert_log_is_bounded()
{
	local lines seconds=$((SECONDS - LOGGED_SINCE)) limit
	limit=$(((seconds + 11) * LINES_IN_TEN_SECONDS / 10))
	journal_since >"$WORK/journal"
	lines=$(grep -cE "domain ${GUESTS[bad]}\b|vbd3?[-/]${GUESTS[bad]}\b" "$WORK/journal" || true)
	[ "$lines" -gt 0 ] || fail "the journal has nothing about the bad guest"
	[ "$lines" -le "$limit" ] || fail "the journal has $lines lines about the bad guest"
	! LC_ALL=C grep -q $'\033\|owned' "$WORK/journal" || fail "the journal has the guest's text"
	ok "$lines lines in the journal in $seconds s; at most $limit are expected"
	begin_log
}

begin_log()
{
	LOGGED_SINCE=$SECONDS
	journal_mark
}

# The area between what scenarios write and what is slow.
assert_nothing_else_written()
{
	cmp -n $((4 << 20)) -i $((4 << 20)):0 "$BAD_IMAGE" /dev/zero ||
		fail "something was written that nobody asked for"
	ok "nothing was written that nobody asked for"
}

FAILED=()
begin_log
require_xentap
boot_good_and_bad
guest_start_job good "$(verify_until_told)"
GOOD_JOB=$JOB
wait_for 60 "the neighbour's fio is running" io_is_running
# shellcheck disable=SC2086 # words
for scenario in ${SCENARIOS:-$(guest_run bad hostile-frontend)}; do
	run_scenario "$scenario"
done
assert_log_is_bounded
flood_begin flood_reconnects
sleep 10
flood_end flood_reconnects
assert_log_is_bounded
flood_begin slow_io
sleep 2	# the ring is filled at once, and answered three seconds later
guest_destroy bad
wait_for 60 "the bad guest's tapdisk has ended" test ! -e "/proc/$BAD_PID"
assert_nothing_else_written
assert_eq "$(tapback_pid)" "$TAPBACK_PID" "tapback after the end of the bad guest"
guest_must good 'touch /tmp/stop'
guest_wait_job -t 120 good "$GOOD_JOB" || fail "the neighbour's fio found differences"
ok "the neighbour verified its disk all the time"
guest_shutdown good
assert_no_grants
assert_no_zombie
assert_module_unloads
[ ${#FAILED[@]} = 0 ] || fail "${FAILED[@]}"
