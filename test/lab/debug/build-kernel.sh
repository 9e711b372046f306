#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The debug kernel, inside the image's root file system, /mnt being a folder
# with kernel.config and kernel.patch:
#
#   build-kernel.sh fetch SERIES VERSION   Debian's source, and its version
#   build-kernel.sh configure
#   build-kernel.sh compile
#   build-kernel.sh install                vmlinuz, modules and headers in out/

set -eu
cd /mnt

# The version the image runs may be gone from the archive; a debug kernel of
# the next one does as well.
fetch()
{
	apt-get -q download "linux-source-$1=$2" || apt-get -q download "linux-source-$1"
	dpkg-deb --field linux-source-*.deb Version >version
	dpkg-deb --fsys-tarfile linux-source-*.deb |
		tar -xO "./usr/src/linux-source-$1.tar.xz" | tar -xJ
	rm linux-source-*.deb
	mv "linux-source-$1" source
	patch -d source -p1 <kernel.patch
}

# An option may be dropped, because of another one that is missing, without a
# word; a check that is off finds nothing.
configure()
{
	make -C source O=/mnt/objects KCONFIG_ALLCONFIG=/mnt/kernel.config allnoconfig
	! grep '^CONFIG_' kernel.config | grep -vxF -f objects/.config ||
		{ echo "these are not in the configuration that came of it"; exit 1; }
}

compile() { make -C objects -j"$(nproc)" bzImage modules; }

install()
{
	release=$(cat objects/include/config/kernel.release)
	mkdir -p out/boot "out/usr/src/linux-headers-$release"
	cp objects/arch/x86/boot/bzImage "out/boot/vmlinuz-$release"
	cp objects/.config "out/boot/config-$release"
	cp objects/System.map "out/boot/System.map-$release"
	make -C objects modules_install INSTALL_MOD_PATH=/mnt/out/usr
	# What modules are built from, complete in itself.
	# shellcheck disable=SC2016 # make expands it
	make -C objects run-command KBUILD_RUN_COMMAND='$(srctree)/scripts/package/install-extmod-build '"/mnt/out/usr/src/linux-headers-$release"
	cp objects/.config "out/usr/src/linux-headers-$release/"
	ln -sfn "/usr/src/linux-headers-$release" "out/usr/lib/modules/$release/build"
	echo "$release" >out/kver
}

"$@"
