# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Comes before what else runs in dom0 and needs the payload drive.

set -e
PAYLOAD=/run/lab
SOURCE=$PAYLOAD/source

# The drive was another one when the host was saved.
mkdir -p "$PAYLOAD"
blockdev --flushbufs /dev/vdb
mount -o ro /dev/vdb "$PAYLOAD"
cd "$SOURCE"
