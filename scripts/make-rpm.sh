#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make-rpm.sh [OPTION...]: build/rpm/, with packages from scripts/rpm/xentap.spec;
# options go to rpmbuild.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/source.sh

command -v rpmbuild >/dev/null || {
	echo "make rpm: rpmbuild is missing; install the package rpm-build (Debian: rpm)" >&2
	exit 1
}
work=$PWD/build/rpm
name=xentap-$(<VERSION)
rm -rf "$work"
mkdir -p "$work/SOURCES"
source_copy "$work/$name"
tar -C "$work" -czf "$work/SOURCES/$name.tar.gz" "$name"
rm -rf "${work:?}/$name"
rpmbuild -ba --define "_topdir $work" --define "version_of_source $(<VERSION)" "$@" \
	scripts/rpm/xentap.spec
find "$work" -name '*.rpm'
