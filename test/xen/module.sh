#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module by itself: arguments, batches, queries, O_DIRECT, and every way a
# process can end or mistreat a mapping.  dom0 grants the pages to itself.
# time limit: 300

. "$(dirname "$0")/lib.sh"

modprobe xentap 2>/dev/null || skip "the module xentap is not installed"
modprobe xen-gntalloc || skip "this kernel has no gntalloc"
gcc -std=gnu11 -O1 -Wall -o "$WORK/module-check" "$TEST_DIR/module-check.c" -laio -pthread
"$WORK/module-check" "$WORK/data"
assert_no_grants
