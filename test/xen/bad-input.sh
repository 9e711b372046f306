#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
#
# What cannot work is refused, with a sentence that names the image or the part
# that is missing; after each refusal a good image still works.

. "$(dirname "$0")/lib.sh"

# refused CASE WORDS IMAGE: attaching must fail, and what xl or the journal say
# must match WORDS, an extended regular expression.
refused()
{
	local what=$1 words=$2 image=$3 said
	journal_mark
	if xl block-attach host "$(tap_disk "$image" xvdb)" >"$WORK/xl" 2>&1; then
		fail "$what: xl block-attach worked"
	fi
	said=$(cat "$WORK/xl"; journal_since)
	grep -qiE "$words" <<<"$said" ||
		fail "$what: nobody said '$words':"$'\n'"$said"
	ok "$what: $(grep -iE "$words" <<<"$said" | head -n 1)"
	# xl leaves the device in xenstore when attaching fails.
	xl block-detach host xvdb >/dev/null 2>&1 || true
	wait_for 15 "no tapdisk is left after: $what" no_tapdisks
}

works()
{
	xl block-attach host "$(tap_disk "$WORK/good.img" xvdb)"
	assert_eq "$(guest_run host "$(wait_device /dev/xvdb); head -c 4 /dev/xvdb")" good \
		"what the guest reads"
	xl block-detach host xvdb
	wait_for 15 "no tapdisk is left" no_tapdisks
	ok "a good image works"
}

new_mount()
{
	mkdir "$WORK/$1"
	mount "${@:2}" "$WORK/$1"
	MOUNTS+=("$WORK/$1")
}

make_bad_images()
{
	make_image "$WORK/good.img" 4M
	printf good | dd of="$WORK/good.img" conv=notrunc status=none
	make_image "$WORK/odd.img" 1000001
	make_image "$WORK/empty.img" 0
	new_mount ramfs -t ramfs none
	make_image "$WORK/ramfs/disk.img" 4M
	dd if=/dev/zero of="$WORK/ramfs/disk.img" bs=1M count=4 status=none
	mkdir "$WORK/rw"
	make_image "$WORK/rw/disk.img" 4M
	new_mount readonly --bind -o ro "$WORK/rw"
}

# Not by another name either, and not for reading only.
in_use()
{
	local access
	xl block-attach host "$(tap_disk "$WORK/good.img" xvdc)"
	ln "$WORK/good.img" "$WORK/link.img"
	for access in rw ro; do
		if xl block-attach host "$(tap_disk "$WORK/link.img" xvdd "$access")" >"$WORK/xl" 2>&1; then
			fail "one image was attached twice"
		fi
		xl block-detach --force host xvdd >/dev/null 2>&1 || true
	done
	journalctl --quiet -o cat -t tap-ctl -n 20 >"$WORK/journal"
	grep -m 1 "link\.img is in use by domain ${GUESTS[host]} (tapdisk" "$WORK/journal" ||
		fail "nobody said who has the image:"$'\n'"$(<"$WORK/journal")"
	rm "$WORK/link.img"
	xl block-detach host xvdc
	wait_for 15 "no tapdisk is left" no_tapdisks
	ok "an image in use is refused by any name"
}

# Also for who tries to load it: the disk works, by copies, and that is said.
without_module()
{
	local block=/etc/modprobe.d/xentap-test.conf said words
	systemctl stop tapback
	rmmod xentap
	echo "install xentap /bin/false" >"$block"
	# It loads modules itself, and looks at that folder every few seconds only.
	udevadm control --reload
	journal_mark
	systemctl start tapback || true
	works
	said=$(journal_since)
	for words in 'modprobe xentap' 'without the module xentap all data is copied'; do
		grep -q "$words" <<<"$said" || fail "nobody said '$words':"$'\n'"$said"
		ok "without the module: $(grep -m 1 "$words" <<<"$said")"
	done
	rm "$block"
	udevadm control --reload
	modprobe xentap
	systemctl restart tapback
}

# A Xen whose xl refuses backendtype=tap; its number is all that tells.
old_xen()
{
	journal_mark
	echo 17 >"$WORK/minor"
	mount --bind "$WORK/minor" /sys/hypervisor/version/minor
	MOUNTS+=(/sys/hypervisor/version/minor)
	systemctl restart tapback
	journal_since -t tapback >"$WORK/journal"
	umount /sys/hypervisor/version/minor
	unset 'MOUNTS[-1]'
	grep -E 'Xen 4\.17.*backendtype=tap.*4\.19' "$WORK/journal" ||
		fail "tapback does not warn of Xen 4.17:"$'\n'"$(<"$WORK/journal")"
	systemctl restart tapback
	ok "a Xen that is too old is named"
}

create_fails_too()
{
	if guest_create nodisk pv "$(tap_disk "$WORK/missing.img" xvda)" >"$WORK/xl" 2>&1; then
		fail "xl create worked without an image"
	fi
	guest_is_gone nodisk || fail "a guest was left after xl create failed"
	unset "GUESTS[nodisk]"
	ok "xl create fails without an image: $(grep -m 1 error "$WORK/xl")"
}

require_xentap
make_bad_images
guest_create host pv
guest_wait_up host
works
refused "no image" 'there is no image .*missing\.img' "$WORK/missing.img"
refused "image not writable" 'readonly/disk\.img .*access=ro' "$WORK/readonly/disk.img"
refused "no O_DIRECT" 'ramfs/disk\.img .*direct I/O' "$WORK/ramfs/disk.img"
refused "odd size" 'odd\.img.*512' "$WORK/odd.img"
refused "zero length" 'empty\.img.*(empty|0 bytes|no data|size|length)' "$WORK/empty.img"
in_use
without_module
works
old_xen
create_fails_too
works
guest_shutdown host
assert_no_grants
