#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# long: yes
#
# A PVH guest migrates within the host in the middle of I/O: for a moment two domains have
# the same images, which nobody else may have. The guest sees no error, and reads back what
# it wrote. With Xen's hotplug script both domains have one tapdisk, with ours each has its
# own. Not a PV guest: that takes shadow page tables, and Debian's Xen has none ("Failed to
# enable logdirty").

. "$(dirname "$0")/lib.sh"

SHARED=$WORK/shared.img
MOVED=$WORK/moved.img

# xl says on its standard output what it does, and where it failed.
migrate()
{
	local before=${GUESTS[mover]} shared moved
	shared=$(tapdisk_pid "$SHARED")
	moved=$(tapdisk_pid "$MOVED")
	timeout $((120 * PATIENCE)) xl migrate -s '' mover 'xl migrate-receive' >"$WORK/xl" 2>&1 ||
		fail "xl migrate: $(tail -n 20 "$WORK/xl")"
	GUESTS[mover]=$(xl domid mover)
	[ "${GUESTS[mover]}" != "$before" ] || fail "domain $before has not moved: $(<"$WORK/xl")"
	wait_for 30 "another tapdisk than $moved serves $MOVED" another_tapdisk "$MOVED" "$moved"
	assert_eq "$(tapdisk_pid "$SHARED")" "$shared" "the tapdisk of $SHARED"
	assert_eq "$(tap-ctl list | wc -l)" 2 "tapdisks"
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on" io_is_running
	ok "domain $before is domain ${GUESTS[mover]} now"
}

# The lock went to the tapdisk of the domain that there is now.
assert_locked()
{
	if tap-ctl create -a "aio:$1" >"$WORK/create" 2>&1; then
		fail "another tapdisk got $1"
	fi
	grep -q "in use by domain ${GUESTS[mover]} " "$WORK/create" ||
		fail "$1 is refused for another reason: $(<"$WORK/create")"
	ok "nobody else gets $1"
}

require_xentap
make_image "$SHARED" 32M
make_image "$MOVED" 32M
guest_create mover pvh "$(tap_disk "$SHARED" xvda)" "$(own_disk "$MOVED" xvdb)"
guest_wait_up mover
for disk in xvda xvdb; do
	# Slowly: it is interrupts that a PVH guest does not survive in the emulator.
	guest_start_job mover "mkdir /tmp/$disk && cd /tmp/$disk && until [ -e /tmp/stop ]; do
		$(fio_verify "/dev/$disk" 8m) --rate_iops=30 || exit 1; done"
	jobs+=("$JOB")
done
wait_for 60 "I/O is running" io_is_running
migrate
assert_locked "$SHARED"
assert_locked "$MOVED"
guest_must mover 'touch /tmp/stop'
for job in "${jobs[@]}"; do
	guest_wait_job -t 200 mover "$job" || fail "fio in the guest"
done
guest_must mover '! dmesg | grep -iE "I/O error|blk_update_request"'
ok "no error and no wrong byte in the guest"
guest_shutdown mover
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_grants
assert_no_zombie
