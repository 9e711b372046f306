#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
# hosts: pv
# log may hold: Call Trace
#
# Random calls by processes without rights, and a process that the kernel kills
# for want of memory; of which it logs a trace.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

# All traces are reports of such a kill.
assert_traces_expected()
{
	local traces kills
	traces=$(dmesg | grep -c 'Call Trace' || true)
	kills=$(dmesg | grep -c 'invoked oom-killer' || true)
	assert_eq "$traces" "$kills" "traces in the kernel's log, and kills for memory"
	ok "the kernel logged $kills kills and no other trace"
}

themes_start
export FUZZ_SECONDS=15
[ -z "${XENTAP_LONG-}" ] || FUZZ_SECONDS=150
theme_own fuzz
theme_own oom
granter_start granter
theme_of fuzz granter
theme_of oom granter
assert_traces_expected
guest_destroy granter
themes_end
