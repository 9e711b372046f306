#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-deb.sh: the source tarball is the same each time; the Debian packages are built,
# installed, upgraded and removed in a root file system of each Debian release
# (test/deb/lifecycle.sh), and their units run in one that systemd was booted in
# (test/deb/service.sh); and rpmbuild takes the spec file (test/deb/rpm.sh).

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/kernels.sh
. scripts/jobs.sh
. scripts/source.sh

TEST_SECONDS=2400

# What the packages are built with, and looked at with.
build_packages()
{
	echo build-essential debhelper dh-dkms lintian rpm pkg-config systemd udev
	echo libaio-dev libjson-c-dev libseccomp-dev libsystemd-dev libxen-dev
	[ "$1" = bookworm ] || echo systemd-dev
}

# check_release RELEASE SUITE: the suite of its kernel.
check_release()
{
	local release=$1 suite=$2 packages
	read -ra packages < <(build_packages "$release" | xargs)
	prepare "what builds packages cannot be fetched"
	kernel_find "$suite" amd64
	release_root "$release" "$KERNEL_GCC" debroot "${packages[@]}"
	prepare "the headers cannot be fetched"
	kernel_headers "$suite" amd64
	prepare

	source_copy "$FOLDER/source"
	if ! root_run $TEST_SECONDS "$HEADERS/root:$ROOT" "$FOLDER" nice -n 19 \
			/mnt/source/test/deb/lifecycle.sh "$KERNEL" >"$FOLDER/log" 2>&1; then
		tail -n 60 "$FOLDER/log"
		judge fail "test/deb/lifecycle.sh failed"
		return
	fi
	grep '^ok: ' "$FOLDER/log" | sed "s/^ok/$JOB/"
	judge pass
	check_service
}

# The units of the packages that were just made, where systemd runs.
check_service()
{
	local status=0
	mkdir "$FOLDER/work"
	timeout --kill-after 10 $TEST_SECONDS nice -n 19 test/deb/boot.sh "$ROOT" "$FOLDER" \
		"$FOLDER/work" /mnt/source/test/deb/service.sh >"$FOLDER/log" 2>&1 || status=$?
	case $status in
	0)
		grep '^ok: ' "$FOLDER/output" | sed "s/^ok/$JOB/"
		report pass "$JOB-service"
		;;
	77) report skip "$JOB-service" "$(tail -n 1 "$FOLDER/log")" ;;
	*)
		cat "$FOLDER/log" "$FOLDER/output" || true
		report fail "$JOB-service" "test/deb/service.sh failed"
		;;
	esac
}

check_dist()
{
	local status=0
	test/deb/dist.sh >"$FOLDER/log" 2>&1 || status=$?
	case $status in
	0) judge pass ;;
	77) judge skip "$(tail -n 1 "$FOLDER/log")" ;;
	*)
		cat "$FOLDER/log"
		judge fail "test/deb/dist.sh failed"
		;;
	esac
}

run_job dist check_dist
if [ "$(id -u)" != 0 ]; then
	report skip deb "needs root, for chroot"
	finish_jobs
	exit
fi
run_job deb-bookworm check_release bookworm bookworm-security
run_job deb-trixie check_release trixie trixie-security
finish_jobs
