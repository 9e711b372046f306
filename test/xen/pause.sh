#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# The image of a guest's disk is closed for a while, by tap-ctl pause, in the middle of I/O:
# it does not change meanwhile, and the guest goes on with it, or with its copy, whatever
# became of its tapdisk. And a guest that gives up its disk, or ends, while that is paused.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
COPY=$WORK/copy.img

# state_of_disk: as tap-ctl list shows it.
state_of_disk() { tap-ctl list | sed -n 's/.* state=\([0-9a-fx]*\) .*/\1/p'; }

minor_of_disk() { tap-ctl list | sed -n 's/.* minor=\([0-9]*\) .*/\1/p'; }

is_paused() { [ "$(state_of_disk)" = 0x2a ]; }

# pause IMAGE: PID and MINOR are set.
pause()
{
	PID=$(tapdisk_pid "$1")
	MINOR=$(minor_of_disk)
	tap-ctl pause -p "$PID" -m "$MINOR"
	is_paused || fail "tap-ctl list says: $(tap-ctl list)"
	no_grants_held || fail "grants are held while the disk is paused: $(<$COUNTERS)"
}

# unpause [OPTION...]
unpause() { tap-ctl unpause -p "$PID" -m "$MINOR" "$@"; }

goes_on()
{
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on" io_is_running
}

require_xentap
make_image "$IMAGE" 32M
guest_create user pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up user
guest_start_job user "until [ -e /tmp/stop ]; do cd /tmp && $(fio_verify /dev/xvda 16m) || exit 1; done"
LOAD=$JOB
wait_for 60 "I/O is running" io_is_running

pause "$IMAGE"
MOVED=$(io_moved)
cp "$IMAGE" "$COPY"
sleep 3
assert_eq "$(io_moved)" "$MOVED" "pages that were moved for the guest"
cmp "$IMAGE" "$COPY" || fail "the image has changed while it was closed"
ok "nothing is written while the disk is paused"

unpause -a "aio:$COPY"
assert_eq "$(tapdisk_pid "$COPY")" "$PID" "who serves the copy"
BACKEND=/local/domain/0/backend/vbd3/${GUESTS[user]}/51712
assert_eq "$(xenstore-read "$BACKEND/params")" "aio:$COPY" "what the hotplug script finds"
SUM=$(checksum "$IMAGE")
goes_on
assert_eq "$(checksum "$IMAGE")" "$SUM" "the image that the guest has no more"
ok "the guest goes on with a copy"

for round in 1 2 3; do
	pause "$COPY"
	unpause
	goes_on
done
ok "paused $round times more under load"

pause "$COPY"
FIRST=$PID
systemctl restart tapback
systemctl reload-or-restart 'tapdisk@*'
another_tapdisk "$COPY" "$FIRST" || fail "tapdisk $FIRST was not replaced"
is_paused || fail "tapdisk $PID is not paused"
kill -KILL "$PID"
wait_for 60 "another tapdisk than $PID" another_tapdisk "$COPY" "$PID"
wait_for 10 "it is paused" is_paused
assert_eq "$(io_moved)" "$(sleep 2; io_moved)" "pages that were moved for the guest"
# As somebody would who knows the first one only.
PID=$FIRST
unpause
goes_on
ok "the disk stays paused over a restart of tapback, another program, and a kill"

guest_must user 'touch /tmp/stop'
guest_wait_job -t 200 user "$LOAD" || fail "fio in the guest"
guest_must user '! dmesg | grep -iE "I/O error|xvd.*(error|abort)|still in use|blk_update_request"'
ok "no error and no wrong byte in the guest"

pause "$COPY"
xl block-detach user xvda
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_grants
ok "detached while it was paused"

xl block-attach user "$(tap_disk "$COPY" xvdb)"
guest_must user "$(wait_device /dev/xvdb)"
guest_start_job user "$(fio_load /dev/xvdb)"
wait_for 60 "I/O is running" io_is_running
pause "$COPY"
guest_destroy user
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_grants
assert_no_zombie
ok "the guest was destroyed while its disk was paused"
