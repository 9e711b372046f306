#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
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

# One that is moved before a frontend connects it, as of a guest in its boot loader's menu.
idle_disk()
{
	local image=$WORK/idle.img
	make_image "$image" 4M
	printf here | dd of="$image" conv=notrunc status=none
	GUEST_CMDLINE="$GUEST_CMDLINE guest.without=xen-blkfront" \
		guest_create idle pv "$(tap_disk "$image" xvda)"
	guest_wait_up idle
	BACKEND=/local/domain/0/backend/vbd3/${GUESTS[idle]}/51712
	wait_for 30 "the disk waits for a frontend" backend_is 2
	move "$image"
	wait_for 30 "tapback knows tapdisk $PID" pid_is_published
	guest_must idle "insmod /lib/modules/xen-blkfront.ko; $(wait_device /dev/xvda)"
	assert_eq "$(guest_run idle 'head -c 4 /dev/xvda')" here "what the guest reads"
	ok "a disk without a frontend moved, and was connected then"
	guest_shutdown idle
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
guest_shutdown mover
idle_disk
wait_for 30 "no tapdisk is left" no_tapdisks
wait_for 10 "no unit is left" no_units
assert_no_grants
assert_no_zombie
