#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-disk.sh [PART...]: what whole disks cost, beside the kernel's backend and
# QEMU's, in the lab. PART is one of those of disk/dom0.sh; all but profile if none is
# named. Prints the lines as they come, then tables. STORE, PEERS, SIZES and
# SCALE as there.

set -euo pipefail
cd "$(dirname "$0")/../.."

lab=(test/lab/lab)
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "bench-disk: needs root: run it as root or install sudo" >&2
		exit 1
	}
	lab=(sudo "--preserve-env=XENTAP_LAB_CACHE,XENTAP_LAB_NATIVE,XENTAP_LAB_MACHINES" "${lab[@]}")
fi
[ $# -gt 0 ] || set -- random single sequential calls

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

export XENTAP_LAB_NATIVE=test/bench/disk
"${lab[@]}" shell --host bench-disk \
	"STORE=${STORE-} PEERS='${PEERS-}' SIZES='${SIZES-}' SCALE=${SCALE-}" \
	"timeout -k 20 4000 bash test/bench/disk/dom0.sh /run/lab/native $*" | tee "$lines"
grep -q '^NOTE done' "$lines" || {
	echo "bench-disk: the benchmark ended early, see above" >&2
	exit 1
}
# A profile is for reading as it is.
[ "$*" = profile ] || test/bench/report-disk.py <"$lines"
