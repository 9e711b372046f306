#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# access=ro holds, whatever the guest tries.

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
guest_shutdown reader
assert_no_grants
