# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs in dom0 at its first boot: the host is ready when xl answers and
# systemd has nothing left to start.

deadline=$((SECONDS + 240))
until xl list >/dev/null 2>&1; do
	if [ "$SECONDS" -gt "$deadline" ]; then
		echo "xl does not answer:"
		xl list
		exit 1
	fi
	sleep 1
done
# "degraded" is an answer, too: a unit Debian's own start-up is missing is
# nothing that stops a test.
timeout 120 systemctl is-system-running --wait
systemctl --failed --no-legend
# A kernel that looks for leaks: what leaked until here is no test's fault.
leaks=/sys/kernel/debug/kmemleak
if [ -e "$leaks" ]; then
	echo scan >"$leaks"
	cat "$leaks"
	echo clear >"$leaks"
fi
sync
xl list
