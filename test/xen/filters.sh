#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Filters between a guest and its image: what trace sees, and a limit that is
# set while the disk is in use; and what tap-ctl makes of options.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
OPTIONS=/etc/default/tapdisk
TRACE=/run/blktap-control/filters-test.json

remove_options() { rm -f "$OPTIONS" "$TRACE"; }
CLEANUPS+=(remove_options)

stats() { tap-ctl stats -p "$PID" -m "$MINOR"; }

# refused SENTENCE COMMAND...: it ends with EINVAL and says so.
refused()
{
	local sentence=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	assert_eq "$status" 22 "status of $*"
	[[ $output == *"$sentence"* ]] || fail "$* said: $output"
}

require_xentap
make_image "$IMAGE" 16M
before=$(tap-ctl list)
refused 'no filter "bogus"' tap-ctl create -a "aio:$IMAGE" --filter bogus
refused 'iops=x is not a number' tap-ctl create -a "aio:$IMAGE" --filter limit:iops=x
refused 'is not a sector size' tap-ctl create -a "aio:$IMAGE" -S 1000
assert_eq "$(tap-ctl list)" "$before" "disks after those that were refused"

tap-ctl create -a "aio:$IMAGE" -S 4096 --filter "trace:file=$WORK/x.json" --filter limit:iops=7 >/dev/null
PID=$(tapdisk_pid "$IMAGE")
MINOR=$(tap-ctl list -p "$PID" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')
[[ $(stats) == *'"iops":7'*'"filter":"limit"'* ]] || fail "stats: $(stats)"
[ -f "$WORK/x.json" ] || fail "tap-ctl did not make the file of the trace"
tap-ctl destroy -p "$PID" -m "$MINOR"
ok "tap-ctl gives filters to a disk"

echo "TAPDISK_OPTIONS=--filter=trace:file=$TRACE --filter=limit --filter=latency" >"$OPTIONS"
guest_create one pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up one
PID=$(tapdisk_pid "$IMAGE")
MINOR=$(tap-ctl list -p "$PID" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')
guest_must one 'dd if=/dev/zero of=/dev/xvda bs=64k count=8 oflag=direct conv=fsync 2>/dev/null'
guest_must one 'dd if=/dev/xvda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null'
written_as="\"domid\":${GUESTS[one]},\"devid\":51712,\"op\":\"write\",\"offset\":0,"
wait_for 10 "the trace has the first write" grep -q "$written_as" "$TRACE"
head -n 1 "$TRACE"
grep "$written_as" "$TRACE" | grep -q "\"domid\":${GUESTS[one]},\"gref\":[0-9]*," ||
	fail "the trace has no grants"
[[ $(stats) == *'"read":{'*'"filter":"latency"'* ]] || fail "stats: $(stats)"
ok "trace and latency saw the guest's requests"

tap-ctl trace -p "$PID" -m "$MINOR" >"$WORK/watched" &
watcher=$!
sleep 1
guest_must one 'dd if=/dev/xvda of=/dev/null bs=16k skip=5 count=1 iflag=direct 2>/dev/null'
wait_for 10 "tap-ctl trace shows the read" grep -E \
	"^domid=${GUESTS[one]} op=read offset=81920 bytes=16384 us=[0-9]* error=0 grefs=[0-9]+(,[0-9]+){3}\$" \
	"$WORK/watched"
kill "$watcher"
wait "$watcher" || true
ok "tap-ctl trace shows the grants of a disk in use"

refused 'no option iop' tap-ctl limit -p "$PID" -m "$MINOR" iop=5
tap-ctl limit -p "$PID" -m "$MINOR" bps=256K,burst_ms=0
begin=${EPOCHREALTIME%[.,]*}
guest_must one 'dd if=/dev/xvda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null'
took=$((${EPOCHREALTIME%[.,]*} - begin))
[ "$took" -ge 3 ] || fail "1 MiB at 256 KiB per second took $took s"
tap-ctl limit -p "$PID" -m "$MINOR" bps=0
guest_must one 'dd if=/dev/xvda of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null'
ok "a limit holds from when it is set ($took s for 1 MiB)"

guest_shutdown one
assert_no_grants
