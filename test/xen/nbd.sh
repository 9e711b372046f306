#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# dom0's programs read and write a disk by NBD, at the path that xl would give to a boot
# loader, while a guest uses it; and go when the disk goes.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
RUN=/run/blktap-control

# find_socket IMAGE VDEV-NUMBER NAME: PID, MINOR and URI of a guest's disk.
find_socket()
{
	local path
	PID=$(tapdisk_pid "$1")
	MINOR=$(tap-ctl list -p "$PID" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')
	path=$(xenstore-read "/local/domain/0/backend/vbd3/${GUESTS[$3]}/$2/physical-device-path")
	assert_eq "$path" "$RUN/nbd$PID.$MINOR" "physical-device-path"
	[ -S "$path" ] || fail "there is no socket $path"
	assert_eq "$(stat -c '%a %U' "$path")" "600 root" "mode and owner of $path"
	URI="nbd+unix:///?socket=$path"
}

# first_bytes FILE MEGABYTES: their checksum.
first_bytes() { head -c "${2}M" "$1" | sha256sum | cut -d' ' -f1; }

guest_reads()
{
	guest_run "$1" "dd if=$2 bs=1M count=$3 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1"
}

is_connected() { tap-ctl stats -p "$PID" -m "$MINOR" | grep -q '"nbd":{"connections":[1-9]'; }

warnings() { journalctl --no-pager --quiet "_PID=$PID" | grep -c 'written by NBD while domain' || true; }

no_socket() { tap-ctl list >/dev/null && [ ! -e "$RUN/nbd$PID.$MINOR" ]; }

warned_once() { [ "$(warnings)" = 1 ]; }

require_xentap
command -v nbdinfo >/dev/null && command -v nbdcopy >/dev/null || skip "libnbd-bin is not installed"
make_image "$IMAGE" 32M
guest_create one pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up one
find_socket "$IMAGE" 51712 one
assert_eq "$(nbdinfo --size "$URI")" $((32 << 20)) "size by NBD"
nbdinfo --can flush "$URI" || fail "nbdinfo: no flush"
! nbdinfo --is read-only "$URI" || fail "nbdinfo: read-only"
ok "the disk is served where xenstore says"

guest_must one 'dd if=/dev/urandom of=/dev/xvda bs=64k count=128 conv=fsync 2>/dev/null'
written=$(guest_reads one /dev/xvda 8)
nbdcopy "$URI" "$WORK/copy"
assert_eq "$(first_bytes "$WORK/copy" 8)" "$written" "what the guest has written and flushed"
nbdinfo --map --totals "$URI"
ok "a copy of a disk in use has what the guest has flushed"

# The guest writes all the time, behind what is compared.
guest_start_job one "fio --name=load --filename=/dev/xvda --offset=16m --size=16m --rw=randwrite \
	--bsrange=4k-256k --ioengine=libaio --direct=1 --iodepth=16 --time_based --runtime=40 \
	--minimal >/dev/null"
load=$JOB
wait_for 60 "I/O is running" io_is_running
for round in 1 2 3; do
	nbdcopy "$URI" "$WORK/copy"
	assert_eq "$(first_bytes "$WORK/copy" 8)" "$written" "copy $round under load"
done
dd if=/dev/urandom of="$WORK/new" bs=1M count=4 status=none
nbdcopy --flush "$WORK/new" "$URI"
guest_wait_job -t 180 one "$load" || fail "the guest's load ended with an error"
assert_eq "$(guest_reads one /dev/xvda 4)" "$(checksum "$WORK/new")" \
	"what the guest reads of a write by NBD"
wait_for 20 "the journal warns of a write beside a guest, once" warned_once
nbdcopy --flush "$WORK/new" "$URI"
assert_eq "$(warnings)" 1 "warnings of the second write"
ok "guest and NBD see each other's writes, under load"

# Somebody is connected, and reads no more, when the disk goes.
mkfifo "$WORK/pipe"
nbdcopy "$URI" - >"$WORK/pipe" 2>/dev/null &
client=$!
exec 7<"$WORK/pipe"
wait_for 20 "nbdcopy is connected" is_connected
guest_shutdown one
wait_for 30 "no tapdisk is left" no_tapdisks
[ ! -e "$RUN/nbd$PID.$MINOR" ] || fail "the socket is left"
exec 7<&-
wait $client 2>/dev/null || true
assert_no_grants
ok "the end of a guest's disk ends its clients"

before=$(checksum "$IMAGE")
guest_create two pv "$(tap_disk "$IMAGE" xvda ro)"
guest_wait_up two
find_socket "$IMAGE" 51712 two
nbdinfo --is read-only "$URI" || fail "nbdinfo: access=ro is not read-only"
! nbdcopy "$WORK/new" "$URI" 2>/dev/null || fail "a read-only disk was written"
nbdcopy "$URI" "$WORK/copy"
assert_eq "$(checksum "$WORK/copy")" "$before" "copy of a read-only disk"
kill -KILL "$PID"
wait_for 20 "tap-ctl list removes what the killed tapdisk left" no_socket
guest_destroy two
assert_no_grants
assert_no_zombie
ok "a read-only disk; a tapdisk that is killed"
