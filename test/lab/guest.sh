# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guests' kernel and initramfs: Debian's own kernel, busybox, a few test
# programs with their libraries, and the job loop of guest/init.

# Loaded in this order, each after what it depends on.
GUEST_MODULES=(crc32c_generic ext4 xen-blkfront xen-evtchn xen-gntalloc xen-gntdev)
GUEST_PROGRAMS=(
	/usr/sbin/mke2fs /usr/sbin/e2fsck /usr/sbin/resize2fs
	/usr/bin/xenstore-read /usr/bin/xenstore-write /usr/bin/xenstore-watch
	/usr/bin/xenstore-rm /usr/bin/xenstore-exists
)

# Of test/xen, in C.
GUEST_SOURCES=(guest-grant.c power-cut-write.c power-cut.h power-cut-xenstore.h hostile)

guest_key() { echo "guest-$(hash_of test/lab/guest.sh test/lab/guest "${GUEST_SOURCES[@]/#/test/xen/}")"; }

# guest_build FOLDER IMAGE: kernel initramfs
guest_build() { run_step "initramfs of the guests" guest_build_parts "$@"; }

guest_build_parts()
{
	local folder=$1 image=$2 tree=$1/tree kver
	kver=$(<"$image/kver")
	mkdir -p "$tree"/{bin,sbin,dev,proc,sys,tmp,mnt,etc,lib/modules}
	cp "$LAB_DIR/guest/init" "$LAB_DIR/guest/poweroff" "$tree/sbin/"
	ln -s sbin/init "$tree/init"
	guest_add_busybox "$tree" "$image/rootfs"
	guest_add_programs "$tree" "$image/rootfs"
	guest_add_modules "$tree" "$image/rootfs" "$kver"
	image_run "$image" "$tree" sh -s /mnt <"$LAB_DIR/guest/fio-light.sh"
	guest_compile "$image" "$folder" guest-grant "$LAB_SOURCE/test/xen/guest-grant.c"
	guest_compile "$image" "$folder" power-cut-write "$LAB_SOURCE/test/xen/power-cut-write.c" \
		"$LAB_SOURCE"/test/xen/power-cut*.h
	guest_compile "$image" "$folder" hostile-frontend "$LAB_SOURCE"/test/xen/hostile/*.[ch]
	guest_pack "$tree" "$folder/initramfs"
	python3 "$LAB_DIR/guest/unpack-kernel.py" "$image/vmlinuz" "$folder/kernel"
}

# guest_pack TREE FILE: the tree goes away.
guest_pack()
{
	(cd "$1" && find . | cpio --quiet -o -H newc) >"$2"
	rm -rf "$1"
}

# guest_compile IMAGE FOLDER NAME SOURCE...: a program without libraries, in the tree's bin.
guest_compile()
{
	local image=$1 folder=$2 name=$3
	shift 3
	mkdir "$folder/source"
	cp "$@" "$folder/source/"
	image_run "$image" "$folder" \
		sh -c "gcc -std=gnu11 -O2 -Wall -Werror -static -o /mnt/tree/bin/$name /mnt/source/*.c -laio"
	rm -r "$folder/source"
}

guest_add_busybox()
{
	local tree=$1 root=$2 applet
	cp "$root/bin/busybox" "$tree/bin/"
	for applet in $("$root/bin/busybox" --list); do
		[ -e "$tree/bin/$applet" ] || [ -e "$tree/sbin/$applet" ] || ln -s busybox "$tree/bin/$applet"
	done
}

# The programs and every library they are linked with, at the same paths.
guest_add_programs()
{
	local tree=$1 root=$2 file
	{
		printf '%s\n' "${GUEST_PROGRAMS[@]}"
		chroot "$root" ldd "${GUEST_PROGRAMS[@]}" | grep -o '/[^ ]*\.so[^ ]*'
	} | sort -u | while read -r file; do
		mkdir -p "$tree${file%/*}"
		cp -L "$root$file" "$tree$file"
	done
	ln -s mke2fs "$tree/usr/sbin/mkfs.ext4"
}

guest_add_modules()
{
	local tree=$1 root=$2 kver=$3 verb file name _
	modprobe -d "$root" -a -S "$kver" --show-depends "${GUEST_MODULES[@]}" |
		while read -r verb file _; do
			# Accelerated crypto refuses to load where the processor lacks it.
			[[ $verb = insmod && $file != */arch/x86/crypto/* ]] || continue
			name=$(basename "$file" .xz)
			if [[ $file = *.xz ]]; then
				xz -dc "$file" >"$tree/lib/modules/$name"
			else
				cp "$file" "$tree/lib/modules/$name"
			fi
			echo "$name"
		done | awk '!seen[$0]++' >"$tree/lib/modules/order"
}
