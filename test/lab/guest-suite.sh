# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The same guests with the kernels of other suites of Debian, for tests with a line
# "# guests: SUITE..." at their top. Made from the guest's own initramfs, and kept
# inside its folder.

GUEST_SUITES=()	# that the tests of this run want

guest_suites_of()
{
	local test
	for test in "$@"; do
		header "$test" guests ""
	done | tr ' ' '\n' | sort -u | grep . || true
}

guest_suite_key() { echo "$1-$(hash_of test/lab/guest-suite.sh test/lab/guest/unpack-kernel.py)"; }

# guest_suites_prepare: those that can be had; a test says itself what it misses.
guest_suites_prepare()
{
	local suite
	for suite in "${GUEST_SUITES[@]}"; do
		(cache_make "${GUEST#"$LAB_CACHE/"}/$(guest_suite_key "$suite")" \
			guest_suite_build "$IMAGE" "$GUEST" "$suite") ||
			say "there is no kernel of Debian $suite for guests"
	done
}

# guest_suites_link FOLDER: SUITE/kernel and SUITE/initramfs in it.
guest_suites_link()
{
	local suite from
	for suite in "${GUEST_SUITES[@]}"; do
		from=$GUEST/$(guest_suite_key "$suite")
		[ -d "$from" ] || continue
		mkdir "$1/$suite"
		ln "$from/kernel" "$from/initramfs" "$1/$suite/"
	done
}

# guest_suite_build FOLDER IMAGE GUEST SUITE: kernel initramfs
guest_suite_build() { run_step "guests with the kernel of Debian $4" guest_suite_parts "$@"; }

guest_suite_parts()
{
	local folder=$1 image=$2 guest=$3 suite=$4 root=$1/root tree=$1/tree package kver
	apt_update "$suite"
	package=$(package_field "$suite" linux-image-amd64 Depends | grep -oE 'linux-image-[0-9][^ ,]*')
	(cd "$folder" && apt_for "$suite" timeout 300 apt-get -qq download "$package")
	dpkg-deb -x "$folder"/linux-image-*.deb "$root"
	[ -d "$root/lib" ] || ln -s usr/lib "$root/lib"
	kver=${package#linux-image-}
	image_run "$image" "$folder" depmod -b /mnt/root "$kver"
	mkdir "$tree"
	(cd "$tree" && cpio --quiet -id) <"$guest/initramfs"
	rm -r "$tree/lib/modules"/*
	guest_add_modules "$tree" "$root" "$kver"
	guest_pack "$tree" "$folder/initramfs"
	python3 "$LAB_DIR/guest/unpack-kernel.py" "$root/boot/vmlinuz-$kver" "$folder/kernel"
	rm -r "$root" "$folder"/*.deb
}
