#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check-kernels.sh [PATTERN]: build the module for the kernels of Debian's releases,
# old and new, with W=1 and sparse, and for each kernel whose headers are
# installed. A warning is a failure. With a PATTERN, only those whose name or line
# in kernels.sh matches. The first time this downloads compilers and headers (some
# ten minutes); what cannot be fetched is skipped.

set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/kernels.sh
. scripts/jobs.sh

BUILD_SECONDS=600
PATTERN=${1-}
SOURCE=usr/src/xentap-$(<VERSION)	# where "make dkms-source" puts it

matches() { grep -qE -e "$PATTERN" <<<"$1"; }

# What is wrong with a build by its log. Not of our making: the kernel's own
# headers under sparse, and tools of another patch level than the kernel's.
complaints()
{
	grep -E 'warning:|WARNING:|error:' "$1" |
		grep -vE '^/usr/src/linux-headers|^warning: (the compiler|pahole version) differs'
}

# judge_build STATUS: of what is in FOLDER.
judge_build()
{
	if complaints "$FOLDER/log" || [ "$1" != 0 ] || [ ! -s "$FOLDER/$SOURCE/module/xentap.ko" ]; then
		tail -n 20 "$FOLDER/log"
		judge fail "does not build without warnings (status $1)"
	elif [ "$CHECKED" = yes ] && ! grep -q ' CHECK ' "$FOLDER/log"; then
		judge fail "sparse did not run"
	elif [ "$(hook_found "$FOLDER/$SOURCE/module/compat/compat_config.h")" != "$HOOK" ]; then
		judge fail "a page look-up hook was expected: $HOOK; the probes say otherwise"
	else
		judge pass
	fi
}

# All of Debian's kernels have a page look-up hook: where none is found, the
# probes are wrong, and the module would offer copies only.
HOOK=yes
CHECKED=no	# by sparse
hook_found()
{
	if grep -qE '^#define XENTAP_HAVE_FIND_(NORMAL|SPECIAL)_PAGE' "$1"; then
		echo yes
	else
		echo no
	fi
}

make_arguments()
{
	[ "$1" = amd64 ] || echo ARCH="$1" CROSS_COMPILE=aarch64-linux-gnu-
}

# check_kernel SUITE RELEASE ARCH sparse|- [ARGUMENT...]: one line of the table.
check_kernel()
{
	local suite=$1 release=$2 arch=$3 status=0
	[ "$4" = - ] || CHECKED=yes
	shift 4
	prepare "no list of packages for $suite, or no headers in it"
	kernel_find "$suite" "$arch"
	prepare "$KERNEL: the compiler cannot be fetched"
	release_root "$release" "$KERNEL_GCC"
	prepare "$KERNEL: the headers cannot be fetched"
	kernel_headers "$suite" "$arch"
	prepare

	JOB=${JOB%-"$arch"}-$KERNEL
	make -s dkms-source DESTDIR="$FOLDER"
	# shellcheck disable=SC2046 # several arguments
	root_run $BUILD_SECONDS "$HEADERS/root:$ROOT" "$FOLDER" nice -n 19 \
		make -C "/mnt/$SOURCE/module" KDIR="/lib/modules/$KERNEL/build" \
		W=1 C=$([ "$CHECKED" = no ]; echo $?) $(make_arguments "$arch") "$@" >"$FOLDER/log" 2>&1 || status=$?
	judge_build $status
}

# A kernel whose configuration left that hook out: copies are all there is.
check_no_hook()
{
	HOOK=no
	check_kernel "$@" XENTAP_WITHOUT="find_normal_page find_special_page"
}

# With the compiler and as the user of this machine.
check_installed()
{
	local status=0
	make -s dkms-source DESTDIR="$FOLDER"
	timeout $BUILD_SECONDS nice -n 19 make -C "$FOLDER/$SOURCE/module" \
		KDIR="/lib/modules/$1/build" W=1 >"$FOLDER/log" 2>&1 || status=$?
	judge_build $status
}

for build in /lib/modules/*/build; do
	kernel=$(basename "$(dirname "$build")")
	[ ! -e "$build/Makefile" ] || ! matches "kernel-installed $kernel" ||
		run_job "kernel-installed-$kernel" check_installed "$kernel"
done
# check_line FUNCTION NAME SUITE RELEASE ARCH sparse|-
check_line()
{
	local check=$1 name=$2
	shift 2
	if ! matches "$name $*"; then
		return
	elif [ "$(id -u)" != 0 ]; then
		report skip "$name" "needs root, for chroot"
	else
		run_job "$name" "$check" "$@"
	fi
}

while read -r suite release arch sparse; do
	check_line check_kernel "kernel-$suite-$arch" "$suite" "$release" "$arch" "$sparse"
done < <(kernels_table)
check_line check_no_hook kernel-without-hook trixie-backports trixie amd64 -
finish_jobs
