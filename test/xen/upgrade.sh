#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 400
#
# A running disk moves to the tapdisk that is installed now, by systemctl: in the middle
# of I/O, more than once, and with two disks at once. Guests see no error, and read back
# what they wrote. What cannot be done leaves the disk where it is.

. "$(dirname "$0")/lib.sh"

# tapback has ten others started in a minute, and no more.
MOVES=4
PROGRAM=$(unit_program tapdisk@0)

# unit_of PID
unit_of() { systemctl status --no-pager "$1" 2>/dev/null | grep -om 1 'tapdisk@[0-9]*\.service'; }

no_units() { [ -z "$(tapdisk_units)" ]; }

restore_program()
{
	[ ! -e "$WORK/tapdisk" ] || mv "$WORK/tapdisk" "$PROGRAM"
}
CLEANUPS=(restore_program "${CLEANUPS[@]}")

# move IMAGE: its pid before and after, in BEFORE and PID.
move()
{
	BEFORE=$(tapdisk_pid "$1")
	systemctl reload-or-restart "$(unit_of "$BEFORE")"
	PID=$(tapdisk_pid "$1")
	[ -n "$PID" ] || fail "nobody serves $1: $(tap-ctl list)"
	[ "$PID" != "$BEFORE" ] || fail "tapdisk $BEFORE still serves $1"
}

# Rounds of random writes, all read back, until /tmp/stop is there.
verify_text()
{
	echo "until [ -e /tmp/stop ]; do
		mkdir -p /tmp/$1 && cd /tmp/$1 && $(fio_verify "/dev/$1" 12m) || exit 1
	done"
}

backend_is() { [ "$(xenstore-read "$BACKEND/state")" = "$1" ]; }

pid_is_published() { [ "$(xenstore-read "$BACKEND/pid")" = "$PID" ]; }

# One that is moved while no frontend is connected: a guest between two drivers, as one in
# its boot loader's menu.
idle_disk()
{
	local driver=/sys/bus/xen/drivers/vbd
	BACKEND=/local/domain/0/backend/vbd3/${GUESTS[mover]}/51728
	guest_must mover "echo here >/tmp/mark && dd if=/tmp/mark of=/dev/xvdb bs=512 conv=sync oflag=direct 2>/dev/null
		echo vbd-51728 >$driver/unbind"
	wait_for 30 "the disk is closed" backend_is 6
	guest_must mover 'xenstore-write device/vbd/51728/state 1'
	wait_for 30 "the disk waits for a frontend" backend_is 2
	move "$WORK/xvdb.img"
	wait_for 30 "tapback knows tapdisk $PID" pid_is_published
	guest_must mover "echo vbd-51728 >$driver/bind; $(wait_device /dev/xvdb)"
	assert_eq "$(guest_run mover 'head -c 4 /dev/xvdb')" here "what the guest reads"
	ok "a disk that nobody had connected moved, and was connected then"
}

require_xentap
for disk in xvda xvdb; do
	make_image "$WORK/$disk.img" 32M
done
guest_create mover pv "$(tap_disk "$WORK/xvda.img" xvda)" "$(tap_disk "$WORK/xvdb.img" xvdb)"
guest_wait_up mover
guest_start_job mover "$(verify_text xvda)"
first=$JOB
guest_start_job mover "$(verify_text xvdb)"
second=$JOB
wait_for 60 "I/O is running" io_is_running

for round in $(seq "$MOVES"); do
	move "$WORK/xvda.img"
	IO_MOVED=$(io_moved)
	wait_for 60 "I/O goes on with tapdisk $PID" io_is_running
done
ok "moved $MOVES times under load"

# To what is installed: a program with another name in the file system, at the same path.
cp "$PROGRAM" "$WORK/new"
mv "$PROGRAM" "$WORK/tapdisk"
mv "$WORK/new" "$PROGRAM"
move "$WORK/xvda.img"
assert_eq "$(stat -Lc %i "/proc/$PID/exe")" "$(stat -c %i "$PROGRAM")" "the program of tapdisk $PID"
ok "moved to another program"

# One that does not start.
printf '#!/bin/false\n' >"$PROGRAM.broken"
chmod 755 "$PROGRAM.broken"
mv "$PROGRAM.broken" "$PROGRAM"
BEFORE=$(tapdisk_pid "$WORK/xvda.img")
! systemctl reload "$(unit_of "$BEFORE")" 2>/dev/null || fail "a broken program was no error"
assert_eq "$(tapdisk_pid "$WORK/xvda.img")" "$BEFORE" "who serves the disk"
restore_program
IO_MOVED=$(io_moved)
wait_for 60 "I/O goes on with tapdisk $BEFORE" io_is_running
ok "a program that does not start leaves the disk where it is"

systemctl reload-or-restart 'tapdisk@*'
IO_MOVED=$(io_moved)
wait_for 60 "I/O goes on with all" io_is_running
assert_eq "$(tap-ctl list | wc -l)" 2 "disks that are served"
ok "all disks moved at once"

guest_must mover 'touch /tmp/stop'
guest_wait_job -t 200 mover "$first" || fail "fio on the first disk"
guest_wait_job -t 200 mover "$second" || fail "fio on the second disk"
guest_must mover '! dmesg | grep -iE "I/O error|xvd.*(error|abort)|still in use|blk_update_request"'
ok "no error and no wrong byte in the guest"
idle_disk
guest_shutdown mover
wait_for 30 "no tapdisk is left" no_tapdisks
wait_for 10 "no unit is left" no_units
assert_no_grants
assert_no_zombie
