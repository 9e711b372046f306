#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debug: yes
# time limit: 900
#
# A tapdisk is killed in the middle of I/O, again and again; its guest sees no error,
# and reads back what it wrote.  Every other time the disk's I/O is held back until
# requests are in flight; the other kills come at any moment.  Also when tapback was
# started anew meanwhile.  With tapback stopped the guest loses the disk, but the host
# nothing: all pages come back, the guest can be destroyed, and the image be attached
# to another one.

. "$(dirname "$0")/lib.sh"

KILLS=${KILLS:-4}
PACE=7		# seconds from one to the next, at least: tapback starts ten in a minute, and no more
DISK=/dev/mapper/xentap-kill

is_gone() { [ ! -d "/proc/$1" ]; }

# DISK, whose I/O can be held back.
disk_make()
{
	make_image "$WORK/disk.img" 32M
	printf 'still here' | dd of="$WORK/disk.img" conv=notrunc bs=1M seek=30 status=none
	BELOW=$(losetup --show -f "$WORK/disk.img")
	CLEANUPS+=(disk_remove)
	dmsetup create "$(basename "$DISK")" --table "0 65536 linear $BELOW 0"
}

disk_remove()
{
	let_go
	udevadm settle
	dmsetup remove --retry "$DISK"
	losetup -d "$BELOW"
}

in_flight()
{
	[ "$(tap_stat "$1" "$(xenstore-read "$BACKEND/minor")" reqs_outstanding)" -gt 0 ]
}

# hold_io PID: until let_go no I/O of the disk ends; process PID has some to wait for.
hold_io()
{
	dmsetup suspend --nolockfs "$DISK"
	wait_for 60 "requests are in flight" in_flight "$1"
}

pace()
{
	local rest=$((${LAST_KILL:--PACE} + PACE - SECONDS))
	[ "$rest" -le 0 ] || sleep "$rest"
	LAST_KILL=$SECONDS
}

let_go() { dmsetup resume "$DISK"; }

more_taken_up_than() { [ "$(taken_up)" -gt "$1" ]; }

# tapback has the journal again of the disk that is in use.
has_journal()
{
	find "/proc/$(tapback_pid)/fd" \
		-lname '*xentap-journal*' | grep -q .
}

# Rounds of random writes, with flushes, all read back; how many, when /tmp/stop is there.
ROUNDS_TEXT='rounds=0
until [ -e /tmp/stop ]; do
	fio --name=verify --filename=/dev/xvda --size=12m --rw=randwrite --bsrange=4k-256k \
		--ioengine=libaio --direct=1 --iodepth=16 --fsync=64 --verify=crc32c \
		--verify_fatal=1 --minimal >/tmp/fio.out || exit 1
	rounds=$((rounds + 1))
done
echo "rounds: $rounds"'

# kill_tapdisk held|any [COMMAND...]: with I/O held, or at any moment; the command is
# run while there is no tapdisk.
kill_tapdisk()
{
	local moment=$1 before pid
	shift
	pace
	pid=$(tapdisk_pid "$DISK")
	[ -n "$pid" ] || fail "there is no tapdisk to be killed: $(tap-ctl list)"
	before=$(taken_up)
	[ "$moment" = any ] || hold_io "$pid"
	kill -KILL "$pid"
	[ "$moment" = any ] || let_go
	[ $# = 0 ] || "$@"
	wait_for 60 "another tapdisk than $pid serves the disk" another_tapdisk "$DISK" "$pid"
	wait_for 60 "the pid in xenstore is $PID" pid_is_published
	# From here on, not from before.
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on with tapdisk $PID" io_is_running
	[ "$moment" = any ] ||
		wait_for 10 "tapdisk $PID takes up what was in flight" more_taken_up_than "$before"
}

require_xentap
journal_mark
disk_make
guest_create survivor pv "$(tap_disk "$DISK" xvda)"
guest_wait_up survivor
BACKEND=/local/domain/0/backend/vbd3/${GUESTS[survivor]}/51712
guest_start_job survivor "$ROUNDS_TEXT"
verify=$JOB
wait_for 60 "I/O is running" io_is_running
for round in $(seq "$KILLS"); do
	case $((round % 2)) in
	1) kill_tapdisk held ;;
	0) kill_tapdisk any ;;
	esac
	ok "killed $round times"
	[ "$round" = $((KILLS / 2)) ] || continue
	# What it knows of the disk it learns anew, from tapdisk.
	systemctl restart tapback
	wait_for 30 "tapback knows the disk" has_journal
done
# What tapdisk cannot tell any more, systemd has kept.
kill_tapdisk held systemctl restart tapback
ok "killed while tapback was started anew"
guest_must survivor 'touch /tmp/stop'
guest_wait_job -t 200 survivor "$verify" || fail "fio in the guest"
guest_must survivor 'dmesg | grep -q xvda || exit 1
	! dmesg | grep -iE "I/O error|xvda.*(error|abort)|still in use|blk_update_request"'
assert_eq "$(xenstore-read "$BACKEND/state")" 4 "the backend's state"
ok "requests that were taken up again: $(taken_up)"
assert_eq "$(journal_since -t tapback | grep -c 'goes on')" $((KILLS + 1)) "how often tapback says so"
guest_shutdown survivor
wait_for 30 "no tapdisk is left" no_tapdisks
assert_no_grants
assert_no_zombie

guest_create victim pv "$(tap_disk "$DISK" xvda)"
guest_wait_up victim
guest_start_job victim "$(fio_load /dev/xvda)"
wait_for 60 "I/O is running" io_is_running
pid=$(tapdisk_pid "$DISK")
systemctl stop tapback
kill -KILL "$pid"
wait_for 20 "process $pid is gone" is_gone "$pid"
systemctl start tapback
assert_no_grants
systemctl is-active --quiet tapback || fail "tapback has stopped"
guest_destroy victim
assert_no_zombie
ok "the guest could be destroyed"

guest_create heir pv "$(tap_disk "$DISK" xvda)"
guest_wait_up heir
assert_eq "$(guest_run heir 'dd if=/dev/xvda bs=1M skip=30 count=1 2>/dev/null | head -c 10')" \
	"still here" "what the next guest reads"
guest_shutdown heir
assert_no_grants
assert_module_unloads
