#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
# time limit: 400
#
# The grant behind an address: a guest shares pages and says which; dom0 maps
# them through /dev/xen/tap and must be told the same grants for them.

. "$(dirname "$0")/lib.sh"

PAGES=64

require_xentap
command -v cc >/dev/null || skip "there is no C compiler"
cc -O2 -Wall -I "$SOURCE/include/uapi" -o "$WORK/grant-probe" "$TEST_DIR/grant-probe.c"
for type in pv pvh; do
	guest_create "$type" "$type"
	guest_wait_up "$type"
	guest_start_job "$type" "guest-grant 0 $PAGES"
	wait_for 30 "the guest has published its grants" \
		xenstore-exists "$(guest_path "$type")/grants"
	read -ra grants <<<"$(xenstore-read "$(guest_path "$type")/grants")"
	assert_eq "${#grants[@]}" $((PAGES + 1)) "words published by the guest"
	"$WORK/grant-probe" "${GUESTS[$type]}" "${grants[@]}" || fail "grant-probe, see above"
	guest_must "$type" 'killall -USR1 guest-grant'
	wait_for 30 "the guest has counted" xenstore-exists "$(guest_path "$type")/inverted"
	assert_eq "$(xenstore-read "$(guest_path "$type")/inverted")" "$PAGES" \
		"pages in which the $type guest sees dom0's writes"
	ok "$type: addresses, grants and contents agree both ways"
	assert_no_grants
	guest_destroy "$type"
done
assert_no_zombie
