#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-kernels.sh: build the module for each kernel whose headers are
# installed, with W=1, where a warning is a failure; and, as root with DKMS,
# the way DKMS does it, in trees of its own. With XENTAP_RESULTS, adds
# "pass|fail|skip kernel-VERSION REASON" to it.

set -uo pipefail
cd "$(dirname "$0")/.." || exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(cat VERSION)
failed=0

report()
{
	printf '%-5s %s%s\n' "$1" "$2" "${3:+: $3}"
	[ -z "${XENTAP_RESULTS-}" ] || echo "$1 $2 ${3-}" >>"$XENTAP_RESULTS"
	[ "$1" != fail ] || failed=1
}

copy_source() { make -s dkms-source DESTDIR="$1"; }

build_plain()
{
	local kernel=$1 log=$work/$1.log
	copy_source "$work/$kernel"
	make -C "$work/$kernel/usr/src/xentap-$version/module" \
		KDIR="/lib/modules/$kernel/build" W=1 >"$log" 2>&1
	if [ $? != 0 ] || grep -E 'warning:|WARNING:' "$log"; then
		tail -n 20 "$log"
		report fail "kernel-$kernel" "does not build without warnings (W=1)"
	else
		report pass "kernel-$kernel"
	fi
}

build_dkms()
{
	local kernel=$1 log=$work/$1.dkms.log
	local trees=(--dkmstree "$work/dkms" --sourcetree "$work/dkms-source/usr/src")
	if ! command -v dkms >/dev/null || [ "$(id -u)" != 0 ]; then
		report skip "dkms-$kernel" "needs root and the package dkms"
		return
	fi
	mkdir -p "$work/dkms"
	[ -d "$work/dkms-source" ] || copy_source "$work/dkms-source"
	dkms add "${trees[@]}" -m xentap -v "$version" >"$log" 2>&1
	if dkms build "${trees[@]}" -m xentap -v "$version" -k "$kernel" >>"$log" 2>&1; then
		report pass "dkms-$kernel"
	else
		cat "$log" "$work/dkms/xentap/$version/build/make.log" 2>/dev/null | tail -n 30
		report fail "dkms-$kernel" "dkms build failed"
	fi
}

kernels=$(cd /lib/modules 2>/dev/null && for k in *; do [ ! -e "$k/build/Makefile" ] || echo "$k"; done)
[ -n "$kernels" ] || report skip kernels "no kernel headers are installed; apt install linux-headers-amd64"
for kernel in $kernels; do
	build_plain "$kernel"
	build_dkms "$kernel"
done
exit $failed
