# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemons, with the steps a package does after it has put its files in place.

cp -a "$PAYLOAD/programs/." /
systemd-sysusers
systemd-tmpfiles --create 2>/dev/null || true
udevadm control --reload
modprobe xentap
systemctl --quiet --no-reload enable tapback
systemctl daemon-reload
systemctl start tapback || {
	systemctl status --no-pager --lines 30 tapback
	exit 1
}
