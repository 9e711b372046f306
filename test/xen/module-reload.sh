#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
# hosts: pv
#
# The module is loaded and unloaded under traffic: 40 times, or 200.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

themes_start
module_unpack xentap "$WORK/xentap.ko"
export MODULE=$WORK/xentap.ko
export RELOADS=40
[ -z "${XENTAP_LONG-}" ] || RELOADS=200
theme_own reload
themes_end
