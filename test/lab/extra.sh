# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For kinds of host that need more of Debian than the others: the lab's image with
# HOST_EXTRA_PACKAGES added.

extra_extend()
{
	local name
	name=$(extra_image_key)
	cache_make "$name" extra_image_build "$IMAGE"
	IMAGE=$LAB_CACHE/$name
}

extra_extend_is_done() { [ -d "$LAB_CACHE/$(extra_image_key)" ]; }

extra_image_key()
{
	{
		echo "$IMAGE" "${HOST_EXTRA_PACKAGES[@]}"
		declare -f extra_image_build extra_install
	} | sha256sum | sed 's/^\(.\{12\}\).*/extraimage-\1/'
}

# extra_image_build FOLDER IMAGE: an image like any other: rootfs/ disk.img xen
# vmlinuz initrd kver. Its files are its own, since dpkg writes into some.
extra_image_build()
{
	local folder=$1 image=$2
	run_step "copy of the root file system" cp -a --reflink=auto "$image/rootfs" "$folder/rootfs"
	run_step "${HOST_EXTRA_PACKAGES[*]}" extra_install "$folder"
	ln "$image/xen" "$image/vmlinuz" "$image/initrd" "$image/kver" "$folder/"
	run_step "disk image" image_make_disk "$folder/rootfs" "$folder/disk.img"
}

extra_install()
{
	local root=$1/rootfs
	mkdir "$1/mnt"
	cp -L --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
	image_run "$1" "$1/mnt" timeout --foreground 15m sh -ec '
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q update
		apt-get -q install -y --no-install-recommends "$@"
		apt-get clean' sh "${HOST_EXTRA_PACKAGES[@]}"
	rmdir "$1/mnt"
	# As image_configure: or the first boot makes the caches anew.
	touch "$root/etc/.updated" "$root/var/.updated"
}
