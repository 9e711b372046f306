#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make-deb.sh: build/deb/*.deb, from a copy of the source in which scripts/deb is the
# folder debian.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/source.sh

work=build/deb
for tool in dpkg-buildpackage dh dh_dkms; do
	command -v $tool >/dev/null || {
		echo "make deb: $tool is missing; apt install build-essential debhelper dh-dkms" >&2
		exit 1
	}
done
rm -rf "$work"
copy=$work/xentap-$(<VERSION)
source_copy "$copy"
cp -r "$copy/scripts/deb" "$copy/debian"
(cd "$copy" && dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo)
rm -rf "$copy"
ls "$work"/*.deb
