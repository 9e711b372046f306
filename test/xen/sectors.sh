#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# Sectors of 4096 bytes: of a disk, as an option in its line of the guest's configuration
# says; and of a store, whose disk has sectors of 512 all the same, and parts of the store's
# are read, changed and written.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img

# guest_sees LOGICAL PHYSICAL
guest_sees()
{
	guest_must sectors "$(wait_device /dev/xvdb)"
	assert_eq "$(guest_run sectors 'cat /sys/block/xvdb/queue/logical_block_size \
		/sys/block/xvdb/queue/physical_block_size' | paste -sd' ')" "$*" \
		"the sizes of sectors that the guest sees"
}

detach()
{
	xl block-detach sectors xvdb
	wait_for 15 "no tapdisk is left" no_tapdisks
}

verify()
{
	guest_must -t 200 sectors "cd /tmp && $(fio_verify /dev/xvdb 4m | sed "s#--bsrange=[^ ]*#$1#")"
}

option()
{
	xl block-attach sectors "$(own_disk "{-S 4096}$IMAGE" xvdb)"
	guest_sees 4096 4096
	verify --bsrange=4k-256k
	detach
	ok "a disk with sectors of 4096 bytes"
}

# Neighbours in one sector of the store are written at the same time.
store()
{
	STORE=$(losetup -b 4096 --show -f "$IMAGE")
	CLEANUPS+=(store_remove)
	xl block-attach sectors "$(tap_disk "$STORE" xvdb)"
	guest_sees 512 4096
	verify --bssplit=512/30:1536/20:3584/20:4608/20:16k/10
	verify --bs=512
	detach
	ok "a store with sectors of 4096 bytes"
}

store_remove() { losetup -d "$STORE"; }

require_xentap
make_image "$IMAGE" 16M
guest_create sectors pv
guest_wait_up sectors
option
store
guest_shutdown sectors
assert_no_grants
assert_no_zombie
