# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests that need more of dom0's system than all guests have: what is put into a tree
# of files, and from there into an initramfs of their own; sourced after lib.sh.

# tree_add TREE FILE [PLACE]: a program at that place in the tree, or the one it has here,
# with the libraries it needs.
tree_add()
{
	local library
	install -D -m 755 "$2" "$1${3-$2}"
	# A script has none.
	for library in $(ldd "$2" 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\.so[^ ]*\).*|\1|p'); do
		[ -e "$1$library" ] || install -D -m 755 "$library" "$1$library"
	done
}

# tree_add_modules TREE NAME...: with what they need; /lib/modules/more names them in the
# order in which they are loaded.
tree_add_modules()
{
	local folder=$1/lib/modules name
	mkdir -p "$folder"
	modprobe -a --show-depends "${@:2}" |
		sed -n 's|^insmod .*/\([^/]*\)\.ko.*|\1|p' | awk '!seen[$0]++' >"$folder/more"
	while read -r name; do
		module_unpack "$name" "$folder/$name.ko"
	done <"$folder/more"
}

# tree_initramfs TREE FILE: the guests' own, and the tree. Linux takes one archive after
# the other.
tree_initramfs()
{
	cat "$GUEST_INITRAMFS" >"$2"
	(cd "$1" && find . | cpio --quiet -o -H newc) >>"$2"
}
