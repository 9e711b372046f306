# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two guests, "good" and "bad". The bad one has no block driver: a program that does what no
# driver does has its disk, test/xen/hostile/.

# shellcheck source=test/xen/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OPTIONS=/etc/default/tapdisk
GOOD_IMAGE=$WORK/good.img
BAD_IMAGE=$WORK/bad.img
# shellcheck disable=SC2034 # used by the tests
BAD_DISK=device/vbd/51712

remove_options() { rm -f "$OPTIONS"; }
CLEANUPS+=(remove_options)

# Sectors as in hostile/frontend.h: I/O from 8 MiB on takes three seconds, so that the
# bad guest can do things while its requests are in flight.
boot_good_and_bad()
{
	make_image "$GOOD_IMAGE" 16M
	make_image "$BAD_IMAGE" 16M
	guest_create good pv "$(tap_disk "$GOOD_IMAGE" xvda)"
	echo "TAPDISK_OPTIONS=--filter=fault:delay_ms=3000,start=16384" >"$OPTIONS"
	GUEST_CMDLINE+=" guest.without=xen-blkfront"
	guest_create bad pv "$(tap_disk "$BAD_IMAGE" xvda)"
	guest_wait_up good
	guest_wait_up bad
	rm "$OPTIONS"
	GOOD_PID=$(tapdisk_pid "$GOOD_IMAGE")
	GOOD_MINOR=$(tap-ctl list -p "$GOOD_PID" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')
	BAD_PID=$(tapdisk_pid "$BAD_IMAGE")
	TAPBACK_PID=$(tapback_pid)
}

bad_floods() { xenstore-exists "/local/domain/${GUESTS[bad]}/$BAD_DISK/flood"; }

# flood_begin SCENARIO: one without end, which goes on until flood_end.
flood_begin()
{
	guest_start_job bad "hostile-frontend $BAD_DISK $1"
	FLOOD_JOB=$JOB
	wait_for 60 "the bad guest begins with $1" bad_floods
}

flood_end()
{
	local output
	xenstore-write "/local/domain/${GUESTS[bad]}/$BAD_DISK/stop" ''
	output=$(guest_wait_job -t 120 bad "$FLOOD_JOB") || fail "$1: $output"
}

# Who served the disks at the beginning serves them still.
assert_same_daemons()
{
	assert_eq "$(tapback_pid)" "$TAPBACK_PID" "tapback after $1"
	assert_eq "$(tapdisk_pid "$GOOD_IMAGE")" "$GOOD_PID" "the good guest's tapdisk after $1"
	assert_eq "$(tapdisk_pid "$BAD_IMAGE")" "$BAD_PID" "the bad guest's tapdisk after $1"
}

# Sectors that the good guest has read and written.
good_sectors()
{
	tap-ctl stats -p "$GOOD_PID" -m "$GOOD_MINOR" |
		grep -oE '"(read|write)_sectors": *[0-9]+' | grep -o '[0-9]*$' |
		awk '{ sum += $1 } END { print sum }'
}
