#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 300
# hosts: pv
#
# The module's own limits, made small by its parameters, and Xen's: no handle is
# left.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

themes_start
# Xen counts handles for the whole of dom0; the hog knows one way to take them.
if host_is_pv; then
	echo 4096 >/sys/module/xen_gntalloc/parameters/limit
	theme_own handles
else
	echo "note: handles are not exhausted here: only a PV dom0 can map for devices"
fi

module_reload max_grants=60 max_grants_domid=40 max_slots=1024
theme_own limits
granter_start granter
theme_of limits granter
guest_destroy granter
themes_end
