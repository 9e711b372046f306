#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 400
#
# `make demo HOST=1`: the demonstration on a Xen host itself, by its own words.

. "$(dirname "$0")/lib.sh"

require_xentap
make --no-print-directory -C "$SOURCE" demo HOST=1 2>&1 | tee "$WORK/demo"
for row in 'attached by .*stock xl' 'fio --verify .*all blocks' 'virt -> gref .*mfn 0x' \
		'image in dom0 .*6 of 6' 'left behind .*the module unloads'; do
	grep -q "^  $row" "$WORK/demo" || fail "the demo's table has no row '$row'"
done
ok "the demo ran on this host, and its table is complete"
