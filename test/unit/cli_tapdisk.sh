#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tap-ctl with real tapdisks, which it starts and ends by itself, and what both say. No
# guest, no Xen: a mount namespace with a /run and a /dev of its own.

set -u
BUILD=$(dirname "$(realpath "$0")")
DAEMON=$BUILD/daemon
PROGRAMS=$BUILD/prefix/libexec/xentap	# where this tap-ctl looks for tapdisk
RUN=/run/blktap-control

# shellcheck source=test/unit/tapdisk.bash
. "$TOP/test/unit/tapdisk.bash"

[ "$(id -u)" = 0 ] || skip "needs root, for a tapdisk that gives it up"
if [ -z "${INSIDE-}" ]; then
	unshare --mount true 2>/dev/null || skip "no mount namespaces here"
	INSIDE=1 exec unshare --mount --propagation private "$0"
fi

fail()
{
	echo "FAIL: $*"
	exit 1
}

ok() { echo "ok $SECONDS s: $*"; }

end()
{
	local socket
	for socket in "$RUN"/ctl*; do
		[ ! -S "$socket" ] || kill -KILL "${socket#"$RUN"/ctl}" 2>/dev/null
	done
	umount -l -R "$WORK/dev" 2>/dev/null
	rm -rf "$WORK"
}

# run COMMAND...: it succeeds; what it prints is in $WORK/output.
run() { "$@" >"$WORK/output" 2>&1 || fail "$*: $(cat "$WORK/output")"; }

# refused STATUS PATTERN COMMAND...: it fails, with that one sentence.
refused()
{
	local wanted=$1 pattern=$2 status
	shift 2
	"$@" >"$WORK/output" 2>&1
	status=$?
	[ $status = "$wanted" ] || fail "$*: status $status, not $wanted: $(cat "$WORK/output")"
	[ "$(wc -l <"$WORK/output")" = 1 ] || fail "$*: not one sentence: $(cat "$WORK/output")"
	grep -q -- "$pattern" "$WORK/output" || fail "$*: $(cat "$WORK/output")"
}

ctl() { "$DAEMON/tap-ctl" "$@"; }

# create IMAGE [OPTION...]: pid is set; the minor is 0.
create()
{
	local image=$1
	shift
	run ctl create -a "aio:$image" "$@"
	[ "$(cat "$WORK/output")" = $RUN/tapdisk/tapdisk-0 ] || fail "$(cat "$WORK/output")"
	pid=$(ctl list | sed -n 's/^pid=\([0-9]*\) minor=0 .*/\1/p')
	[ -n "$pid" ] || fail "tap-ctl list: $(ctl list)"
}

# restart OPTION...: pid is set.
restart()
{
	local before=$pid
	run ctl restart "$@"
	pid=$(cat "$WORK/output")
	[ "$pid" != "$before" ] || fail "restart $*: it is still $pid"
}

destroy()
{
	run ctl destroy -p "$pid" -m 0
	nothing_is_left "destroy"
}

nothing_is_left()
{
	local left
	left=$(find $RUN ! -type d ! -name instance)
	[ -z "$left" ] || fail "$1 leaves $left"
}

# still_served BY: a restart that was refused has done nothing.
still_served()
{
	[ "$(ctl list | sed 's/ .*//')" = "pid=$1" ] || fail "$1 serves no longer: $(ctl list)"
	run ctl stats -p "$1" -m 0
	[ "$(find $RUN -name 'ctl*' | wc -l)" = 1 ] || fail "another tapdisk is left: $(ls $RUN)"
}

WORK=$(mktemp -d "$BUILD/cli.XXXXXX")
trap end EXIT
mount -t tmpfs tmpfs /run
# One who may be nobody finds the program, wherever the build folder is.
cp "$DAEMON/tap-ctl" "$DAEMON/tapdisk" /run/
mkdir -p "$PROGRAMS" "$WORK/dev"
ln -sf "$DAEMON/tapdisk" "$PROGRAMS/tapdisk"
have_user
image=$WORK/disk.img
truncate -s 4M "$image"
need_direct "$image"

# What they say of wrong command lines, one sentence each.
for words in '--data=foo' '--poll=2000' '--poll=x' '--ready-fd=x' '--ready-fd=-1' '--filter=foo' \
	     '--what' '-x' 'more' '--data'; do
	refused 22 "^tapdisk: .*${words%%=*}" "$DAEMON/tapdisk" "$words"
done
refused 22 'auto, map, copy' "$DAEMON/tapdisk" --data=foo
run "$DAEMON/tapdisk" --version
run "$DAEMON/tapdisk" --help
refused 22 'no command bogus' ctl bogus
refused 22 'no command bogus' ctl help bogus
refused 22 'auto, map, copy and persistent' ctl create -a "aio:$image" --data foo
for option in --version -V; do
	run ctl $option
	grep -q '^tap-ctl [0-9]' "$WORK/output" || fail "$option: $(cat "$WORK/output")"
done
run ctl help gref
grep -q '^usage: tap-ctl gref' "$WORK/output" || fail "help gref: $(cat "$WORK/output")"
! grep -q 'the same' "$WORK/output" || fail "help gref: $(cat "$WORK/output")"
ok "wrong command lines, help"

if command -v setpriv >/dev/null; then
	for command in list top metrics allocate "create -a aio:/x" "stats -p 1 -m 0"; do
		# shellcheck disable=SC2086 # several words
		refused 1 'root' setpriv --reuid 65534 --clear-groups /run/tap-ctl $command
	done
	run setpriv --reuid 65534 --clear-groups /run/tap-ctl help
	run setpriv --reuid 65534 --clear-groups /run/tap-ctl create -h
	ok "what is for root alone"
fi

# Without Xen no module helps.
grep -qs xen /sys/hypervisor/type || [ -e /dev/xen/tap ] || [ -e /dev/xen/gntdev ] || {
	refused 19 'Xen does not run' ctl create -a "aio:$image"
	nothing_is_left "create without Xen"
	ok "no Xen"
}
mount -t tmpfs tmpfs "$WORK/dev"
mkdir "$WORK/dev/xen"
touch "$WORK/dev/null" "$WORK/dev/xen/tap"
mount --bind /dev/null "$WORK/dev/null"
mount --rbind "$WORK/dev" /dev

# A path is that of the working directory, also for who restarts the disk elsewhere.
cd "$WORK" || exit
ln -s . link
create link/disk.img
[ "$(ctl list -f link/disk.img)" = "pid=$pid minor=0 state=0 args=aio:$WORK/link/disk.img" ] ||
	fail "list -f finds: $(ctl list -f link/disk.img)"
cd / || exit
restart -p "$pid"
[ "$(ctl list -f "$WORK/link/disk.img" | sed 's/ .*//')" = "pid=$pid" ] || fail "$(ctl list)"
ok "a relative path"

# What cannot be opened again is no reason to end what works.
mv "$image" "$WORK/moved"
refused 2 'restart: there is no image' ctl restart -p "$pid"
still_served "$pid"
truncate -s 4M "$image"
refused 116 'no longer the image' ctl restart -p "$pid"
still_served "$pid"
mv "$WORK/moved" "$image"
restart -p "$pid"
kill -KILL "$pid"
restart -m 0
still_served "$pid"
destroy
mkdir "$WORK/logs"
create "$image" --filter "trace:file=$WORK/logs/trace"
rm -r "$WORK/logs"
refused 2 'restart: .*trace: cannot open' ctl restart -p "$pid"
still_served "$pid"
mkdir "$WORK/logs"
restart -p "$pid"
ok "restart with the image elsewhere, or a filter's file"

# Who has it, and who has not.
begin=$SECONDS
refused 16 "minor 0 belongs to tapdisk $pid, not to 99999" ctl destroy -p 99999 -m 0
[ $((SECONDS - begin)) -lt 4 ] || fail "that took $((SECONDS - begin)) seconds"
refused 2 "tapdisk $pid has no minor 5" ctl destroy -p "$pid" -m 5
refused 3 'query: there is no tapdisk with pid 99999' ctl query -p 99999 -m 0
refused 3 'open: there is no tapdisk with pid 99999' ctl open -p 99999 -m 0 -a "aio:$image"
still_served "$pid"
destroy
refused 2 'there is no image' ctl create -a aio:/nonexistent
nothing_is_left "a create that failed"
ok "destroy, and a create that fails"

# A limit's sentence says but once that it is one.
create "$image" --filter limit:iops=1000
refused 22 '^tap-ctl: limit: there is no option foo' ctl limit -p "$pid" -m 0 foo=1
destroy
ok "sentences of filters"

# A name is no line, and no reason for output that nobody can read.
name=$WORK/$(printf 'x\npid=7 minor=1\351')
truncate -s 1M "$name"
create "$name"
[ "$(ctl list | wc -l)" = 1 ] || fail "list has more than one line: $(ctl list)"
[ "$(ctl list -f "$name" | wc -l)" = 1 ] || fail "list -f does not find it"
for command in list "list --json" metrics "stats -p $pid -m 0" "top --once -n 1" \
	       "top --once -n 1 --json"; do
	# shellcheck disable=SC2086 # several words
	run ctl $command
	iconv -f UTF-8 -t UTF-8 "$WORK/output" >/dev/null || fail "$command: that is no UTF-8"
	grep -q 'pid=7 minor=1' "$WORK/output" || fail "$command: $(cat "$WORK/output")"
done
destroy
rm "$name"
ok "strange names"

# An image that is closed for a while, with whatever becomes of the tapdisk meanwhile.
# listed STATE IMAGE
listed()
{
	[ "$(ctl list)" = "pid=$pid minor=0 state=$1 args=aio:$2" ] || fail "list says: $(ctl list)"
	[ "$1" = 0 ] || [ ! -e "$RUN/nbd$pid.0" ] || fail "there is a socket of a closed image"
	[ "$1" != 0 ] || [ -S "$RUN/nbd$pid.0" ] || fail "there is no socket for local programs"
}
create "$image"
first=$pid
refused 22 'minor 0 is not paused' ctl unpause -p "$pid" -m 0
refused 2 'no record' ctl pause -p "$pid" -m 5
refused 2 'tapdisk 99999 has no minor 0' ctl pause -p 99999 -m 0
run ctl pause -p "$pid" -m 0
listed 0x2a "$image"
refused 16 'minor 0 is paused' ctl resize -p "$pid" -m 0
run ctl pause -p "$pid" -m 0 -t 5
ctl stats -p "$pid" -m 0 | grep -q "\"name\":\"aio:$image\".*\"paused\":true" ||
	fail "$(ctl stats -p "$pid" -m 0)"
run ctl top --once -n 1
grep -q "aio:$image (paused)$" "$WORK/output" || fail "top: $(cat "$WORK/output")"
ctl metrics | grep -q "^xentap_disk_paused{pid=\"$pid\",.*} 1$" || fail "metrics: $(ctl metrics)"
restart -p "$pid"
listed 0x2a "$image"
kill -KILL "$pid"
restart -m 0
listed 0x2a "$image"
[ "$(ctl restart -m 0)" = "$pid" ] || fail "one that is paused was started again"
# What guests know of its size is nothing that a smaller one could have; a larger one waits.
truncate -s 2M "$WORK/small"
truncate -s 8M "$WORK/large"
refused 22 'cannot shrink' ctl unpause -p "$pid" -m 0 -a "aio:$WORK/small"
refused 2 'unpause: there is no image' ctl unpause -p "$pid" -m 0 -a "aio:$WORK/none"
listed 0x2a "$image"
run ctl unpause -p "$pid" -m 0 -a "aio:$WORK/large"
listed 0 "$WORK/large"
if command -v nbdinfo >/dev/null; then
	[ "$(nbdinfo --size "nbd+unix:///?socket=$RUN/nbd$pid.0")" = 4194304 ] || fail "its size"
fi
# There is no xenstore here to tell guests by.
refused 2 'the image has its new size' ctl resize -p "$pid" -m 0
restart -p "$pid"
listed 0 "$WORK/large"
# The name of another file now; and who asks knows the first pid only.
run ctl pause -p "$first" -m 0
mv "$WORK/large" "$WORK/snapshot"
refused 2 'unpause: there is no image' ctl unpause -p "$first" -m 0
cp "$WORK/snapshot" "$WORK/large"
run ctl unpause -p "$first" -m 0
listed 0 "$WORK/large"
kill -KILL "$pid"
restart -m 0
listed 0 "$WORK/large"
run ctl pause -p "$pid" -m 0
# It is anybody's meanwhile.
run ctl create -a "aio:$WORK/large"
refused 16 'in use by another disk' ctl unpause -p "$pid" -m 0
kill -KILL "$pid"
begin=$SECONDS
restart -m 0
[ $((SECONDS - begin)) -lt 4 ] || fail "restart took $((SECONDS - begin)) seconds"
run ctl destroy -p "$(ctl list -m 1 | sed 's/^pid=\([0-9]*\) .*/\1/')" -m 1
listed 0x2a "$WORK/large"
run ctl unpause -p "$pid" -m 0
run ctl pause -p "$pid" -m 0
destroy
rm "$WORK/small" "$WORK/snapshot"

# One who noted a pause, and was killed before it began or after its end was noted by tapdisk.
note_pause() { sed -i 's/^{/{ "paused": true, "sectors": 8192,/' $RUN/disk-0; }
create "$image"
run ctl pause -p "$pid" -m 0
refused 16 'minor 0 is paused' ctl open -p "$pid" -m 0 -a "aio:$WORK/large"
run ctl unpause -p "$pid" -m 0 -a "aio:$WORK/large"
note_pause
refused 22 'minor 0 is not paused' ctl unpause -p "$pid" -m 0 -a "aio:$image"
run ctl unpause -p "$pid" -m 0
! grep paused $RUN/disk-0 || fail "the record still says paused"
note_pause
restart -p "$pid"
listed 0 "$WORK/large"
! grep paused $RUN/disk-0 || fail "the record still says paused"
note_pause
run ctl pause -p "$pid" -m 0
listed 0x2a "$WORK/large"
run ctl unpause -p "$pid" -m 0
listed 0 "$WORK/large"
# If it was killed as well, nobody knows whether somebody has the image now.
note_pause
kill -KILL "$pid"
restart -m 0
listed 0x2a "$WORK/large"
destroy
rm "$WORK/large"
ok "pause and unpause"

if command -v qemu-io >/dev/null; then
	# I/O that does not end soon.
	# pausing: it has begun, and is waited for no more.
	pausing()
	{
		create "$image" --filter fault:op=write,delay_ms=4000,count=1
		qemu-io -f raw -c 'write -P 1 0 4k' "nbd+unix:///?socket=$RUN/nbd$pid.0" \
			>/dev/null 2>&1 &
		until ctl stats -p "$pid" -m 0 | grep -q '"writes":1'; do sleep 0.1; done
		! ctl pause -p "$pid" -m 0 -t 1 >"$WORK/output" 2>&1 || fail "pause did not wait"
		grep -q 'paused as soon as I/O' "$WORK/output" || fail "pause: $(cat "$WORK/output")"
		ctl list | grep -q ' state=0x10 ' || fail "list: $(ctl list)"
	}
	pausing
	refused 16 'still about to be paused' ctl unpause -p "$pid" -m 0
	run ctl pause -p "$pid" -m 0
	listed 0x2a "$image"
	run ctl unpause -p "$pid" -m 0
	listed 0 "$image"
	destroy
	pausing
	destroy
	pausing
	restart -p "$pid"
	listed 0x2a "$image"
	destroy
	pausing
	kill -TERM "$pid"
	for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
	[ ! -d "/proc/$pid" ] || fail "tapdisk $pid does not end"
	run ctl destroy -p "$pid" -m 0
	run ctl list
	nothing_is_left "destroy of one that has ended"
	ok "a pause that takes long"
fi

# One that hangs may have a disk, or not.
create "$image"
kill -STOP "$pid"
run ctl metrics
grep -q '^xentap_tapdisks_silent 1$' "$WORK/output" || fail "metrics: $(cat "$WORK/output")"
run ctl top --once -n 1
grep -q '^1 tapdisk did not answer' "$WORK/output" || fail "top: $(cat "$WORK/output")"
! grep -q 'no disk is served' "$WORK/output" || fail "top: $(cat "$WORK/output")"
[ "$(grep -c "$pid\|did not answer" "$WORK/output")" = 1 ] || fail "top: $(cat "$WORK/output")"
kill -CONT "$pid"
destroy
ok "a tapdisk that hangs"

if command -v qemu-io >/dev/null; then
	# What one knows of the store, the next has to know.
	create "$image" --filter fault:op=flush,error=EIO,count=1
	uri="nbd+unix:///?socket=$RUN/nbd$pid.0"
	qemu-io -f raw -c 'write -P 1 0 4k' -c flush "$uri" >/dev/null 2>&1
	for how in -p -p -m; do
		ctl stats -p "$pid" -m 0 | grep -q '"flush_failed":true' ||
			fail "$(ctl stats -p "$pid" -m 0)"
		! qemu-io -f raw -c 'write -P 2 0 4k' "nbd+unix:///?socket=$RUN/nbd$pid.0" \
			>/dev/null 2>&1 || fail "tapdisk $pid takes a write"
		if [ $how = -p ]; then
			run ctl pause -p "$pid" -m 0
			restart -p "$pid"
			run ctl unpause -p "$pid" -m 0
		else
			kill -KILL "$pid"
			restart -m 0
		fi
	done
	ctl stats -p "$pid" -m 0 | grep -q '"flush_failed":true' || fail "$(ctl stats -p "$pid" -m 0)"
	destroy
	create "$image"
	ctl stats -p "$pid" -m 0 | grep -q '"flush_failed":false' || fail "$(ctl stats -p "$pid" -m 0)"
	destroy
	ok "a failed flush"
fi
