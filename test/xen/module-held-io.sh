#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debian 12: yes
# debug: yes
# time limit: 400
# hosts: pv
#
# Pages that a device, a pipe, a ring of io_uring or TCP still holds, when their
# slots, mapping, file or process goes away.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

themes_start
modprobe sch_netem || skip "this kernel has no netem"
held_make
theme_own held_io
theme_own network
granter_start granter
theme_of held_io granter
theme_of network granter
guest_destroy granter
held_remove
themes_end
