#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# GRUB's own frontend: Debian's pvgrub2 starts a guest with a kernel that it reads from a
# disk of tapdisk, and leaves the disk to that kernel. By XENTAP_LONG also its 32-bit
# kind for PVH guests. And Xen's pygrub, which reads the kernel in dom0.

. "$(dirname "$0")/lib.sh"

GRUB=/usr/lib/grub-xen
IMAGE=$WORK/disk.img
declare -A READ_KB	# at least, by the type of guest

# A disk to start from, and the sums of what is read from it. GRUB takes another form of the
# kernel for PVH, the one that real machines have.
make_boot_disk()
{
	local tree=$WORK/tree type
	mkdir -p "$tree/boot/grub"
	cp "$GUEST_KERNEL" "$tree/boot/kernel-pv"
	cp "/boot/vmlinuz-$(uname -r)" "$tree/boot/kernel-pvh"
	cp "$GUEST_INITRAMFS" "$tree/boot/initramfs"
	# pygrub knows no conditions, and no default that is not "set".
	cat >"$tree/boot/grub/grub.cfg" <<-END
		menuentry "pv" {
			linux /boot/kernel-pv $GUEST_CMDLINE named-by=grub.cfg
			initrd /boot/initramfs
		}
		menuentry "pvh" {
			linux /boot/kernel-pvh $GUEST_CMDLINE named-by=grub.cfg
			initrd /boot/initramfs
		}
		if [ \$grub_platform = xen_pvh ]; then
			default=1
		fi
		timeout=0
	END
	(cd "$tree" && sha256sum boot/kernel* boot/initramfs >SUMS)
	truncate -s $(($(du -sk "$tree" | cut -f1) + 32768))k "$IMAGE"
	mke2fs -q -t ext2 -d "$tree" "$IMAGE"
	# Without holes, which no disk is asked for.
	for type in pv pvh; do
		READ_KB[$type]=$(du -ck "$tree/boot/kernel-$type" "$tree/boot/initramfs" |
			sed -n 's/\ttotal$//p')
	done
	rm -r "$tree"
}

# The guest's own kernel has the disk after whoever started it, and leaves it in order.
kernel_uses_disk()
{
	guest_must "$1" 'mount /dev/xvda /mnt && cd /mnt && sha256sum -s -c SUMS && echo linux >mark &&
		cd / && umount /mnt'
	guest_shutdown "$1"
	e2fsck -fn "$IMAGE" >/dev/null 2>&1 || fail "the file system is damaged"
	ok "$1: and the kernel has the disk after it"
}

# starts pv|pvh GRUB: with that one as its first program.
starts()
{
	local name=grub-$1 read_kb
	GUEST_KERNEL=$GRUB/$2 GUEST_INITRAMFS='' \
		guest_create "$name" "$1" "$(tap_disk "$IMAGE" xvda)"
	guest_wait_up "$name"
	guest_must "$name" 'grep -q named-by=grub.cfg /proc/cmdline'
	# The kernel's: the disk's own figures began anew with the second frontend.
	read_kb=$(awk '$1 == "read_bytes:" { print int($2 / 1024) }' "/proc/$(tapdisk_pid "$IMAGE")/io")
	[ "$read_kb" -ge "${READ_KB[$1]}" ] ||
		fail "only $read_kb KiB were read from the disk, not ${READ_KB[$1]}"
	ok "$1: GRUB has read kernel and initramfs, $read_kb KiB"
	kernel_uses_disk "$name"
}

starts_by_pygrub()
{
	GUEST_KERNEL='' GUEST_INITRAMFS='' \
		guest_create pygrub pv "$(tap_disk "$IMAGE" xvda)" 'bootloader = "pygrub"'
	guest_wait_up pygrub
	guest_must pygrub 'grep -q named-by=grub.cfg /proc/cmdline'
	ok "pygrub has read kernel and initramfs"
	kernel_uses_disk pygrub
}

require_xentap
[ -e "$GRUB/grub-x86_64-xen.bin" ] || skip "there is no $GRUB/grub-x86_64-xen.bin (Debian's grub-xen-host)"
make_boot_disk
starts_by_pygrub
starts pv grub-x86_64-xen.bin
[ -z "${XENTAP_LONG-}" ] || starts pvh grub-i386-xen_pvh.bin
assert_no_grants
assert_no_zombie
