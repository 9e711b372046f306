# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The image of the lab's host: a Debian root file system as a folder (the
# daemons are compiled in it by chroot), the same as a disk image, and the
# files the emulated machine boots from.

DISK_SIZE=6G

image_key()
{
	echo "image-$HOST_SUITE-$(hash_of test/lab/image.sh test/lab/packages test/lab/rootfs)"
}

# image_build FOLDER: rootfs/ disk.img xen vmlinuz initrd kver
image_build()
{
	local folder=$1 root=$1/rootfs
	run_step "Debian $HOST_SUITE root file system (about 2 minutes)" image_debootstrap "$root"
	run_step "configuration of dom0" image_configure "$root"
	ls "$root/lib/modules" >"$folder/kver"
	cp "$root/boot/vmlinuz-$(<"$folder/kver")" "$folder/vmlinuz"
	cp "$root/boot/initrd.img-$(<"$folder/kver")" "$folder/initrd"
	# QEMU loads Xen as a multiboot ELF file, which it does not unpack itself.
	zcat "$root/boot/xen-"*.gz >"$folder/xen"
	run_step "disk image" image_make_disk "$root" "$folder/disk.img"
}

image_debootstrap()
{
	local root=$1 mirror packages
	mirror=$(suite_mirror "$HOST_SUITE")
	packages=$(grep -v -e '^#' -e '^$' "$LAB_DIR/packages" | paste -sd,)
	mmdebstrap --variant=minbase --include="$packages" \
		"$HOST_SUITE" "$root" "deb $mirror $HOST_SUITE main"
}

image_configure()
{
	local root=$1
	cp -r "$LAB_DIR/rootfs/." "$root/"
	echo dom0 >"$root/etc/hostname"
	# xenconsoled logs guests' consoles only where this folder exists.
	mkdir -p "$root/var/log/xen/console"
	chroot "$root" systemctl --quiet enable lab-agent.service
	# Nothing may run by itself in the middle of a test.
	chroot "$root" systemctl --quiet mask apt-daily.timer \
		apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
		e2scrub_all.timer e2scrub_reap.service xendomains.service
	# Or the first boot makes the caches of ldconfig and others once more, by
	# emulation.
	touch "$root/etc/.updated" "$root/var/.updated"
}

image_make_disk()
{
	truncate -s "$DISK_SIZE" "$2"
	mkfs.ext4 -q -m 0 -d "$1" "$2"
}

# image_run IMAGE FOLDER COMMAND...: runs a command natively in the root file
# system, with FOLDER (writable) at /mnt.  The mounts are in a namespace of
# their own and vanish with the command, whatever becomes of it.
image_run()
{
	local root=$1/rootfs folder=$2
	shift 2
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --propagation private sh -ec '
		root=$1 folder=$2
		shift 2
		mount --bind "$folder" "$root/mnt"
		mount --bind /dev "$root/dev"
		mount -t proc none "$root/proc"
		exec chroot "$root" "$@"' sh "$root" "$folder" "$@"
}
