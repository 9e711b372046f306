#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 400
#
# The module by itself: arguments, batches, queries, O_DIRECT, and every way a
# process can end or mistreat a mapping; first of grants that dom0 made to
# itself, then of a guest's.

. "$(dirname "$0")/lib.sh"

require_xentap
modprobe xen-gntalloc || skip "this kernel has no gntalloc"
gcc -std=gnu11 -O1 -Wall -o "$WORK/module-check" "$TEST_DIR/module-check.c" -laio -pthread
"$WORK/module-check" "$WORK/data"

guest_create granter pv
guest_wait_up granter
guest_start_job granter "guest-grant 0 64"
wait_for 30 "the guest has published its grants" \
	xenstore-exists "$(guest_path granter)/grants"
read -ra grants <<<"$(xenstore-read "$(guest_path granter)/grants")"
"$WORK/module-check" "$WORK/data" "$(xl domid granter)" "${grants[@]:1}"
ok "and all of it with a guest's grants"
guest_destroy granter
assert_no_zombie
assert_no_grants
