#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The debug hypervisor, inside the image's root file system, /mnt being a
# folder with xen.config:
#
#   build-xen.sh fetch VERSION   Debian's source, patched, and its version
#   build-xen.sh compile         xen, as an ELF file that QEMU loads

set -eu
cd /mnt

# By its two parts: apt has checksums for each, so nothing else is needed.
fetch()
{
	for part in tar diff; do
		apt-get -q source --download-only "--$part-only" "xen=$1" ||
			apt-get -q source --download-only "--$part-only" xen
	done
	mkdir source
	tar -C source --strip-components=1 -xf xen_*.orig.tar.*
	tar -C source -xf xen_*.debian.tar.*
	grep -v '^#' source/debian/patches/series | while read -r patch; do
		patch -d source -sp1 <"source/debian/patches/$patch"
	done
	head -n 1 source/debian/changelog | sed 's/.*(\(.*\)).*/\1/' >version
	rm xen_*.tar.*
}

compile()
{
	cp xen.config source/xen/.config
	make -C source/xen olddefconfig
	! grep '^CONFIG_' xen.config | grep -vxF -f source/xen/.config ||
		{ echo "these are not in the configuration that came of it"; exit 1; }
	make -C source/xen -j"$(nproc)" XEN_VENDORVERSION=-debug
	cp source/xen/xen xen
}

"$@"
