#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 1100
#
# A PVH guest keeps data on a disk of tapdisk.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/boot-verify.bash"

boot_verify pvh
