#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 900
#
# Nothing that a flush was answered for is lost, whenever the power fails.  Below the
# disk is dm-log-writes, which keeps each write and each flush in the order in which a
# drive with a cache would make them durable; power-cut-check.c says what that order
# promises, and looks at all cuts.  Flushes take a while, so that an answer that
# comes too early is seen.  The same with an ext4 of the guest, which is mounted and
# checked as a sample of cuts has left it.

. "$(dirname "$0")/lib.sh"

DISK_MB=8
EXT4_MB=24
LOG_MB=160
FLUSH_MS=250	# more than it takes to place a mark
WRITE_MS=0
FLUSHES=30
KILLS=2
FILES=12	# on ext4, each flushed
CUTS=12		# of the life of that ext4
OPTIONS=/etc/default/tapdisk
STORE=$WORK/store	# in memory: the devices, and what is made of them
REPORT=$WORK/report.img
SEED=${XENTAP_SEED:-$((RANDOM + 2))}
MARKER=

# ---- the logged disk

# disk_make NAME MEGABYTES [ext4]: /dev/mapper/NAME, all writes to which are logged.
disk_make()
{
	local sectors=$(($2 * 2048))
	NAME=$1
	DISK=/dev/mapper/$NAME
	make_image "$STORE/disk" "$2M" "${3-}"
	make_image "$STORE/log" "${LOG_MB}M"
	[ -z "${3-}" ] || cp --sparse=always "$STORE/disk" "$STORE/before"
	BELOW=$(losetup --show -f "$STORE/disk")
	LOG=$(losetup --show -f "$STORE/log")
	dmsetup create "$NAME-slow" --table \
		"0 $sectors delay $BELOW 0 0 $BELOW 0 $WRITE_MS $BELOW 0 $FLUSH_MS"
	dmsetup create "$NAME" --table "0 $sectors log-writes /dev/mapper/$NAME-slow $LOG"
	# To a disk without a cache the kernel sends no flush.
	assert_eq "$(<"$(disk_queue)/write_cache")" "write back" "the cache of $DISK"
}

disk_queue() { echo "/sys/block/$(basename "$(readlink -f "$DISK")")/queue"; }

# Also closes the log: with its last mark all entries count.
disk_remove()
{
	[ -n "${NAME-}" ] || return 0
	udevadm settle
	dmsetup remove --retry "$NAME"
	dmsetup remove --retry "$NAME-slow"
	losetup -d "$BELOW" "$LOG"
	NAME=
}

remove_all()
{
	[ -z "$MARKER" ] || kill "$MARKER" 2>/dev/null
	disk_remove
	umount "$STORE"
	rm -f "$OPTIONS"
}
CLEANUPS+=(remove_all)

serving_pid() { tapdisk_pid "$DISK"; }

# attach OPTION...: of tapdisk.
attach()
{
	echo "TAPDISK_OPTIONS=$*" >"$OPTIONS"
	xl block-attach guest "$(tap_disk "$DISK" xvdb)"
	guest_must guest "$(wait_device /dev/xvdb)"
	xenstore-rm "$NODE/ack" 2>/dev/null || true
	xenstore-rm "$NODE/marked" 2>/dev/null || true
	"$WORK/power-cut-mark" "$NAME" "$NODE" &
	MARKER=$!
}

not_served() { [ -z "$(serving_pid)" ]; }

detach()
{
	kill "$MARKER"
	wait "$MARKER" || true
	MARKER=
	xl block-detach guest xvdb
	wait_for 15 "nobody serves $DISK" not_served
	# Said when its device is full, too.
	! dmsetup status "$NAME" | grep logging_disabled || fail "the log is not whole"
	disk_remove
}

acked() { xenstore-read "$NODE/ack" 2>/dev/null || echo 0; }

acked_at_least() { [ "$(acked)" -ge "$1" ]; }

# ---- blocks

# start_writing FLUSHES: the history comes by another disk.
start_writing()
{
	guest_start_job guest "power-cut-write /dev/xvdb /tmp/history $1 $SEED &&
		dd if=/tmp/history of=/dev/xvda bs=64k conv=sync oflag=direct 2>/dev/null &&
		wc -c </tmp/history"
}

# end_writing: the history in $STORE/history.
end_writing()
{
	local said
	said=$(guest_wait_job -t 120 guest "$JOB") || fail "writing in the guest: $said"
	head -n 1 <<<"$said"
	head -c "$(tail -n 1 <<<"$said")" "$REPORT" >"$STORE/history"
}

check_blocks() { "$WORK/power-cut-check" blocks "$STORE/log" "$STORE/history" "$STORE/disk"; }

# moved WAY: how many requests went that way.
moved() { tap_stat "$(serving_pid)" "$(xenstore-read "$BACKEND/minor")" "moved_$1"; }

# blocks copy|map
blocks()
{
	disk_make "cut-$1" "$DISK_MB"
	attach --data="$1"
	start_writing "$FLUSHES"
	end_writing
	[ "$(moved "$1")" -gt 100 ] || fail "only $(moved "$1") requests went by $1"
	detach
	check_blocks || fail "$1: not all is there after a power cut (seed $SEED)"
	ok "blocks, $1: nothing is lost at any cut"
}

# Spread over the run; the guest goes on with another tapdisk.
kill_often()
{
	local kill pid
	for kill in $(seq "$KILLS"); do
		wait_for 60 "some flushes" acked_at_least $((kill * FLUSHES / (KILLS + 2)))
		pid=$(serving_pid)
		kill -KILL "$pid"
		wait_for 60 "another tapdisk than $pid serves $DISK" another_tapdisk "$DISK" "$pid"
	done
}

# All is slow, so that something is in flight whenever a tapdisk is killed.
blocks_killed()
{
	journal_mark
	WRITE_MS=40 FLUSH_MS=$((FLUSH_MS * 2)) disk_make cut-killed "$DISK_MB"
	attach
	start_writing "$FLUSHES"
	kill_often
	end_writing
	detach
	# Which is likely, and no more: kill-tapdisk.sh kills more often.
	[ "$(taken_up)" -gt 0 ] || echo "note: nothing was in flight at $KILLS kills"
	check_blocks || fail "killed: not all is there after a power cut (seed $SEED)"
	ok "blocks, killed: nothing is lost at any cut, $(taken_up) requests were done again"
}

# A flush that goes nowhere is found: the kernel keeps them to itself when told that the
# disk has no cache.
flushes_that_do_nothing()
{
	local status=0
	disk_make cut-control "$DISK_MB"
	echo "write through" >"$(disk_queue)/write_cache"
	attach
	start_writing 4
	end_writing
	detach
	check_blocks >"$STORE/said" || status=$?
	assert_eq "$status" 3 "status of the check of a disk that is never flushed"
	grep '^lost: ' "$STORE/said" || fail "no loss is named: $(cat "$STORE/said")"
	ok "flushes that do nothing are found"
}

# ---- files

# file_size N: how long file N is; it says "file N" all over.
file_size() { echo $(($1 * 7919 % 60000 + 1)); }

# Each file is flushed, then its name; behind them are writes that nobody flushes.
files_text()
{
	cat <<-'END'
		mount /dev/xvdb /mnt || exit 1
		while [ ! -e /tmp/stop ]; do
			dd if=/dev/urandom of=/mnt/noise bs=32k count=8 conv=notrunc 2>/dev/null
			mv /mnt/noise /mnt/noise2
			usleep 100000
		done &
		while read -r n size; do
			yes "file $n" | head -c $size >/mnt/new
			sync /mnt/new && mv /mnt/new /mnt/file$n && sync /mnt || exit 1
			xenstore-write data/ack $n
			until [ "$(xenstore-read data/marked)" = $n ]; do usleep 20000; done
		done <<LIST
	END
	for n in $(seq "$FILES"); do
		echo "$n $(file_size "$n")"
	done
	printf 'LIST\ntouch /tmp/stop; wait; umount /mnt\n'
}

# cut_image FLUSH SEED: the disk as that power cut leaves it; ACKED files must be there.
cut_image()
{
	local survivors group
	cp --sparse=always "$STORE/before" "$STORE/cut"
	read -r ACKED survivors group \
		<<<"$("$WORK/power-cut-check" image "$STORE/log" "$STORE/cut" "$1" "$2")"
	echo "cut after flush $1: $ACKED files, $survivors of $group other writes"
}

# has_files DIR COUNT
has_files()
{
	local n
	for n in $(seq "$2"); do
		cmp "$1/file$n" "$STORE/file$n" || return 1
	done
}

# The journal is replayed by the mount; after that nothing may be left to repair.
check_files()
{
	local dir=$STORE/mnt
	mount -o loop "$STORE/cut" "$dir" || fail "cannot be mounted"
	has_files "$dir" "$ACKED" || fail "a file is not what was flushed: $(ls -l "$dir")"
	umount "$dir"
	e2fsck -fn "$STORE/cut" >"$STORE/said" 2>&1 ||
		fail "the file system is damaged: $(cat "$STORE/said")"
}

files()
{
	local flushes cut n
	for n in $(seq "$FILES"); do
		head -c "$(file_size "$n")" < <(yes "file $n" 2>/dev/null || true) >"$STORE/file$n"
	done
	disk_make cut-files "$EXT4_MB" ext4
	attach
	guest_must -t 120 guest "$(files_text)"
	detach
	flushes=$("$WORK/power-cut-check" flushes "$STORE/log")
	mkdir -p "$STORE/mnt"
	for cut in $(seq "$CUTS"); do
		# 0 and 1: none and all of the writes since; the others by lot.
		cut_image $((cut * flushes / CUTS)) $((cut % 4 < 2 ? cut % 4 : SEED + cut))
		check_files
	done
	assert_eq "$ACKED" "$FILES" "files at the last cut"
	ok "ext4: as it should be at $CUTS cuts of $flushes flushes"
	cut_image $((flushes / 2)) 0
	mount -o loop "$STORE/cut" "$STORE/mnt"
	! has_files "$STORE/mnt" "$FILES" 2>/dev/null || fail "files that came later are there already"
	umount "$STORE/mnt"
	ok "files that are missing are missed"
}

# ---- the test

compile()
{
	local program
	for program in mark check; do
		cc -O2 -Wall -o "$WORK/power-cut-$program" "$TEST_DIR/power-cut-$program.c" || return 1
	done
}

require_xentap
command -v dmsetup >/dev/null || skip "dmsetup is not installed"
command -v cc >/dev/null || skip "there is no C compiler"
modprobe -a dm-log-writes dm-delay loop 2>/dev/null || skip "this kernel has no dm-log-writes or no dm-delay"
mkdir "$STORE"
mount -t tmpfs -o size=400m none "$STORE"
echo "seed: $SEED"
compile &
compiler=$!
make_image "$REPORT" 1M
guest_create guest pv "$(tap_disk "$REPORT" xvda)"
guest_wait_up guest
NODE=$(guest_path guest)
BACKEND=/local/domain/0/backend/vbd3/${GUESTS[guest]}/51728
wait "$compiler" || fail "the programs cannot be compiled"
blocks copy
blocks map
blocks_killed
flushes_that_do_nothing
files
guest_shutdown guest
assert_no_grants
assert_no_zombie
