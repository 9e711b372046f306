# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From the source tree to the payload: the read-only drive that a host is given
# for one test.

# source_files [PATH...]: what belongs to the source, relative to its top; no
# objects, which were made for another system.
source_files()
{
	if git -C "$LAB_SOURCE" rev-parse --show-toplevel 2>/dev/null |
			grep -qxF "$LAB_SOURCE"; then
		git -C "$LAB_SOURCE" ls-files -co --exclude-standard -- "$@"
	else
		(cd "$LAB_SOURCE" && find "$@" -type f ! -name '*.[oad]' ! -name '*.ko' | sed 's,^\./,,')
	fi | (cd "$LAB_SOURCE" && while IFS= read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done) | sort
}

source_hash()
{
	source_files "$@" | (cd "$LAB_SOURCE" && xargs -d '\n' sha256sum) |
		sha256sum | cut -c1-12
}

# source_copy FOLDER: makes FOLDER hold this source, and leaves the objects of
# an earlier build there alone; make does only what has changed.
source_copy()
{
	local folder=$1
	mkdir -p "$folder"
	source_files >"$folder/.files.new"
	if [ -e "$folder/.files" ]; then
		comm -23 "$folder/.files" "$folder/.files.new" |
			(cd "$folder" && xargs -r -d '\n' rm -f)
	fi
	tar -C "$LAB_SOURCE" -cf - -T "$folder/.files.new" | tar -C "$folder" -xf -
	mv "$folder/.files.new" "$folder/.files"
}

# payload_make FILE IMAGE GUEST PARTS: also FILE.programs, the key of the
# programs in it.  PARTS is "host" for tests that need
# nothing of this project, "xentap" for the others.
payload_make()
{
	local file=$1 image=$2 guest=$3 parts=$4 name work native
	name=build-$(echo "$LAB_SOURCE" | sha256sum | cut -c1-12)
	work=$image/$name
	(
		cache_lock exclusive "${image##*/}/$name"
		source_copy "$work/source"
		rm -rf "$work/payload"
		mkdir -p "$work/payload"
		if [ "$parts" = xentap ]; then
			payload_build "$image" "$work"
			programs_hash "$work/payload" >"$file.programs"
		fi
		native=${XENTAP_LAB_NATIVE-$HOST_NATIVE}
		[ -z "$native" ] || payload_native "$image" "$work" "$native"
		source_files | tar -C "$LAB_SOURCE" -cf - -T - |
			tar -C "$work/payload" --one-top-level=source -xf -
		mkdir "$work/payload/guest"
		ln "$guest/kernel" "$guest/initramfs" "$work/payload/guest/"
		guest_suites_link "$work/payload/guest"
		truncate -s "$PAYLOAD_SIZE" "$file"
		mkfs.ext4 -q -O ^has_journal -m 0 -d "$work/payload" "$file"
	)
}

programs_hash()
{
	(cd "$1" && find programs -type f -exec sha256sum {} + | sort -k2) |
		sha256sum | cut -c1-12
}

# payload_build IMAGE WORK: payload/programs, payload/module, payload/tests
payload_build()
{
	local image=$1 work=$2
	mkdir "$work/payload/programs"
	run_step "daemons" image_run "$image" "$work" \
		make -C /mnt/source -j"$(nproc)" PREFIX=/usr daemon
	run_step "staging the daemons" image_run "$image" "$work" \
		make -C /mnt/source install DESTDIR=/mnt/payload/programs PREFIX=/usr
	run_step "test programs" image_run "$image" "$work" \
		make -C /mnt/source/test/xen/module -j"$(nproc)" BUILD=/mnt/tests
	mkdir "$work/payload/tests"
	find "$work/tests" -maxdepth 1 -type f -executable -exec cp -t "$work/payload/tests" {} +
	[ -d "$work/$(kmod_key)" ] || kmod_compile "$image" "$work"
	cp "$work/$(kmod_key)/xentap_test.ko" "$work/payload/tests/"
	[ -d "$work/$(module_key)" ] || module_compile "$image" "$work"
	cp -a "$work/$(module_key)" "$work/payload/module"
}

# payload_native IMAGE WORK FOLDER: payload/native, which the Makefile in that folder
# of the source fills.
payload_native()
{
	local image=$1 work=$2 folder=$3
	run_step "$folder" image_run "$image" "$work" \
		make -C "/mnt/source/$folder" BUILD=/mnt/payload/native \
		KDIR="/lib/modules/$(<"$image/kver")/build"
}

# By DKMS, but natively in dom0's root file system: the compiler takes minutes
# under emulation.
module_compile()
{
	local image=$1 work=$2 folder
	folder=$(module_key)
	rm -rf "$work"/module-*
	mkdir "$work/$folder.new"
	# shellcheck disable=SC2016 # for the inner shell
	run_step "module, by DKMS" image_run "$image" "$work" sh -ec '
		tree=/mnt/$1 kver=$2
		version=$(cat /mnt/source/VERSION)
		trees="--sourcetree $tree/usr/src --dkmstree $tree/var/lib/dkms"
		mkdir -p "$tree/var/lib/dkms"
		make -C /mnt/source dkms-source "DESTDIR=$tree"
		dkms add $trees -m xentap -v "$version"
		dkms build $trees -m xentap -v "$version" -k "$kver"
		ln -sfn "/usr/src/xentap-$version" "$tree/var/lib/dkms/xentap/$version/source"
		' sh "$folder.new" "$(<"$image/kver")"
	mv "$work/$folder.new" "$work/$folder"
}

# The module that tests the module, which is built beside it for its symbols.
kmod_key() { echo "kmod-$(source_hash dkms.conf VERSION Makefile module include test/kmod)"; }

kmod_compile()
{
	local image=$1 work=$2 folder
	folder=$(kmod_key)
	rm -rf "$work"/kmod-*
	run_step "test module" image_run "$image" "$work" \
		make -C /mnt/source/test/kmod -j"$(nproc)" "BUILD=/mnt/$folder.new" \
		"KDIR=/lib/modules/$(<"$image/kver")/build"
	mv "$work/$folder.new" "$work/$folder"
}
