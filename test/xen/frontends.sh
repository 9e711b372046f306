#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 700
#
# Linux's own frontend at its extremes: the largest rings, several queues, the
# longest requests; data moved in each of the ways there are, and what else such
# a guest does with a disk: discard, and grow.

. "$(dirname "$0")/lib.sh"

OPTIONS=/etc/default/tapdisk
IMAGE=$WORK/disk.img

remove_options() { rm -f "$OPTIONS"; }
CLEANUPS+=(remove_options)

# count NAME: a counter of the disk.
count() { tap_stat "$PID" "$MINOR" "$1"; }

# attach [OPTION...]: of tapdisk; PID and MINOR are the disk's.
attach()
{
	echo "TAPDISK_OPTIONS=$*" >"$OPTIONS"
	xl block-attach "$GUEST" "$(tap_disk "$IMAGE" xvdb)"
	PID=$(tapdisk_pid "$IMAGE")
	MINOR=$(tap-ctl list -p "$PID" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')
	guest_must "$GUEST" "$(wait_device /dev/xvdb)"
}

detach()
{
	xl block-detach "$GUEST" xvdb
	wait_for 15 "no tapdisk is left" no_tapdisks
}

# All sizes up to the longest request, by two processes, each with a queue.
verify()
{
	guest_must -t 200 "$GUEST" 'for half in 0 8m; do
			mkdir -p /tmp/$half && cd /tmp/$half &&
			fio --name=verify --filename=/dev/xvdb --offset=$half --size=8m --rw=randwrite \
				--bssplit=4k/40:16k/20:64k/20:1m/20 --ioengine=libaio --direct=1 --iodepth=8 \
				--verify=crc32c --verify_fatal=1 --minimal >fio.out &
			jobs="$jobs $!"
		done
		for job in $jobs; do wait $job || exit; done'
}

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

# boot NAME ORDER SEGMENTS: a guest whose frontend goes as far as that; GUEST from here on.
boot()
{
	local common=$GUEST_CMDLINE
	GUEST_CMDLINE=${common/ xen_blkfront.*/}
	GUEST=$1
	GUEST_CMDLINE+=" xen_blkfront.max_ring_page_order=$2 xen_blkfront.max_queues=4"
	GUEST_CMDLINE+=" xen_blkfront.max_indirect_segments=$3"
	guest_create "$GUEST" pv "vcpus = 2"
	GUEST_CMDLINE=$common
	guest_wait_up "$GUEST"
}

ring_is()
{
	local node=/local/domain/${GUESTS[$GUEST]}/device/vbd/51728
	attach
	assert_eq "$(xenstore-read "$node/ring-page-order" "$node/multi-queue-num-queues" | paste -sd' ')" \
		"$*" "ring-page-order and queues"
	detach
	ok "rings of order $1, $2 queues"
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
