#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make-dist.sh: build/xentap-VERSION.tar.gz, the last commit's source. The same bytes
# wherever and whenever it is made.

set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C TZ=UTC

name=xentap-$(<VERSION)
[ -e .git ] || {
	echo "make dist: this is no git checkout; the tarball is made from a commit" >&2
	exit 1
}
[ -z "$(git status --porcelain --untracked-files=no)" ] ||
	echo "make dist: what is not committed is not in the tarball" >&2
mkdir -p build
# Times are that of the commit. Not by git's own gzip, which everybody may configure.
git -c tar.umask=0022 archive --format=tar --prefix="$name/" HEAD | gzip -9n \
	>"build/$name.tar.gz.part"
mv "build/$name.tar.gz.part" "build/$name.tar.gz"
echo "build/$name.tar.gz"
