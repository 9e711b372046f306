#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-dkms.sh: the module's life under the DKMS of each Debian release, with
# two kernels: test/dkms/lifecycle.sh, in root file systems of its own.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/kernels.sh
. scripts/jobs.sh

TEST_SECONDS=1200

# check_release RELEASE SUITE NEXT: the suites of its kernel and of the next one.
check_release()
{
	local release=$1 suite=$2 next=$3 kernel headers
	prepare "the compiler and DKMS cannot be fetched"
	kernel_find "$suite" amd64
	release_root "$release" "$KERNEL_GCC"
	prepare "the headers cannot be fetched"
	kernel_headers "$suite" amd64
	kernel=$KERNEL
	headers=$HEADERS
	kernel_find "$next" amd64
	kernel_headers "$next" amd64
	prepare

	mkdir "$FOLDER/debs" "$FOLDER/source"
	cp "$HEADERS"/debs/*.deb "$FOLDER/debs/"
	git ls-files -z -- Makefile dkms.conf VERSION module include test/dkms |
		tar -c --null --files-from=- | tar -x -C "$FOLDER/source"
	if root_run $TEST_SECONDS "$headers/root:$ROOT" "$FOLDER" nice -n 19 \
			/mnt/source/test/dkms/lifecycle.sh "$kernel" "$KERNEL" >"$FOLDER/log" 2>&1; then
		grep '^ok: ' "$FOLDER/log" | sed "s/^ok/$JOB/"
		judge pass
	else
		tail -n 60 "$FOLDER/log"
		judge fail "test/dkms/lifecycle.sh failed"
	fi
}

if [ "$(id -u)" != 0 ]; then
	report skip dkms "needs root, for chroot"
	exit 0
fi
run_job dkms-bookworm check_release bookworm bookworm-security bookworm-backports
run_job dkms-trixie check_release trixie trixie-security trixie-backports
finish_jobs
