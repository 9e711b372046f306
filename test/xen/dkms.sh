#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 1200
# needs: host
#
# The module comes and goes by DKMS, as on an administrator's host, built by
# dom0's own compiler.

. "$(dirname "$0")/lib.sh"

command -v dkms >/dev/null || skip "dkms is not installed"
version=$(<"$SOURCE/VERSION")
! dkms status xentap | grep -q . || skip "DKMS has xentap already; remove it first: make dkms-remove"

make -C "$SOURCE" dkms-install
dkms status -m xentap -v "$version" | grep -q installed ||
	fail "dkms status says: $(dkms status xentap)"
assert_eq "$(modinfo -F version xentap)" "$version" "version of the installed module"
[[ $(modinfo -n xentap) == */updates/dkms/xentap.ko* ]] || fail "it is at $(modinfo -n xentap)"
ok "built and installed: $(dkms status xentap)"

modprobe xentap
[ -c /dev/xen/tap ] || fail "/dev/xen/tap is missing"
[ -r "$COUNTERS" ] || fail "$COUNTERS is missing"
rmmod xentap
ok "it loads, makes its device, and unloads"

make -C "$SOURCE" dkms-remove
! modinfo xentap 2>/dev/null || fail "the module is still there"
[ -z "$(dkms status xentap)" ] || fail "DKMS still knows it: $(dkms status xentap)"
[ ! -e "/usr/src/xentap-$version" ] || fail "/usr/src/xentap-$version is still there"
ok "removed without a trace"
