# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest writes to its disk is what the image holds: the body of boot-verify-pv.sh
# and boot-verify-pvh.sh.

# boot_verify pv|pvh
boot_verify()
{
	local type=$1 image=$WORK/disk.img
	require_xentap
	make_image "$image" 96M
	guest_create "$type" "$type" "$(tap_disk "$image" xvda)"
	guest_wait_up "$type"
	ok "$type guest is up"
	guest_must "$type" "$(write_files /dev/xvda)"
	guest_must -t 150 "$type" "$(fio_verify /mnt/fio.dat 12m)"
	ok "fio read back what it wrote"
	guest_must "$type" 'umount /mnt'
	guest_shutdown "$type"
	check_image "$image"
	assert_no_grants
	assert_no_zombie
	assert_module_unloads
}

# write_files DEVICE: in a new file system, which is left mounted on /mnt.
write_files()
{
	cat <<-END
		mkfs.ext4 -q $1 && mount $1 /mnt && cd /mnt &&
		for i in 1 2 3 4; do
			dd if=/dev/urandom of=file\$i bs=64k count=\$((i * 8)) 2>/dev/null || exit
		done
		sha256sum file* >SUMS && cd /
	END
}

# check_image IMAGE: all that write_files wrote is there.
check_image()
{
	e2fsck -fn "$1" >"$WORK/fsck" 2>&1 || fail "e2fsck: $(<"$WORK/fsck")"
	mount_image "$1"
	(cd "$MOUNTED" && sha256sum --quiet -c SUMS) || fail "files in the image differ"
	ok "file system and checksums in the image are right"
}
