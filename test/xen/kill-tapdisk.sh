#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 500
#
# A tapdisk is killed in the middle of I/O.  Its guest loses the disk, the host
# nothing: all pages come back, the guest can be destroyed, and the image can
# be attached to another guest.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img

is_gone() { [ ! -d "/proc/$1" ]; }

require_xentap
make_image "$IMAGE" 32M
printf 'still here' | dd of="$IMAGE" conv=notrunc bs=1M seek=30 status=none
guest_create victim pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up victim
guest_start_job victim "$(fio_load /dev/xvda)"
wait_for 60 "I/O is running" io_is_running

pid=$(tapdisk_pid "$IMAGE")
kill -KILL "$pid"
wait_for 20 "process $pid is gone" is_gone "$pid"
assert_no_grants
systemctl is-active --quiet tapback || fail "tapback has stopped"
guest_destroy victim
assert_no_zombie
ok "the guest could be destroyed"

guest_create heir pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up heir
assert_eq "$(guest_run heir 'dd if=/dev/xvda bs=1M skip=30 count=1 2>/dev/null | head -c 10')" \
	"still here" "what the next guest reads"
guest_shutdown heir
assert_no_grants
assert_module_unloads
