# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The debug host: the lab's image with a kernel and a hypervisor that look for
# faults, both compiled from Debian's sources in the image's root file system.
# They are kept at the top of the cache, as images come and go more often.

KERNEL_MINUTES=150	# limits; what it takes is in test/README.md
XEN_MINUTES=30
LOCK_SECONDS=$(((KERNEL_MINUTES + 30) * 60))

debug_kernel_key() { debug_key kernel "$1" linux-image-amd64; }
debug_xen_key() { debug_key xen "$1" xen-hypervisor-4.20-amd64; }

# debug_key WHAT IMAGE PACKAGE: of the recipe and of Debian's versions.
debug_key()
{
	{
		(cd "$LAB_DIR/debug" && sha256sum packages "build-$1.sh" "$1".*)
		debug_version "$2" "$3"
		debug_version "$2" gcc
	} | sha256sum | sed "s/^\(.\{12\}\).*/debug$1-\1/"
}

debug_version()
{
	# shellcheck disable=SC2016 # dpkg-query expands it
	dpkg-query --admindir="$1/rootfs/var/lib/dpkg" -W -f '${Version}\n' "$2"
}

# debug_kernel_build FOLDER IMAGE: boot/ usr/ kver version
debug_kernel_build()
{
	local folder=$1 image=$2 work=$1/work kver
	kver=$(<"$image/kver")
	debug_tools "$folder" "$image" kernel
	run_step "source of the debug kernel" debug_run "$folder" 15m build-kernel.sh fetch \
		"$(cut -d. -f1,2 <<<"$kver")" "$(debug_version "$image" linux-image-amd64)"
	run_step "configuration of the debug kernel" debug_run "$folder" 5m build-kernel.sh configure
	run_long "compiling the debug kernel" debug_run "$folder" "${KERNEL_MINUTES}m" build-kernel.sh compile
	run_step "headers of the debug kernel" debug_run "$folder" 10m build-kernel.sh install
	mv "$work"/out/* "$work/version" "$folder/"
	rm -rf "$work" "$folder/tools"
}

# debug_xen_build FOLDER IMAGE: xen version
debug_xen_build()
{
	local folder=$1 image=$2 work=$1/work
	debug_tools "$folder" "$image" xen
	run_step "source of the debug Xen" debug_run "$folder" 10m build-xen.sh fetch \
		"$(debug_version "$image" xen-hypervisor-4.20-amd64)"
	run_long "compiling the debug Xen" debug_run "$folder" "${XEN_MINUTES}m" build-xen.sh compile
	mv "$work/xen" "$work/version" "$folder/"
	rm -rf "$work" "$folder/tools"
}

# debug_tools FOLDER IMAGE WHAT: tools/rootfs, a copy of the image's with the
# compilers' helpers added, and work/ with the recipe of WHAT.
debug_tools()
{
	local folder=$1 image=$2 root=$1/tools/rootfs
	mkdir -p "$folder/tools" "$folder/work"
	cp "$LAB_DIR/debug/build-$3.sh" "$LAB_DIR/debug/$3".* "$folder/work/"
	run_step "copy of the root file system" cp -a --reflink=auto "$image/rootfs" "$root"
	cp -L --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
	sed -n 's/^deb /deb-src /p' "$image/rootfs/etc/apt/sources.list" >>"$root/etc/apt/sources.list"
	run_step "packages to compile with" debug_install "$folder"
}

debug_install()
{
	local packages
	mapfile -t packages < <(grep -v -e '^#' -e '^$' "$LAB_DIR/debug/packages")
	image_run "$1/tools" "$1/work" timeout --foreground 15m sh -ec '
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q update
		apt-get -q install -y --no-install-recommends "$@"' sh "${packages[@]}"
}

# debug_run FOLDER LIMIT SCRIPT ARGUMENT...: part of a recipe, in the tools' root.
debug_run()
{
	local folder=$1 limit=$2 script=$3
	shift 3
	image_run "$folder/tools" "$folder/work" timeout --foreground --kill-after=30 "$limit" \
		nice -n 19 sh "/mnt/$script" "$@"
}

# What a kind of host calls to have IMAGE replaced.
debug_extend()
{
	local kernel name XEN
	kernel=$(debug_kernel_key "$IMAGE")
	cache_make "$kernel" debug_kernel_build "$IMAGE"
	debug_xen
	name=$(debug_image_key "$IMAGE" "$kernel" "$XEN")
	cache_make "$name" debug_image_build "$IMAGE" "$LAB_CACHE/$kernel" "$XEN"
	IMAGE=$LAB_CACHE/$name
}

# debug_xen: XEN is the folder of one that looks for faults, or of Debian's, where the
# archive has no source of it at the moment.
debug_xen()
{
	local name
	name=$(debug_xen_key "$IMAGE")
	XEN=$LAB_CACHE/$name
	if (cache_make "$name" debug_xen_build "$IMAGE"); then
		cache_lock shared "$name"
		return
	fi
	XEN=$IMAGE
	say "no debug Xen could be made: this is Debian's own, which does not look for faults"
}

debug_extend_is_done()
{
	[ -d "$LAB_CACHE/$(debug_kernel_key "$IMAGE")" ]
}

debug_image_key()
{
	{
		echo "$@"
		declare -f debug_image_build debug_trim_boot
	} | sha256sum | sed 's/^\(.\{12\}\).*/debugimage-\1/'
}

# debug_image_build FOLDER IMAGE KERNEL XEN: an image like any other: rootfs/
# disk.img xen vmlinuz initrd kver.  What it shares with IMAGE are hard links;
# nobody writes to either.
debug_image_build()
{
	local folder=$1 image=$2 kernel=$3 xen=$4 root=$1/rootfs kver
	kver=$(<"$kernel/kver")
	cp -al "$image/rootfs" "$root"
	cp -a "$kernel/boot" "$kernel/usr" "$root/"
	chroot "$root" depmod "$kver"
	debug_trim_boot "$root"
	ln "$kernel/boot/vmlinuz-$kver" "$folder/vmlinuz"
	ln "$xen/xen" "$folder/xen"
	# The kernel has what it boots from built in.
	cpio --quiet -o -H newc </dev/null >"$folder/initrd"
	echo "$kver" >"$folder/kver"
	run_step "disk image" image_make_disk "$root" "$folder/disk.img"
}

# systemd gives up when its generators take 90 seconds, and none has work here.
debug_trim_boot()
{
	local file masks=$1/etc/systemd/system-generators
	mkdir -p "$masks"
	for file in "$1"/usr/lib/systemd/system-generators/*; do
		ln -sf /dev/null "$masks/${file##*/}"
	done
}

# run_long DESCRIPTION COMMAND...: run_step with a line of progress each minute.
run_long()
{
	local what=$1 log begin=$SECONDS next=60 pid
	shift
	log=$(mktemp)
	say "$what ..."
	("$@") >"$log" 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		[ $((SECONDS - begin)) -ge "$next" ] || continue
		next=$((next + 60))
		say "$what: $(grep -c '^ *CC ' "$log") files after $((SECONDS - begin)) s"
	done
	if wait "$pid"; then
		say "$what: done after $((SECONDS - begin)) s"
		rm -f "$log"
	else
		tail -n 40 "$log" >&2
		die "$what failed; the end of its output is above, all of it in $log"
	fi
}
