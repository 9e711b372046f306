# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The body of boot-verify-pv.sh and boot-verify-pvh.sh: what a guest writes to
# its disk is what the image holds, and nothing is left behind.

# boot_verify pv|pvh
boot_verify()
{
	local type=$1 image=$WORK/disk.img
	require_xentap
	make_image "$image" 96M
	guest_create "$type" "$type" "$(tap_disk "$image" xvda)"
	guest_wait_up "$type"
	ok "$type guest is up"
	guest_must "$type" '
		mkfs.ext4 -q /dev/xvda && mount /dev/xvda /mnt && cd /mnt &&
		for i in 1 2 3 4; do
			dd if=/dev/urandom of=file$i bs=64k count=$((i * 8)) 2>/dev/null || exit
		done
		sha256sum file* >SUMS'
	guest_must -t 150 "$type" "$(fio_verify /mnt/fio.dat 12m)"
	ok "fio read back what it wrote"
	guest_must "$type" 'umount /mnt'
	guest_shutdown "$type"
	check_image "$image"
	assert_no_grants
	assert_no_zombie
	assert_module_unloads
}

check_image()
{
	e2fsck -fn "$1" >"$WORK/fsck" 2>&1 || fail "e2fsck: $(<"$WORK/fsck")"
	mount_image "$1"
	(cd "$MOUNTED" && sha256sum --quiet -c SUMS) || fail "files in the image differ"
	ok "file system and checksums in the image are right"
}
