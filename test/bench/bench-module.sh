#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-module.sh [PART...]: the module's benchmark, in the lab. PART is one of
# those of dom0.sh; all of them if none is named. Prints the lines as they come,
# then tables. BEFORE=COMMIT compares with the module of that commit as well.

set -euo pipefail
cd "$(dirname "$0")/../.."

. test/bench/bench.bash

[ $# -gt 0 ] || set -- batches guest live tables

trap 'rm -rf "$LINES_FILE" test/bench/before' EXIT
rm -rf test/bench/before
if [ -n "${BEFORE-}" ]; then
	mkdir test/bench/before
	git archive "$BEFORE" VERSION include module | tar -C test/bench/before -xf -
fi

bench test/bench --host bench --plain \
	"timeout -k 20 1100 bash test/bench/dom0.sh /run/lab/native $*"
test/bench/report.py <"$LINES_FILE"
