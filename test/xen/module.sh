#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debian 12: yes
# debug: yes
# time limit: 400
# hosts: pv
#
# The module by itself: what its calls refuse, batches and queries, and all that
# a process can do to its address space; with grants that dom0 makes to itself,
# then with a guest's.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

themes_start
theme_own arguments
theme_own batches
theme_own mappings
granter_start granter
theme_of arguments granter
theme_of batches granter
theme_of mappings granter
guest_destroy granter
themes_end
