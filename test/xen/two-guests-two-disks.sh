#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# Two guests with two disks each, all busy at the same time, all verified.

. "$(dirname "$0")/lib.sh"

JOBS=()	# "GUEST NUMBER" of each fio

require_xentap
for guest in one two; do
	for disk in xvda xvdb; do
		make_image "$WORK/$guest-$disk.img" 16M
	done
	guest_create "$guest" pv "$(tap_disk "$WORK/$guest-xvda.img" xvda)" \
		"$(tap_disk "$WORK/$guest-xvdb.img" xvdb)"
done
for guest in one two; do
	guest_wait_up "$guest"
done
assert_eq "$(tap-ctl list | grep -c state=0)" 4 "disks that are served"
for guest in one two; do
	for disk in xvda xvdb; do
		guest_start_job "$guest" "mkdir /tmp/$disk && cd /tmp/$disk &&
			$(fio_verify "/dev/$disk" 8m) &&
			echo $guest-$disk | dd of=/dev/$disk bs=1M seek=15 conv=fsync 2>/dev/null"
		JOBS+=("$guest $JOB")
	done
done
for job in "${JOBS[@]}"; do
	# shellcheck disable=SC2086 # guest and number
	guest_wait_job -t 240 $job || fail "fio of guest ${job% *} found differences"
done
ok "all four disks verified"
# The journal can be asked for one guest's disk.
for program in tapback tapdisk; do
	[ "$(journalctl -q -o cat -t $program "XENTAP_DOMAIN=${GUESTS[two]}" XENTAP_DISK=51728 | grep -c ': connected')" = 1 ] ||
		fail "the journal has no field with which $program's messages of one disk are found"
done
for guest in one two; do
	guest_shutdown "$guest"
	for disk in xvda xvdb; do
		assert_eq "$(dd if="$WORK/$guest-$disk.img" bs=1 skip=15M count=8 status=none)" \
			"$guest-$disk" "name written to $guest's $disk"
	done
done
ok "each image has the data of its own guest"
assert_no_grants
assert_no_zombie
assert_module_unloads
