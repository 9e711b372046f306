# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints everything a failed test is explained by, as a tar file in base64.

logs=$(mktemp -d)
cd "$logs" || exit 1
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
