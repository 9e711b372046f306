#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# newer.sh FOLDER: makes FOLDER this source under a later version, and prints that.

set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/source.sh

version=$(<VERSION)
newer=$version.1
source_copy "$1"
cd "$1"
echo "$newer" >VERSION
sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$newer\"/" dkms.conf
sed -i "1s/($version-/($newer-/" scripts/deb/changelog
echo "$newer"
