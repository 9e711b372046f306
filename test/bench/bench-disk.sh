#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-disk.sh [PART...]: what whole disks cost, beside the kernel's backend and
# QEMU's, in the lab. PART is one of those of disk/dom0.sh; all but profile if none is
# named. Prints the lines as they come, then tables. STORE, PEERS, SIZES and
# SCALE as there.

set -euo pipefail
cd "$(dirname "$0")/../.."

. test/bench/bench.bash

[ $# -gt 0 ] || set -- random single sequential calls attaching queues

bench test/bench/disk --host bench-disk \
	"STORE=${STORE-} PEERS='${PEERS-}' SIZES='${SIZES-}' SCALE=${SCALE-}" \
	"timeout -k 20 5400 bash test/bench/disk/dom0.sh /run/lab/native $*"
# A profile is for reading as it is.
[ "$*" = profile ] || test/bench/report-disk.py <"$LINES_FILE"
