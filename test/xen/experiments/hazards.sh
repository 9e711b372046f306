#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Experiments, not tests: what the kernel's own gntdev does with grants that
# somebody still holds, and xentap in the same place.  Each argument is one run,
# the words those of hazards.c, one after the other in the same host, which may
# not survive:
#
#	test/lab/lab shell bash test/xen/experiments/hazards.sh \
#		"'gntdev busy uring kill'" "'xentap busy uring kill guest'"
#
# "guest": pages of a PV guest instead of dom0's own; "destroy": it is destroyed
# while they are held.  ARCHITECTURE.md says what was seen.

. "$(dirname "$0")/../lib.sh"
. "$TEST_DIR/module/common.sh"

grants_of_all()
{
	xl dmesg -c >/dev/null
	xl debug-keys g
	xl dmesg | grep -aE 'grant-table for remote|\[0x' || true
}

# prepare_grants: a guest, if there is none, and its four grants in GREFS.
prepare_grants()
{
	if [ ! "${GUESTS[granter]-}" ]; then
		guest_create granter pv
		guest_wait_up granter
	fi
	granter_grant granter 4
}

experiment()
{
	local word words=() guest='' destroy=''
	for word in "$@"; do
		case $word in
		guest) guest=yes ;;
		destroy) destroy=yes ;;
		*) words+=("$word") ;;
		esac
	done
	echo "==== $*"
	if [ "$guest" ]; then
		prepare_grants
		words+=("${GUESTS[granter]}" "${GREFS[@]}")
	fi
	DESTROY=
	[ ! "$destroy" ] || DESTROY="xl destroy granter; sleep 2; xl list"
	export DESTROY
	dmesg -C
	timeout -k 5 $((60 * PATIENCE)) "$PROGRAM" "${words[@]}" || echo "status $?"
	echo "-- Xen's table of grants:"
	grants_of_all
	echo "-- Xen's log:"
	xl dmesg | grep -avE 'grant|gnttab|\[0x|\[ref\]|active|maptrack' | tail -n 20 || true
	[ ! "$destroy" ] || { xl list; unset 'GUESTS[granter]'; }
}

uname -r
xl info | grep -E '^xen_version|^xen_caps'
modprobe xen-gntalloc
modprobe xen-gntdev
modprobe xentap || true
held_make
module_program hazards
for run in "$@"; do
	# shellcheck disable=SC2086 # words
	experiment $run
done
held_remove
echo "==== done"
