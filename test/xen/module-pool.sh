#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
# hosts: pv
#
# Copies between grants and the module's pool: pool-check.c.

. "$(dirname "$0")/lib.sh"

require_xentap
modprobe xen-gntalloc || skip "this kernel has no gntalloc"

gcc -std=gnu11 -O1 -Wall -o "$WORK/pool-check" "$TEST_DIR/pool-check.c"
"$WORK/pool-check" "$WORK/data"
assert_no_grants
