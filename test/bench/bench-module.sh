#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-module.sh [PART...]: the module's benchmark, in the lab. PART is one of
# those of dom0.sh; all of them if none is named. Prints the lines as they come,
# then tables. BEFORE=COMMIT compares with the module of that commit as well.

set -euo pipefail
cd "$(dirname "$0")/../.."

lab=(test/lab/lab)
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "bench-module: needs root: run it as root or install sudo" >&2
		exit 1
	}
	lab=(sudo "--preserve-env=XENTAP_LAB_CACHE,XENTAP_LAB_NATIVE,XENTAP_LAB_MACHINES" "${lab[@]}")
fi
[ $# -gt 0 ] || set -- batches guest live tables

lines=$(mktemp)
trap 'rm -rf "$lines" test/bench/before' EXIT
rm -rf test/bench/before
if [ -n "${BEFORE-}" ]; then
	mkdir test/bench/before
	git archive "$BEFORE" VERSION include module | tar -C test/bench/before -xf -
fi

export XENTAP_LAB_NATIVE=test/bench
"${lab[@]}" shell --host bench --plain \
	"timeout -k 20 1100 bash test/bench/dom0.sh /run/lab/native $*" | tee "$lines"
grep -q '^NOTE done' "$lines" || {
	echo "bench-module: the benchmark ended early, see above" >&2
	exit 1
}
test/bench/report.py <"$lines"
