#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fio-light.sh TREE: puts Debian's fio into a guest's tree, without the 55 MB of
# libraries for clusters and remote storage that it is linked with.  Loading
# those takes a guest in the emulator ten seconds for each start of fio.  One
# library that defines their symbols, and ends the program where one is called,
# stands in for all of them.

set -eu
tree=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libs=/lib/x86_64-linux-gnu

kept='libc|libm|libz|libaio|libnuma'
readelf -d /usr/bin/fio | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$work/needed"
grep -E "^($kept)\.so" "$work/needed" >"$work/kept"
grep -vE "^($kept)\.so" "$work/needed" >"$work/dropped"

# "NAME VERSION" of what fio wants and no kept library has.
while read -r lib; do
	nm -D --defined-only "$libs/$lib"
done <"$work/kept" | awk '{ sub(/@.*/, "", $NF); print $NF }' >"$work/have"
nm -D --undefined-only /usr/bin/fio | sed -n 's/^ *U //p' | tr -s @ ' ' |
	awk 'NR == FNR { have[$1]; next } !($1 in have)' "$work/have" - >"$work/symbols"

awk '{ print ".globl " $1 "\n.type " $1 ", @function\n" $1 ":" }
	END { print "ud2" }' "$work/symbols" >"$work/stub.s"
awk 'NF == 2 { node[$2] = node[$2] " " $1 ";" }
	END { for (v in node) print v " {" node[v] " };" }' \
	"$work/symbols" >"$work/versions"
mkdir -p "$tree$libs" "$tree/usr/bin"
gcc -shared -nostdlib -o "$tree$libs/fio-stub.so" "$work/stub.s" \
	-Wl,--version-script="$work/versions"
while read -r lib; do
	ln -s fio-stub.so "$tree$libs/$lib"
done <"$work/dropped"
while read -r lib; do
	cp -L "$libs/$lib" "$tree$libs/"
done <"$work/kept"
cp /usr/bin/fio "$tree/usr/bin/"
