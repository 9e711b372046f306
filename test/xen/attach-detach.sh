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

# Our own hotplug script, and a path that Xen's takes apart; a second disk of it is refused.
own_script()
{
	local image="$WORK/a b:c 'd' ä.img"
	mv "$IMAGE" "$image"
	xl block-attach hotplug "$(own_disk "$image" xvdb)"
	assert_eq "$(tapdisk_pid "$image" | wc -w)" 1 "tapdisks of $image"
	guest_must hotplug "$(wait_device /dev/xvdb)
		[ \"\$(head -c 8 /dev/xvdb)\" = 'round $ROUNDS' ]"
	if xl block-attach hotplug "$(own_disk "$image" xvdc)" >"$WORK/xl" 2>&1; then
		fail "$image was attached twice"
	fi
	grep -q "is in use by domain ${GUESTS[hotplug]}" "$WORK/xl" ||
		fail "xl does not say who has $image: $(<"$WORK/xl")"
	xl block-detach --force hotplug xvdc >/dev/null 2>&1 || true
	xl block-detach hotplug xvdb
	wait_for 15 "no tapdisk is left of our script" no_tapdisks
	mv "$image" "$IMAGE"
	ok "script=block-xentap, with spaces, colons and quotes"
}

require_xentap
make_image "$IMAGE" 16M
printf 'round 00' | dd of="$IMAGE" conv=notrunc status=none
guest_create hotplug pv
guest_wait_up hotplug
for round in $(seq "$ROUNDS"); do
	one_round "$round"
done
own_script
assert_eq "$(head -c 8 "$IMAGE")" "round $(printf %02d "$ROUNDS")" "the image's first bytes"
guest_shutdown hotplug
assert_no_grants
assert_no_zombie
assert_module_unloads
