#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dist.sh: make dist gives the same bytes in another folder, another time zone and
# language, with another umask and at another time; and what is in it builds a tarball's
# worth of files.

set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail()
{
	echo "FAIL: dist: $*"
	exit 1
}

# Git refuses a repository of somebody else, as it may be when sudo is about.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
git rev-parse -q --verify HEAD >/dev/null 2>&1 || {
	echo "SKIP: this is no git checkout"
	exit 77
}
git clone -q --shared . "$work/one"
git clone -q --shared . "$work/a longer name"
(cd "$work/one" && umask 022 && TZ=Asia/Tokyo make -s dist >/dev/null)
find "$work/a longer name" -type f -exec touch -d '2001-02-03' {} +
(cd "$work/a longer name" && umask 077 && TZ=America/Lima LC_ALL=C.UTF-8 make -s dist >/dev/null)
name=xentap-$(<"$work/one/VERSION")
cmp "$work/one/build/$name.tar.gz" "$work/a longer name/build/$name.tar.gz" ||
	fail "two runs differ"
tar -tzf "$work/one/build/$name.tar.gz" | sort >"$work/names"
git ls-tree -r --name-only HEAD | sed "s,^,$name/," | sort | comm -23 - "$work/names" |
	grep . && fail "not in the tarball, see above"
# Other content gives other bytes, or the comparison above says nothing.
echo more >>"$work/one/README.md"
(cd "$work/one" && git -c user.name=x -c user.email=x@example.org commit -qam more &&
	make -s dist >/dev/null)
! cmp -s "$work/one/build/$name.tar.gz" "$work/a longer name/build/$name.tar.gz" ||
	fail "a changed source gives the same bytes"
echo "ok: make dist gives the same bytes"
