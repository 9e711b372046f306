#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 1100
# needs: host
# hosts: pv
#
# The lab itself: a PV and a PVH guest start, run jobs and keep data on a disk
# of the kernel's own backend.  Needs nothing of this project.

. "$(dirname "$0")/lib.sh"

check_guest()
{
	local type=$1 sum begin=$SECONDS
	make_image "$WORK/$type.img" 64M ext4
	guest_create "$type" "$type" "$(phy_disk "$WORK/$type.img" xvda)"
	guest_wait_up "$type"
	ok "$type guest is up after $((SECONDS - begin)) s"
	assert_eq "$(guest_run "$type" 'echo out; exit 3' || echo "status $?")" \
		$'out\nstatus 3' "a job's output and status"
	guest_must "$type" '
		mount /dev/xvda /mnt &&
		dd if=/dev/urandom of=/mnt/file bs=1M count=8 2>/dev/null'
	sum=$(guest_must "$type" 'sync; sha256sum </mnt/file; umount /mnt')
	guest_shutdown "$type"
	e2fsck -fn "$WORK/$type.img" >/dev/null 2>&1 || fail "e2fsck of $type.img"
	mount_image "$WORK/$type.img"
	assert_eq "$(sha256sum <"$MOUNTED/file")" "$sum" "file written by the $type guest"
	ok "$type guest: data is in the image"
}

xl info >/dev/null || fail "xl does not work"
check_guest pv
check_guest pvh
assert_no_zombie
