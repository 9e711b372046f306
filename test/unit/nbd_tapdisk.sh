#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real tapdisk, without rights and under its filter of system calls, serves a disk to
# programs that others wrote. No guest, no Xen: tap-ctl and tapdisk in a mount namespace
# with a /run of its own.

set -u
BUILD=$(dirname "$(realpath "$0")")
DAEMON=$BUILD/daemon
RUN=/run/blktap-control

# shellcheck source=test/unit/tapdisk.bash
. "$TOP/test/unit/tapdisk.bash"

[ "$(id -u)" = 0 ] || skip "needs root, for a tapdisk that gives it up"
for tool in nbdinfo nbdcopy; do
	command -v $tool >/dev/null || skip "$tool is not installed: apt install libnbd-bin"
done
for tool in qemu-img qemu-io; do
	command -v $tool >/dev/null || skip "$tool is not installed: apt install qemu-utils"
done
if [ -z "${INSIDE-}" ]; then
	unshare --mount true 2>/dev/null || skip "no mount namespaces here"
	INSIDE=1 exec unshare --mount --propagation private "$0"
fi

fail()
{
	echo "FAIL: $*"
	cat "$WORK/log"
	exit 1
}

ok() { echo "ok $SECONDS s: $*"; }

end()
{
	[ -z "${pid-}" ] || kill -KILL "$pid" 2>/dev/null
	rm -rf "$WORK"
}

# wait_for WHAT COMMAND...
wait_for()
{
	local what=$1
	shift
	for _ in $(seq 200); do
		! "$@" || return 0
		sleep 0.1
	done
	fail "not within 20 seconds: $what"
}

# run COMMAND...: it succeeds; its output is not of interest.
run() { "$@" >"$WORK/output" 2>&1 || fail "$*: $(cat "$WORK/output")"; }

ctl() { "$DAEMON/tap-ctl" "$@"; }

# serve IMAGE [OPTION...]: pid and uri are set.
serve()
{
	local image=$1 byte
	shift
	run ctl allocate
	"$DAEMON/tapdisk" --ready-fd=5 5>"$WORK/ready" 2>>"$WORK/log" &
	pid=$!
	read -r -N 1 -t 20 byte <"$WORK/ready"
	run ctl attach -p $pid -m 0
	run ctl open -p $pid -m 0 -a "aio:$image" "$@"
	socket=$RUN/nbd$pid.0
	uri="nbd+unix:///?socket=$socket"
	[ -S "$socket" ] || fail "there is no $socket"
	[ "$(stat -c '%a %u' "$socket")" = "600 0" ] || fail "$socket is for more than root"
}

# In order: tapdisk says that all is well.
unserve()
{
	run ctl close -p "$pid" -m 0
	[ ! -e "$socket" ] || fail "$socket is still there"
	run ctl detach -p "$pid" -m 0
	wait "$pid" || fail "tapdisk ended with status $?"
	pid=
	run ctl free -m 0
}

is_connected() { ctl stats -p "$pid" -m 0 | grep -q '"nbd":{"connections":1,'; }

# It has the writing end of a pipe, and whoever is not connected sends nothing.
is_traced() { [ "$(find "/proc/$pid/fd" -lname 'pipe:*' | wc -l)" -gt 0 ] && [ ! -s "$WORK/trace" ]; }

WORK=$(mktemp -d "$BUILD/nbd.XXXXXX")
trap end EXIT
mount -t tmpfs tmpfs /run
mkdir $RUN
: >"$WORK/log"
mkfifo "$WORK/ready"
have_user
image=$WORK/disk.img
truncate -s 40M "$image"
need_direct "$image"

serve "$image"
[ "$(nbdinfo --size "$uri")" = $((40 << 20)) ] || fail "nbdinfo --size: $(nbdinfo --size "$uri")"
for what in flush fua multi-conn trim zero df; do
	nbdinfo --can $what "$uri" || fail "nbdinfo --can $what"
done
! nbdinfo --is read-only "$uri" || fail "it says to be read-only"
nbdinfo --list "$uri" | grep -q 'base:allocation' || fail "$(nbdinfo --list "$uri")"
nbdinfo --map --totals "$uri" | grep -q '100.0%.*hole,zero' || fail "$(nbdinfo --map "$uri")"
ok "nbdinfo"

# Data, holes and zeros, by several connections, with more requests than have room.
truncate -s 40M "$WORK/source"
dd if=/dev/urandom of="$WORK/source" bs=1M count=6 seek=3 conv=notrunc status=none
dd if=/dev/urandom of="$WORK/source" bs=512 count=7 seek=71111 conv=notrunc status=none
run nbdcopy --flush "$WORK/source" "$uri"
cmp "$WORK/source" "$image" || fail "nbdcopy wrote something else"
[ "$(stat -c %b "$image")" -lt $((20 << 11)) ] || fail "nbdcopy's holes are none"
run nbdcopy "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "nbdcopy read something else"
run nbdcopy --request-size=33554432 --requests=3 --connections=1 "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "nbdcopy read something else by large requests"
run nbdcopy --synchronous "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "nbdcopy read something else synchronously"
ok "nbdcopy"

run qemu-img compare -f raw -F raw "$uri" "$WORK/source"
run qemu-io -f raw -c 'write -P 0x11 0 5M' -c 'write -P 0x22 -f 1536 1M' -c 'flush' \
	-c 'write -z 2M 1M' -c 'write -z -u 3M 1M' -c 'discard 4M 512k' \
	-c 'read -P 0x22 1536 1M' -c 'read -P 0 2M 2M' -c 'read -P 0x11 1050624 512' \
	-c 'aio_write -P 0x33 8M 12M' -c 'aio_write -P 0x44 38M 1M' -c 'aio_flush' \
	-c 'read -P 0x33 8M 12M' -c 'read -P 0x44 38M 1M' -c 'map' "$uri"
! grep -q 'verification failed' "$WORK/output" || fail "$(cat "$WORK/output")"
run qemu-img compare -f raw -F raw "$uri" "$image"
run qemu-img convert -n -f raw -O raw "$WORK/source" "$uri"
cmp "$WORK/source" "$image" || fail "qemu-img wrote something else"
run qemu-img map -f raw "$uri"
ok "qemu-img, qemu-io"

! setpriv --reuid 65534 --clear-groups nbdinfo "$uri" >/dev/null 2>&1 ||
	fail "another user is let in"
# Killed in the middle, and garbage.
for _ in 1 2 3; do
	timeout -s KILL 0.05 nbdcopy "$uri" null: 2>/dev/null
	timeout -s KILL 0.05 nbdcopy "$WORK/source" "$uri" 2>/dev/null
done
run nbdcopy --flush "$WORK/source" "$uri"
run nbdcopy "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "what is read after clients were killed differs"
ctl stats -p "$pid" -m 0 | grep -q '"nbd":{"connections":' || fail "$(ctl stats -p "$pid" -m 0)"
ok "clients that are killed"

# Whoever asks sees each I/O; one at a time, one after the other.
for form in '' --json; do
	"$DAEMON/tap-ctl" trace -p "$pid" -m 0 $form >"$WORK/trace" 2>>"$WORK/log" &
	watcher=$!
	wait_for "tap-ctl trace has begun" is_traced
	! ctl trace -p "$pid" -m 0 >"$WORK/output" 2>&1 || fail "two traces of one disk"
	grep -q 'somebody else has one' "$WORK/output" || fail "$(cat "$WORK/output")"
	run qemu-io -f raw -c 'read 1M 64k' -c 'flush' "$uri"
	wait_for "the read is shown" grep -q '1048576.*65536' "$WORK/trace"
	kill $watcher
	wait $watcher 2>/dev/null
	run qemu-io -f raw -c 'read 2M 64k' "$uri"
done
grep -q '^{"ns":.*"op":"flush"' "$WORK/trace" || fail "$(cat "$WORK/trace")"
ok "tap-ctl trace"

# Close ends who is connected, and does not wait for them.
qemu-io -f raw -c 'read 0 1M' -c 'sleep 30000' "$uri" >"$WORK/output" 2>&1 &
client=$!
wait_for "qemu-io is connected" is_connected
unserve
kill -KILL $client
wait $client 2>/dev/null
ok "the end of a disk in use"

serve "$image" -R
nbdinfo --is read-only "$uri" || fail "it does not say to be read-only"
! qemu-io -f raw -c 'write 0 4k' "$uri" >/dev/null 2>&1 || fail "it can be written"
run nbdcopy "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "what is read differs"
unserve
ok "a read-only disk"

serve "$image" -S 4096 --filter limit:iops=100000
run nbdcopy "$uri" "$WORK/copy"
cmp "$WORK/source" "$WORK/copy" || fail "what is read differs"
kill -KILL "$pid"
wait_for "tapdisk is gone" is_gone "$pid"
wait "$pid" 2>/dev/null
[ -S "$socket" ] || fail "who removed $socket?"
run ctl list
[ ! -e "$socket" ] || fail "tap-ctl list leaves the socket of a dead tapdisk"
pid=
ok "what a killed tapdisk leaves"
! grep -q 'SYS\|filter system calls' "$WORK/log" || fail "a system call was missing"
