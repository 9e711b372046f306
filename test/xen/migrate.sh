#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# long: yes
#
# A PVH guest migrates within the host in the middle of I/O, there and back: for a moment
# two domains have the same image, which nobody else may have. The guest sees no error,
# and reads back what it wrote. Not a PV guest: that takes shadow page tables, and Debian's
# Xen has none ("Failed to enable logdirty").

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img

# xl says on its standard output what it does, and where it failed.
migrate()
{
	local before=${GUESTS[mover]} pid
	pid=$(tapdisk_pid "$IMAGE")
	timeout $((120 * PATIENCE)) xl migrate -s '' mover 'xl migrate-receive' >"$WORK/xl" 2>&1 ||
		fail "xl migrate: $(tail -n 20 "$WORK/xl")"
	GUESTS[mover]=$(xl domid mover)
	[ "${GUESTS[mover]}" != "$before" ] || fail "domain $before has not moved: $(<"$WORK/xl")"
	wait_for 30 "another tapdisk than $pid serves the image" another_tapdisk "$IMAGE" "$pid"
	assert_eq "$(tap-ctl list | wc -l)" 1 "tapdisks"
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on with tapdisk $PID" io_is_running
	ok "domain $before is domain ${GUESTS[mover]} now"
}

# The lock went to the tapdisk of the new domain.
assert_image_is_taken()
{
	if xl block-attach mover "$(tap_disk "$IMAGE" xvdd)" >"$WORK/xl" 2>&1; then
		fail "one image was attached twice"
	fi
	xl block-detach --force mover xvdd >/dev/null 2>&1 || true
	ok "nobody else gets the image"
}

require_xentap
make_image "$IMAGE" 32M
guest_create mover pvh "$(tap_disk "$IMAGE" xvda)"
guest_wait_up mover
guest_start_job mover "until [ -e /tmp/stop ]; do cd /tmp && $(fio_verify /dev/xvda 8m) || exit 1; done"
verify=$JOB
wait_for 60 "I/O is running" io_is_running
migrate
migrate
assert_image_is_taken
guest_must mover 'touch /tmp/stop'
guest_wait_job -t 200 mover "$verify" || fail "fio in the guest"
guest_must mover '! dmesg | grep -iE "I/O error|blk_update_request"'
ok "no error and no wrong byte in the guest"
guest_shutdown mover
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_grants
assert_no_zombie
