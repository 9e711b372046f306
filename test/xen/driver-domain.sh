#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
# hosts: pv
#
# The backend is a guest: tapback and tapdisk run in a driver domain, without systemd
# there, and another guest has a disk from it by `backend=` and stock xl; `xl devd` calls
# the hotplug script. The store is a RAM disk of the driver domain. What it needs of
# dom0's system is put into its initramfs. A PV domain, and a PVH one where there is time:
# the emulator resets those too often.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/guest-tree.bash"

TYPES=pv
[ -z "${XENTAP_LONG-}" ] || TYPES="pv pvh"
STORE_MB=24
MODULES=(brd xen-evtchn xen-gntdev xen-privcmd xentap)
# Of tapdisk, tap-ctl and the hotplug script; the rest is busybox's.
PROGRAMS=(bash stat flock xenstore-read xenstore-write xenstore-list xenstore-rm tap-ctl)
DAEMON_DIR=$(dirname "$(unit_program tapback)")

driver_tree()
{
	local tree=$1 program
	tree_add_modules "$tree" "${MODULES[@]}"
	for program in "${PROGRAMS[@]}"; do
		tree_add "$tree" "$(command -v "$program")"
	done
	tree_add "$tree" "$(command -v bash)" /bin/bash
	# Debian's xl is a script that looks for the one of the running Xen.
	tree_add "$tree" "$(printf '%s\n' /usr/lib/xen-*/bin/xl | tail -n 1)" /usr/sbin/xl
	tree_add "$tree" "$DAEMON_DIR/tapdisk"
	tree_add "$tree" "$DAEMON_DIR/tapback"
	mkdir -p "$tree"/etc/xen "$tree"/run "$tree"/var/{lib,log,run,lock}
	mkdir -p "$tree"/var/{run,lib,log}/xen
	cp -a /etc/xen/scripts /etc/xen/xl.conf "$tree/etc/xen/"
	echo 'root:x:0:0::/:/bin/sh' >"$tree/etc/passwd"
	grep '^tapdisk:' /etc/passwd >>"$tree/etc/passwd"
	grep '^tapdisk:' /etc/group >"$tree/etc/group"
}

# driver_start pv|pvh
driver_start()
{
	driver_tree "$WORK/tree"
	tree_initramfs "$WORK/tree" "$WORK/initramfs"
	rm -r "$WORK/tree"
	GUEST_INITRAMFS=$WORK/initramfs guest_create driver "$1" driver_domain=1
	guest_wait_up driver
	# The hotplug scripts lock by /dev/stdin, which udev would make.
	guest_must driver "mount -t debugfs none /sys/kernel/debug &&
		ln -s /proc/self/fd/0 /dev/stdin || exit
		for name in \$(cat /lib/modules/more); do
			case \$name in brd) size='rd_nr=1 rd_size=$((STORE_MB * 1024))' ;; *) size= ;; esac
			[ -d /sys/module/\$(echo \$name | tr - _) ] || insmod /lib/modules/\$name.ko \$size || exit
		done"
	guest_start_job driver "$DAEMON_DIR/tapback"
	guest_start_job driver 'xl -v devd -F'
}

# driver_stat NAME: a number of its disk.
driver_stat()
{
	guest_run driver "set -- \$(tap-ctl list | sed 's/[^0-9]*\([0-9]*\)[^0-9]*\([0-9]*\).*/\1 \2/')
		tap-ctl stats -p \$1 -m \$2" | json_number "$1"
}

driver_counter() { guest_run driver "sed -n 's/^$1 *//p' $COUNTERS"; }

driver_has_no_disk() { [ -z "$(guest_run driver 'tap-ctl list')" ]; }

modinfo -n xentap >/dev/null 2>&1 || skip "the module xentap is not installed"
command -v cpio >/dev/null || skip "there is no cpio"
for type in $TYPES; do
	driver_start "$type"
	guest_create user pv "backend=driver,$(tap_disk /dev/ram0 xvda)"
	guest_wait_up user
	ok "a guest has a disk of domain ${GUESTS[driver]}, which is $type"
	assert_eq "$(guest_run user 'cat /sys/block/xvda/size')" $((STORE_MB * 2048)) "sectors of its disk"
	guest_must -t 200 user "cd /tmp && $(fio_verify /dev/xvda 16m)"
	for way in map copy; do
		moved=$(driver_stat "moved_$way")
		[ "$moved" -gt 20 ] || fail "only $moved requests went by $way"
		ok "fio verified; $moved requests went by $way"
	done
	guest_must user 'mkfs.ext4 -q /dev/xvda && mount /dev/xvda /mnt && echo here >/mnt/file && umount /mnt'
	assert_eq "$(guest_run driver 'mount -o ro /dev/ram0 /mnt && cat /mnt/file; umount /mnt')" here \
		"the file in the driver domain"
	guest_shutdown user
	wait_for 30 "no tapdisk is left in the driver domain" driver_has_no_disk
	for counter in mapped draining quarantined; do
		assert_eq "$(driver_counter $counter)" 0 "$counter grants in the driver domain"
	done
	ok "no grant is held"
	guest_destroy driver
	assert_no_zombie
done
