#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
#
# A guest is destroyed in the middle of its I/O: all of its pages come back,
# and the tapdisk ends.

. "$(dirname "$0")/lib.sh"

require_xentap
make_image "$WORK/disk.img" 32M
guest_create busy pv "$(tap_disk "$WORK/disk.img" xvda)"
guest_wait_up busy
guest_start_job busy "$(fio_load /dev/xvda)"
wait_for 60 "I/O is running" io_is_running
guest_destroy busy
assert_no_zombie
assert_no_grants
wait_for 30 "no tapdisk is left" no_tapdisks
assert_module_unloads
