#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# rpm.sh: rpmbuild takes the spec file, and its packages hold what the Debian ones do.
# Runs where lifecycle.sh does: there is no database of RPM packages, hence --nodeps.

set -euo pipefail
cd "$(dirname "$0")/../.."

fail()
{
	echo "FAIL: rpm: $*"
	exit 1
}

has() { grep -qx "$1" /tmp/rpm-files || fail "$1 is in no package; there are: $(</tmp/rpm-files)"; }

make -s rpm >/tmp/rpm-log 2>&1 && fail "rpmbuild went without its dependencies"
scripts/make-rpm.sh --nodeps >/tmp/rpm-log 2>&1 || fail "$(tail -n 30 /tmp/rpm-log)"
version=$(<VERSION)
ls build/rpm/SRPMS/xentap-"$version"-1*.src.rpm >/dev/null || fail "no source package"
rpm -qpl build/rpm/RPMS/*/*.rpm >/tmp/rpm-files
has /usr/sbin/tap-ctl
has /usr/libexec/xentap/tapdisk
has /usr/libexec/xentap/tapback
has '/usr/share/man/man8/tap-ctl.8.*'
has "/usr/src/xentap-$version/dkms.conf"
has "/usr/src/xentap-$version/module/main.c"
has '.*/tapback.service'
has '.*/tapdisk@.service'
has '.*/60-xentap.rules'
rpm -qp --conflicts build/rpm/RPMS/*/xentap-"$version"*.rpm | grep -qx blktap ||
	fail "it does not conflict with blktap"
echo "ok: rpmbuild makes packages of scripts/rpm/xentap.spec"
