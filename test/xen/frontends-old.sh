#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 700
# guests: bullseye bookworm
#
# The frontends of older kernels: those of Debian 11 (5.10) and 12 (6.1), with rings as
# large as they go, in guests that keep data on a disk.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/frontends.bash"
. "$TEST_DIR/boot-verify.bash"

# keeps_data SUITE: and says with which kernel.
keeps_data()
{
	local suite=$1 kernels
	kernels=$(dirname "$GUEST_KERNEL")/$suite
	[ -d "$kernels" ] || skip "there is no kernel of Debian $suite here"
	make_image "$IMAGE" 32M
	GUEST_KERNEL=$kernels/kernel GUEST_INITRAMFS=$kernels/initramfs boot "$suite" 4 256
	ok "Debian $suite: $(guest_run "$suite" 'uname -r')"
	ring_is 4 2
	attach
	verify
	[ "$(count indirect)" -gt 0 ] || fail "no request was indirect"
	guest_must "$suite" "$(write_files /dev/xvdb); umount /mnt"
	detach
	check_image "$IMAGE"
	guest_shutdown "$suite"
}

require_xentap
keeps_data bullseye
keeps_data bookworm
assert_no_grants
assert_no_zombie
