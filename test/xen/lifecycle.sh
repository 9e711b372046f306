#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# log may hold: sysrq triggered crash|Call Trace
#
# The turns of a guest's life, with its disk in use: paused, saved and restored,
# rebooted, asked to give the disk back, crashed. Not migrated: that takes shadow page
# tables for a PV guest, and Debian's Xen has none ("Failed to enable logdirty").

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
DATA=$WORK/data.img

# A domain of that name, which may have another number now, runs its jobs.
back_again()
{
	wait_for 60 "there is a domain $1" xl domid "$1" >/dev/null
	GUESTS[$1]=$(xl domid "$1")
	guest_wait_up "$1"
}

# Writes and reads back all the time; it ends when /tmp/end exists.
start_work()
{
	guest_must one 'rm -f /tmp/end'
	guest_start_job one 'while [ ! -e /tmp/end ]; do
			cd /tmp && fio --name=work --filename=/dev/xvda --size=4m --rw=randwrite --bsrange=4k-256k \
				--ioengine=libaio --direct=1 --iodepth=8 --verify=crc32c --verify_fatal=1 \
				--loops=4 --minimal >fio.out || exit
		done'
	WORK_JOB=$JOB
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O is running" io_is_running
}

end_work()
{
	local what=$1
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on, $what" io_is_running
	guest_must one 'touch /tmp/end'
	guest_wait_job -t 150 one "$WORK_JOB" || fail "fio saw errors, $what"
	ok "no error and no wrong byte, $what"
}

paused()
{
	local moved
	start_work
	xl pause one
	wait_for 30 "no page is in use" no_data_mapped
	moved=$(io_moved)
	sleep 2
	assert_eq "$(io_moved)" "$moved" "pages moved while the guest was paused"
	xl unpause one
	end_work "paused and unpaused"
}

# The ring's page is the one that may be mapped.
no_data_mapped() { [ "$(counter mapped)" -le "$RING_PAGES" ]; }

saved_and_restored()
{
	start_work
	xl save one "$WORK/one.saved" >/dev/null 2>"$WORK/xl" || fail "xl save: $(<"$WORK/xl")"
	wait_for 15 "no tapdisk is left" no_tapdisks
	assert_no_grants
	xl restore "$WORK/one.saved" >/dev/null 2>"$WORK/xl" || fail "xl restore: $(<"$WORK/xl")"
	rm "$WORK/one.saved"
	back_again one
	end_work "saved and restored"
}

rebooted()
{
	local before=${GUESTS[one]}
	guest_start_job one 'sync; busybox reboot -f'
	wait_for 60 "domain $before is gone" domain_is_gone "$before"
	back_again one
	start_work
	end_work "rebooted"
	assert_eq "$(tap-ctl list | wc -l)" 1 "tapdisks after the reboot"
}

domain_is_gone() { ! xl domname "$1" >/dev/null 2>&1; }

# A guest that does not answer keeps its disk until it is taken by force.
refused_and_forced()
{
	make_image "$DATA" 8M ext4
	xl block-attach one "$(tap_disk "$DATA" xvdb)"
	guest_must one "$(wait_device /dev/xvdb); mount /dev/xvdb /mnt && echo kept >/mnt/file && umount /mnt"
	xl pause one
	! xl block-detach one xvdb >"$WORK/xl" 2>&1 || fail "xl took the disk of a guest that is paused"
	assert_eq "$(tap-ctl list | wc -l)" 2 "tapdisks"
	ok "a guest that does not answer keeps its disk"
	xl block-detach --force one xvdb >"$WORK/xl" 2>&1 || fail "xl block-detach --force: $(<"$WORK/xl")"
	wait_for 15 "one tapdisk is left" one_tapdisk
	xl unpause one
	mount_image "$DATA"
	assert_eq "$(<"$MOUNTED/file")" kept "the file on the disk that was taken"
	umount "$MOUNTED"
	MOUNTS=()
	ok "it was taken by force"
}

one_tapdisk() { [ "$(tap-ctl list | wc -l)" = 1 ]; }

# What xentop says of the guest's disk: reads and writes, or nothing.
xentop_numbers()
{
	xentop -b -f -x -i 1 >"$WORK/xentop" 2>&1
	sed -n 's/^VBD Tapdisk3 *51712 .* RD: *\([0-9][0-9]*\) *WR: *\([0-9][0-9]*\) .*/\1 \2/p' "$WORK/xentop"
}

xentop_counts()
{
	local reads writes
	read -r reads writes <<<"$(xentop_numbers)"
	[ "${reads:-0}" -gt "$1" ] && [ "${writes:-0}" -gt "$2" ]
}

# The kernel of dom0 must know the device, too: that is where xentop looks for disks.
seen_by_xentop()
{
	local reads writes
	[ -e "/sys/bus/xen-backend/devices/vbd3-${GUESTS[one]}-51712" ] ||
		fail "dom0's kernel has no device for the disk, without which xentop looks for no more"
	start_work
	wait_for 10 "xentop shows reads and writes" xentop_counts 0 0
	read -r reads writes <<<"$(xentop_numbers)"
	wait_for 20 "xentop shows more of both" xentop_counts "$reads" "$writes"
	grep '^VBD' "$WORK/xentop"
	end_work "seen by xentop"
}

no_xentop_files() { [ -z "$(find /dev/shm -maxdepth 1 -name 'td3-*')" ]; }

crashed()
{
	start_work
	guest_start_job one 'echo c >/proc/sysrq-trigger'
	wait_for 60 "the guest is gone" guest_is_gone one
	unset 'GUESTS[one]'
	wait_for 15 "no tapdisk is left" no_tapdisks
	ok "the guest crashed"
}

require_xentap
make_image "$IMAGE" 16M
guest_create one pv "$(tap_disk "$IMAGE" xvda)" 'on_reboot = "restart"'
guest_wait_up one
RING_PAGES=$(counter mapped)
seen_by_xentop
paused
saved_and_restored
rebooted
refused_and_forced
crashed
wait_for 15 "no file for xentop is left in /dev/shm" no_xentop_files
assert_no_grants
assert_no_zombie
assert_module_unloads
