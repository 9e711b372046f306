# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Before a host is saved: it must not have the drive of today in use.

cd /
umount "$PAYLOAD"
sync
