#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
# time limit: 600
#
# A disk comes to a running guest and goes again, five times over, with I/O in between;
# each round finds what the round before has written. tapback keeps nothing of those that
# went. Then by our own hotplug script. With LOAD another disk is busy all the time.

. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-5}
IMAGE=$WORK/disk.img
BUSY=$WORK/busy.img
MORE_KB=256	# by which tapback may have grown: what its allocator holds back

tapback_fds() { find "/proc/$(tapback_pid)/fd" -mindepth 1 | wc -l; }

tapback_kb() { sed -n 's/^RssAnon:\t *\([0-9]*\) kB/\1/p' "/proc/$(tapback_pid)/status"; }

one_tapdisk() { [ "$(tap-ctl list | wc -l)" = 1 ]; }

one_round()
{
	local round=$1
	xl block-attach hotplug "$(tap_disk "$IMAGE" xvdb)"
	guest_must hotplug "$(wait_device /dev/xvdb)
		[ \"\$(head -c 9 /dev/xvdb)\" = 'round $(printf %03d $((round - 1)))' ] || exit 2
		printf 'round %03d' $round | dd of=/dev/xvdb conv=notrunc,fsync 2>/dev/null &&
		dd if=/dev/urandom of=/dev/xvdb bs=64k seek=1 count=32 oflag=direct 2>/dev/null"
	xl block-detach hotplug xvdb
	wait_for 15 "one tapdisk is left in round $round" one_tapdisk
	guest_must hotplug '[ ! -b /dev/xvdb ]'
	ok "round $round"
}

all_rounds()
{
	local round fds kb
	for round in $(seq "$ROUNDS"); do
		one_round "$round"
		# The first ones fill its allocator's pockets.
		[ "$round" != 3 ] || fds=$(tapback_fds) kb=$(tapback_kb)
	done
	assert_eq "$(tapback_fds)" "$fds" "tapback's descriptors after $ROUNDS rounds, and after 3"
	[ "$(tapback_kb)" -le $((kb + MORE_KB)) ] ||
		fail "tapback has grown from $kb to $(tapback_kb) kB"
	ok "tapback has $(tapback_kb) kB after $ROUNDS rounds, and had $kb after 3"
}

# Our own hotplug script, and a path that Xen's takes apart; a second disk of it is refused.
own_script()
{
	local image="$WORK/a b:c 'd' ä.img"
	mv "$IMAGE" "$image"
	xl block-attach hotplug "$(own_disk "$image" xvdb)"
	assert_eq "$(tapdisk_pid "$image" | wc -w)" 1 "tapdisks of $image"
	guest_must hotplug "$(wait_device /dev/xvdb)
		[ \"\$(head -c 9 /dev/xvdb)\" = 'round $(printf %03d "$ROUNDS")' ]"
	if xl block-attach hotplug "$(own_disk "$image" xvdc)" >"$WORK/xl" 2>&1; then
		fail "$image was attached twice"
	fi
	grep -q "is in use by domain ${GUESTS[hotplug]}" "$WORK/xl" ||
		fail "xl does not say who has $image: $(<"$WORK/xl")"
	xl block-detach --force hotplug xvdc >/dev/null 2>&1 || true
	xl block-detach hotplug xvdb
	wait_for 15 "one tapdisk is left of our script" one_tapdisk
	mv "$image" "$IMAGE"
	ok "script=block-xentap, with spaces, colons and quotes"
}

require_xentap
make_image "$IMAGE" 16M
make_image "$BUSY" 16M
printf 'round 000' | dd of="$IMAGE" conv=notrunc status=none
guest_create hotplug pv "$(tap_disk "$BUSY" xvda)"
guest_wait_up hotplug
if [ -n "${LOAD-}" ]; then
	load=$(fio_load /dev/xvda)
	guest_start_job hotplug "${load/runtime=600/runtime=7200} --rate_iops=20"
	wait_for 60 "the other disk is busy" io_is_running
fi
all_rounds
assert_eq "$(head -c 9 "$IMAGE")" "round $(printf %03d "$ROUNDS")" "the image's first bytes"
own_script
if [ -n "${LOAD-}" ]; then
	IO_MOVED=$(io_moved)
	wait_for 60 "the other disk is still busy" io_is_running
fi
guest_destroy hotplug
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_grants
assert_no_zombie
assert_module_unloads
