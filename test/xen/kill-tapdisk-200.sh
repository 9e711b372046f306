#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long: yes
# time limit: 7200
#
# kill-tapdisk.sh with 200 kills of one guest's disk.

export KILLS=200
. "$(dirname "$0")/kill-tapdisk.sh"
