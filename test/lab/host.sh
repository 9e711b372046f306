# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Kinds of host.  Each is a file hosts/NAME that sets these variables:
#
# HOST_SUITE           Debian release of dom0
# HOST_MACHINE         the emulated machine: arguments of QEMU, an array
# HOST_DEVICE_OPTIONS  options of each of its virtio devices, with a comma first
# HOST_XEN_ARGS        command line of Xen
# HOST_DOM0_ARGS       command line of dom0's kernel
# HOST_PATIENCE        factor for all time limits; whole
#
# HOST_EXTEND          for a dom0 or Xen that is not Debian's: a function of the
#                      file that makes another image from IMAGE, as image_build
#                      does, by cache_make, and lets IMAGE name it; or empty.
#                      Beside function F is F_is_done: nothing long is left.
#
# HOST_NATIVE          folder of the source whose Makefile is run natively in the image's
#                      root file system, if XENTAP_LAB_NATIVE names none; or empty.
#                      What it puts into its BUILD is in /run/lab/native
#
# Hosts that agree on suite and function share one image.

HOST_DEFAULT=pv

host_names() { (cd "$LAB_DIR/hosts" && echo *); }

# host_load NAME
host_load()
{
	[ -f "$LAB_DIR/hosts/$1" ] ||
		die "there is no host $1; there are: $(host_names)"
	host_like "$1"
	HOST_NAME=$1
	HOST_PATIENCE=$((HOST_PATIENCE * ${XENTAP_LAB_PATIENCE:-1}))
}

# host_like NAME: in a host's file, all that another one is.
host_like()
{
	# shellcheck source=/dev/null
	. "$LAB_DIR/hosts/$1"
}
