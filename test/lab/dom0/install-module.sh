# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module, which DKMS has built already, is installed by DKMS.

cp -a "$PAYLOAD/module/." /
dkms install -m xentap -v "$(<"$SOURCE/VERSION")"
dkms status xentap
modinfo xentap
