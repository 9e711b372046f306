#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
# time limit: 600
#
# A disk comes to a running guest and goes again, ten times over, with I/O in
# between; each round finds what the round before has written.

. "$(dirname "$0")/lib.sh"

ROUNDS=10
IMAGE=$WORK/disk.img

one_round()
{
	local round=$1
	xl block-attach hotplug "$(tap_disk "$IMAGE" xvdb)"
	guest_must hotplug "$(wait_device /dev/xvdb)
		[ \"\$(head -c 8 /dev/xvdb)\" = 'round $(printf %02d $((round - 1)))' ] || exit 2
		printf 'round %02d' $round | dd of=/dev/xvdb conv=notrunc,fsync 2>/dev/null &&
		dd if=/dev/urandom of=/dev/xvdb bs=64k seek=1 count=32 oflag=direct 2>/dev/null"
	xl block-detach hotplug xvdb
	wait_for 15 "no tapdisk is left in round $round" no_tapdisks
	guest_must hotplug '[ ! -b /dev/xvdb ]'
	ok "round $round"
}

require_xentap
make_image "$IMAGE" 16M
printf 'round 00' | dd of="$IMAGE" conv=notrunc status=none
guest_create hotplug pv
guest_wait_up hotplug
for round in $(seq "$ROUNDS"); do
	one_round "$round"
done
assert_eq "$(head -c 8 "$IMAGE")" "round $(printf %02d "$ROUNDS")" "the image's first bytes"
guest_shutdown hotplug
assert_no_grants
assert_no_zombie
assert_module_unloads
