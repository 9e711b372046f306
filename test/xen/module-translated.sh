#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 700
# hosts: pv
#
# The module in a domain that Xen translates for, where user mappings are ordinary
# page-table entries: a PVH guest, as a driver domain is one. Another guest grants
# pages to it. What the tests need of dom0's system is put into the guest's initramfs.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"
. "$TEST_DIR/guest-tree.bash"

THEMES=(arguments batches mappings held_io network api fuzz)
# In api: unmapping behind the module's back is another test's.
SOUND="frames_and_pages_are_found others_are_not_found held_until_put held_beyond_its_process
	looked_up_from_interrupts"
MODULES=(brd dm_delay sch_netem)
DATA=$WORK/disk.img

# taker_initramfs FILE: with what is tested.
taker_initramfs()
{
	local tree=$WORK/tree theme
	tree_add_modules "$tree" "${MODULES[@]}" xentap
	test_module_file
	cp "$TEST_MODULE" "$tree/lib/modules/xentap_test.ko"
	echo xentap_test >>"$tree/lib/modules/more"
	tree_add "$tree" "$(command -v dmsetup)"
	tree_add "$tree" /usr/sbin/tc
	for theme in "${THEMES[@]}"; do
		module_program "$theme"
		tree_add "$tree" "$PROGRAM" "/bin/$theme"
	done
	tree_initramfs "$tree" "$1"
}

# The test's own disk comes from the kernel's backend: this is not about disks.
taker_start()
{
	taker_initramfs "$WORK/initramfs"
	make_image "$DATA" 64M ext4
	modprobe xen-blkback
	GUEST_INITRAMFS=$WORK/initramfs guest_create taker pvh "$(phy_disk "$DATA" xvda)"
	guest_wait_up taker
	guest_must taker "$(wait_device /dev/xvda)
		mkdir -p /var/tmp
		mount -t debugfs none /sys/kernel/debug && mount /dev/xvda /mnt || exit
		for name in \$(cat /lib/modules/more); do
			case \$name in brd) size='rd_nr=1 rd_size=16384' ;; *) size= ;; esac
			insmod /lib/modules/\$name.ko \$size || exit
		done
		# There is no udev to name it.
		dmsetup create xentap-held --table '0 32768 delay /dev/ram0 0 100000000' &&
		ln -s /dev/dm-0 /dev/mapper/xentap-held"
}

# taker_theme NAME [VARIABLE=VALUE]
taker_theme()
{
	guest_must -t 300 taker "${2-} XENTAP_PATIENCE=$PATIENCE $1 /mnt/data ${GUESTS[granter]} ${GREFS[*]}"
	ok "$1, in a domain that Xen translates for"
}

modinfo -n xentap >/dev/null 2>&1 || skip "the module xentap is not installed"
for tool in cpio dmsetup tc; do
	command -v $tool >/dev/null || skip "there is no $tool"
done
taker_start
guest_create granter pv
guest_wait_up granter
granter_grant granter 64 "${GUESTS[taker]}"
for theme in "${THEMES[@]}"; do
	checks=
	[ "$theme" != api ] || checks="CHECKS='${SOUND//[$'\n\t']/ }'"
	taker_theme "$theme" "$checks"
done
guest_must taker "dmsetup remove xentap-held && rmmod xentap_test xentap && umount /mnt"
# The taker's own disk keeps grants of the taker mapped.
left=$(grants_in_xen | grep "^${GUESTS[granter]} " || true)
[ -z "$left" ] || fail "Xen still counts mapped grants (domain, grant):" "$left"
ok "no grant is held, and the module was unloaded"
guest_destroy taker
guest_destroy granter
assert_no_zombie
