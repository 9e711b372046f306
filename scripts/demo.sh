#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh [--host]: a guest uses a disk of tapdisk, from attach to detach, and
# every claim is checked. In a Xen host inside QEMU, or with --host on this
# machine, which must be a Xen dom0 with xentap installed.

set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'demo: %s\n' "$*"; }

is_dom0() { grep -qs control_d /proc/xen/capabilities; }

if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		say "must run as root: become root, or install sudo" >&2
		exit 1
	}
	exec sudo --preserve-env=XENTAP_LAB_CACHE,XENTAP_LAB_KEEP,XENTAP_LAB_MACHINES,GUEST_KERNEL,GUEST_INITRAMFS "$0" "$@"
fi

if [ "${1-}" = --host ]; then
	is_dom0 || {
		say "this machine is no Xen dom0; plain 'make demo' brings its own in QEMU" >&2
		exit 1
	}
	command -v tap-ctl >/dev/null || {
		say "xentap is not installed here: see Install in README.md" >&2
		exit 1
	}
	if [ ! -e "${GUEST_KERNEL:-/boot/xentap-guest/kernel}" ]; then
		say "making a small guest out of Debian packages ..."
		guest=$(test/lab/lab guest)
		export GUEST_KERNEL=$guest/kernel GUEST_INITRAMFS=$guest/initramfs
	fi
	exec bash scripts/demo-dom0.sh
fi

if is_dom0; then
	say "this machine is a Xen dom0: 'make demo HOST=1' shows the same on it, without QEMU"
fi
say "a Xen host in QEMU, by software emulation: everything in it is real, but slow"
say "the first time takes about ten minutes (downloads, images, DKMS), later ones two"
exec test/lab/lab shell 'bash scripts/demo-dom0.sh'
