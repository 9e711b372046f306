# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Before a host is saved: it must not have the drive of today in use.

cd /
# What the step has started may still be on its way out, in a folder of the drive.
tries=20
until umount "$PAYLOAD"; do
	[ $((tries -= 1)) -gt 0 ]
	sleep 0.5
done
sync
