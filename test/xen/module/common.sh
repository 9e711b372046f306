# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the module share; sourced after lib.sh.

# module_program NAME: its place in PROGRAM. The lab has built it already.
module_program()
{
	PROGRAM=$SOURCE/../tests/$1
	[ ! -x "$PROGRAM" ] || return 0
	make -s -C "$TEST_DIR/module" BUILD="$WORK/build" "$WORK/build/$1"
	PROGRAM=$WORK/build/$1
}

# test_module_file: test/kmod, which the lab has built already, in TEST_MODULE.
test_module_file()
{
	TEST_MODULE=$SOURCE/../tests/xentap_test.ko
	[ ! -e "$TEST_MODULE" ] || return 0
	make -s -C "$TEST_DIR/../kmod" BUILD="$WORK/kmod"
	TEST_MODULE=$WORK/kmod/xentap_test.ko
}

test_module_load()
{
	test_module_file
	insmod "$TEST_MODULE"
}

# held_make: the block device of held.h. Whatever udev would look for on it, it
# would wait for: it gets no events until held_remove.
held_make()
{
	local below=/dev/ram0
	command -v dmsetup >/dev/null || skip "dmsetup is not installed"
	modprobe brd rd_nr=1 rd_size=16384
	modprobe dm-delay
	udevadm settle
	dmsetup create xentap-held --table "0 $(blockdev --getsz $below) linear $below 0"
	udevadm settle
	udevadm control --stop-exec-queue
	CLEANUPS+=(held_remove)
	dmsetup suspend --noudevsync xentap-held
	dmsetup load xentap-held --table "0 $(blockdev --getsz $below) delay $below 0 100000000"
	dmsetup resume --noudevsync xentap-held
}

held_remove()
{
	[ -e /dev/mapper/xentap-held ] || return 0
	dmsetup suspend --noudevsync xentap-held
	dmsetup load xentap-held --table "0 8 error"
	dmsetup resume --noudevsync xentap-held
	udevadm control --start-exec-queue
	udevadm settle
	dmsetup remove --retry xentap-held
}

# Themes: the programs of this folder, described in harness.h.

# The daemons are not needed; with no disk, they have nothing of the module open.
themes_start()
{
	modprobe xentap 2>/dev/null || skip "the module xentap is not installed"
	modprobe xen-gntalloc || skip "this kernel has no gntalloc"
}

host_is_pv() { [ "$(cat /sys/hypervisor/guest_type 2>/dev/null || echo PV)" = PV ]; }

# theme_own NAME: with grants that dom0 makes to itself. In a domain that Xen
# translates that would take the page from its owner, who is to have it once only.
theme_own()
{
	host_is_pv || { echo "note: $1 is run with a guest's grants only"; return 0; }
	module_program "$1"
	"$PROGRAM" "$WORK/data"
	ok "$1, with dom0's own grants"
}

# granter_start NAME: a guest that grants pages to dom0, for theme_of.
granter_start()
{
	guest_create "$1" pv
	guest_wait_up "$1"
	granter_grant "$1"
}

# granter_grant NAME [PAGES [DOMID]]: grants anew; their numbers in GREFS.
granter_grant()
{
	local node list
	node=$(guest_path "$1")/grants
	xenstore-rm "$node" 2>/dev/null || true
	guest_start_job "$1" "guest-grant ${3-0} ${2-64}"
	wait_for 30 "the guest has published its grants" xenstore-exists "$node"
	read -ra list <<<"$(xenstore-read "$node")"
	GREFS=("${list[@]:1}")
}

# theme_of NAME GUEST
theme_of()
{
	module_program "$1"
	"$PROGRAM" "$WORK/data" "${GUESTS[$2]}" "${GREFS[@]}"
	ok "$1, with a guest's grants"
}

# What dom0 grants to itself is in no guest's table.
own_grants_in_xen()
{
	xl dmesg -c >/dev/null
	xl debug-keys g
	xl dmesg | awk '
		match($0, /grant-table for remote d[0-9]+/) {
			domid = substr($0, RSTART + 24, RLENGTH - 24)
		}
		match($0, /\[0x[0-9a-f]+\]/) && domid == "0" { print $2, "by domain", $3 }'
}

# module_reload [PARAMETER...]: it goes, which it does only when nothing is in use.
# shellcheck disable=SC2120 # module-limits.sh has parameters
module_reload()
{
	rmmod xentap || fail "the module cannot be unloaded; users: $(lsmod | grep xentap)"
	modprobe xentap "$@"
}

# themes_end: nothing of all that is left.
themes_end()
{
	local left
	assert_no_zombie
	assert_no_grants
	left=$(own_grants_in_xen)
	[ -z "$left" ] || fail "Xen still counts mappings of dom0's own grants:" "$left"
	module_reload
	ok "the module was unloaded and loaded again"
}
