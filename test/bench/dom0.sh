#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark's part that runs in dom0: dom0.sh PROGRAMS [batches|live|tables|
# guest]... Prints the lines of bench-grants.
#
# PROGRAMS is the folder that test/bench/Makefile filled. With another build of
# the module in PROGRAMS/before, "batches" is done with that one, too.

PROGRAMS=$(realpath "$1")
PARTS=("${@:2}")

# The functions that make a guest.
. "$(dirname "$0")/../xen/lib.sh"

LIVE_MOST=131072
LIMITS=("max_grants=$LIVE_MOST" "max_grants_domid=$LIVE_MOST" "max_slots=$LIVE_MOST")

note() { echo "NOTE $*"; }

load_module()
{
	local folder=$1
	rmmod xentap 2>/dev/null || true
	insmod "$folder/xentap.ko" "${LIMITS[@]}"
}

bench() { "$PROGRAMS/bench-grants" "$@" | sed -u "s/^RESULT /RESULT module=$MODULE /"; }

batches()
{
	bench batches own 1 4 16 64 256
}

guest()
{
	local grants
	guest_create granter pv
	guest_wait_up granter
	guest_start_job granter "guest-grant 0 64"
	wait_for 60 "the guest has published its grants" \
		xenstore-exists "$(guest_path granter)/grants"
	read -ra grants <<<"$(xenstore-read "$(guest_path granter)/grants")"
	bench batches "$(xl domid granter)" 1 4 16 64 -- "${grants[@]:1}"
	guest_destroy granter
}

live()
{
	bench live 1 1024 16384 "$LIVE_MOST"
}

tables()
{
	bench tables 1 1024 16384 "$LIVE_MOST"
}

quiet_host()
{
	# Nothing else should run; what is not there need not stop.
	systemctl stop tapback cron systemd-journald.socket systemd-journald-dev-log.socket \
		systemd-journald 2>/dev/null || true
}

modprobe xen-gntdev
modprobe xen-gntalloc limit=$((LIVE_MOST + 1024))
quiet_host
MODULE=this
load_module "$PROGRAMS"
insmod "$PROGRAMS/xentap_bench.ko"
note "xentap $(modinfo -F version "$PROGRAMS/xentap.ko"), Linux $(uname -r), Xen $(xl info xen_version), $(nproc) processors"
for part in "${PARTS[@]}"; do
	note "$part begins at $SECONDS s"
	if [ "$part" = batches ] && [ -e "$PROGRAMS/before/xentap.ko" ]; then
		MODULE=before
		load_module "$PROGRAMS/before"
		batches
		MODULE=this
		load_module "$PROGRAMS"
	fi
	"$part"
done
no_grants_held || fail "grants are still held: $(grep -e mapped -e draining "$COUNTERS")"
note "done at $SECONDS s"
