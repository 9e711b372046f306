# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints everything a failed test is explained by, as a tar file in base64.

logs=$(mktemp -d)
cd "$logs" || exit 1
# A kernel that looks for leaks: an object counts when it is some seconds old,
# and a second look drops those that were just on their way.
leaks=/sys/kernel/debug/kmemleak
if [ -w "$leaks" ]; then
	sleep 6
	echo scan >"$leaks"
	[ ! -s "$leaks" ] || echo scan >"$leaks"
	cat "$leaks" >kmemleak
fi
dmesg >dmesg
xl dmesg >xen
journalctl --no-pager --quiet --boot >journal
timeout 10 xl list >xl-list 2>&1
timeout 10 xenstore-ls -fp >xenstore 2>&1
timeout 5 tap-ctl list >tap-ctl-list 2>&1
cat /sys/kernel/debug/xentap/counters >counters 2>&1
ps axf >processes
cp -r /var/log/xen var-log-xen
tar -czf - . | base64
