# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Linux's own frontend, told how far to go, and a disk of which all is moved and read
# back.

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
