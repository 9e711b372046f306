#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# access=ro holds, whatever the guest tries; and guests that only read share an image, and
# its tapdisk, by Xen's hotplug script and by ours.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img

# The image's descriptors in a process must be O_RDONLY, which is 0 in the last
# octal digit of the flags.
assert_opened_readonly()
{
	local pid=$1 fd flags found=0
	for fd in "/proc/$pid/fd"/*; do
		[ "$(readlink "$fd")" = "$IMAGE" ] || continue
		found=1
		flags=$(sed -n 's/^flags:\t*//p' "/proc/$pid/fdinfo/${fd##*/}")
		[[ $flags == *0 ]] || fail "tapdisk has the image open with flags $flags"
	done
	[ "$found" = 1 ] || fail "tapdisk $pid does not have $IMAGE open"
	ok "tapdisk has opened the image for reading only"
}

require_xentap
dd if=/dev/urandom of="$IMAGE" bs=1M count=16 status=none
before=$(checksum "$IMAGE")
guest_create reader pv "$(tap_disk "$IMAGE" xvda ro)"
guest_wait_up reader
assert_opened_readonly "$(tapdisk_pid "$IMAGE")"
assert_eq "$(guest_run reader 'sha256sum </dev/xvda | cut -d" " -f1')" "$before" \
	"checksum the guest reads"
guest_must reader '
	! dd if=/dev/zero of=/dev/xvda bs=4k count=4 conv=fsync 2>/dev/null'
guest_must reader '
	blockdev --setrw /dev/xvda
	! dd if=/dev/zero of=/dev/xvda bs=4k count=4 oflag=direct 2>/dev/null'
assert_eq "$(checksum "$IMAGE")" "$before" "checksum of the image"
ok "the image is unchanged"

# shared_by SPELLING IMAGE VDEV: both guests read it, then one goes.
shared_by()
{
	local guest sum
	sum=$(checksum "$2")
	for guest in reader other; do
		xl block-attach "$guest" "$("$1" "$2" "$3" ro)"
		assert_eq "$(guest_run "$guest" "$(wait_device "/dev/$3"); sha256sum </dev/$3 | cut -d' ' -f1")" \
			"$sum" "checksum that $guest reads"
	done
	assert_eq "$(tapdisk_pid "$2" | wc -w)" 1 "tapdisks of $2"
	xl block-detach other "$3"
	assert_eq "$(guest_run reader "dd if=/dev/$3 bs=1M iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1")" \
		"$sum" "checksum that the one reads who stays"
	xl block-detach reader "$3"
	wait_for 15 "no tapdisk of $2 is left" has_no_tapdisk "$2"
	ok "two guests share an image by $1"
}

has_no_tapdisk() { [ -z "$(tapdisk_pid "$1")" ]; }

guest_create other pv
guest_wait_up other
for image in one two; do
	dd if=/dev/urandom of="$WORK/$image.img" bs=1M count=4 status=none
done
shared_by tap_disk "$WORK/one.img" xvdc
shared_by own_disk "$WORK/two.img" xvdc
guest_shutdown other
guest_shutdown reader
assert_no_grants
