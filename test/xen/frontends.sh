#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 700
#
# Linux's own frontend at its extremes: the largest rings, several queues, the
# longest requests; data moved in each of the ways there are, and what else such
# a guest does with a disk: discard, and grow.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/frontends.bash"

# moved_by WAY: verified, and all data went that way.
moved_by()
{
	local way=$1 other
	attach --data="$way"
	verify
	[ "$(count "moved_$way")" -gt 50 ] || fail "little was moved by $way: $(tap-ctl stats -p "$PID" -m "$MINOR")"
	for other in map copy persistent; do
		[ "$other" = "$way" ] || assert_eq "$(count "moved_$other")" 0 "requests moved by $other"
	done
	detach
	ok "all data by $way"
}

by_what_is_best()
{
	attach
	verify
	[ "$(count moved_map)" -gt 0 ] && [ "$(count moved_copy)" -gt 0 ] ||
		fail "not both ways were used: $(tap-ctl stats -p "$PID" -m "$MINOR")"
	[ "$(count indirect)" -gt 0 ] || fail "no request was indirect"
	detach
	ok "small requests copied, large ones mapped, in one disk"
}

blocks_used() { stat -c %b "$IMAGE"; }

discards()
{
	local before
	attach
	guest_must "$GUEST" 'dd if=/dev/urandom of=/dev/xvdb bs=1M count=8 oflag=direct 2>/dev/null'
	before=$(blocks_used)
	guest_must "$GUEST" 'blkdiscard -o 1048576 -l 4194304 /dev/xvdb &&
		[ "$(dd if=/dev/xvdb bs=1M skip=1 count=4 iflag=direct 2>/dev/null | tr -d "\0" | wc -c)" = 0 ] &&
		[ "$(dd if=/dev/xvdb bs=1M skip=5 count=1 iflag=direct 2>/dev/null | tr -d "\0" | wc -c)" -gt 1000000 ]'
	[ "$(blocks_used)" -le $((before - 8000)) ] || fail "the image did not shrink: $before, $(blocks_used) blocks"
	ok "a discard frees what it names, and nothing else"
	detach
}

grows()
{
	make_image "$IMAGE" 16M
	attach
	guest_must "$GUEST" 'mkfs.ext4 -q /dev/xvdb && mount /dev/xvdb /mnt && echo kept >/mnt/file'
	truncate -s 48M "$IMAGE"
	tap-ctl resize -p "$PID" -m "$MINOR"
	guest_must "$GUEST" 'i=0; until [ "$(cat /sys/block/xvdb/size)" = 98304 ]; do
			i=$((i + 1)); [ $i -lt 100 ] || exit 1; usleep 200000
		done
		resize2fs /dev/xvdb >/dev/null 2>&1 && [ "$(cat /mnt/file)" = kept ] &&
		dd if=/dev/zero of=/mnt/large bs=1M count=30 conv=fsync 2>/dev/null && umount /mnt'
	detach
	e2fsck -fn "$IMAGE" >/dev/null 2>&1 || fail "the file system is damaged"
	ok "a file system grew while it was mounted"
}

require_xentap
make_image "$IMAGE" 16M
boot one 4 256
ring_is 4 2
by_what_is_best
discards
grows
if [ -n "${XENTAP_LONG-}" ]; then
	make_image "$IMAGE" 16M
	moved_by map
	moved_by copy
fi
guest_shutdown one
# Before its first request, such a frontend takes a page for each segment that its
# rings have room for: 1 GiB, were they as large as before.
make_image "$IMAGE" 16M
boot two 1 32
ring_is 1 2
moved_by persistent
guest_shutdown two
assert_no_grants
assert_no_zombie
assert_module_unloads
