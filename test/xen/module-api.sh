#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debian 12: yes
# debug: yes
# time limit: 300
# hosts: pv
# log may hold: Bad handle
#
# The interface for other kernel modules, by a module that uses it (test/kmod);
# and unmaps that fail for real, since that module did them first.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

SOUND="frames_and_pages_are_found others_are_not_found
	frames_fall_through_to_the_global_table held_until_put held_beyond_its_process
	two_grants_of_one_frame looked_up_from_interrupts faults_leave_entries_alone"
SABOTAGE="unmapped_behind_its_back lost_while_draining lost_after_death"

themes_start
test_module_load
CHECKS=${SOUND//[$'\n\t']/ } theme_own api
granter_start granter
CHECKS=${SOUND//[$'\n\t']/ } theme_of api granter
# A module in use by another cannot go.
! rmmod xentap 2>/dev/null || fail "the module went away under its user"

CHECKS=$SABOTAGE theme_of api granter
CHECKS=$SABOTAGE theme_own api
assert_eq "$(counter quarantined)" 6 "slots in quarantine"
assert_eq "$(dmesg | grep -c 'a page is lost')" 6 "lost pages that the kernel's log names"
rmmod xentap_test
guest_destroy granter
# What was unmapped behind the module's back is unmapped: the guest is free.
assert_no_zombie
left=$(grants_in_xen)
[ -z "$left" ] || fail "Xen still counts mapped grants:" "$left"
module_reload
themes_end
