#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bench-scale.sh [PART...]: what many disks cost, on this machine itself, without Xen.
# PART is tapback, tapdisks or ring; all if none is named. Prints the lines as they
# come, then tables. DEVICES and TAPDISKS say how many, RUNS how often the ring is
# measured.

set -euo pipefail
cd "$(dirname "$0")"

folder=$PWD/scale
BUILD=${BUILD:-$folder/build}
RUN_MS=1000
AIO_MAX=1048576

part_tapback()
{
	# shellcheck disable=SC2086 # a list of numbers
	"$folder/world.sh" timeout -k 5 500 "$folder/tapback.py" "$BUILD/counted/tapback" \
		${DEVICES:-1 100 1000}
}

# Some hundred tapdisks need more than the kernel's default.
raise_aio()
{
	local file=/proc/sys/fs/aio-max-nr before
	before=$(cat $file)
	[ "$before" -lt $AIO_MAX ] || return 0
	# shellcheck disable=SC2064 # what it is now
	trap "echo $before >$file" EXIT
	echo $AIO_MAX >$file
	echo "NOTE fs.aio-max-nr is $AIO_MAX for a while, not $before"
}

part_tapdisks()
{
	[ "$(id -u)" = 0 ] || {
		echo "SKIP tapdisks: a tapdisk becomes another user, which needs root"
		return 77
	}
	raise_aio
	# shellcheck disable=SC2086
	"$folder/world.sh" timeout -k 5 300 "$folder/tapdisks.py" "$BUILD/programs" "$images" \
		${TAPDISKS:-100 500}
}

# Where an image costs least, if it can be opened there as tapdisk does it.
ring_place()
{
	local place
	for place in /dev/shm "$images"; do
		dd if=/dev/zero of="$place/xentap-scale.$$" bs=4096 count=1 oflag=direct \
			status=none 2>/dev/null && rm "$place/xentap-scale.$$" && break
		rm -f "$place/xentap-scale.$$"
	done
	echo "$place"
}

part_ring()
{
	local place round rw bytes queues
	place=$(ring_place)
	cd "$place"
	echo "NOTE the image is on $(stat -f -c %T .)"
	# All of them before any again: a machine that is busy for a while is so for all.
	for round in $(seq "${RUNS:-5}"); do
		echo "NOTE ring, round $round"
		for rw in read write; do for bytes in 4096 65536; do for queues in 1 2 3 4; do
			timeout 20 "$BUILD/ring" $queues $bytes $rw $RUN_MS
		done; done; done
	done
	if perf record -q -e cpu-clock -o /dev/null true 2>/dev/null; then
		for bytes in 4096 65536; do
			timeout 60 "$folder/shares.py" "$BUILD/ring" "$BUILD/ring.obj" 1 $bytes read 3000
		done
	else
		echo "NOTE perf does not work here: no shares"
	fi
}

[ $# -gt 0 ] || set -- tapback tapdisks ring
nice -n 10 make --no-print-directory -C scale BUILD="$BUILD"
images=$(mktemp -d "$BUILD/images.XXXXXX")
lines=$(mktemp)
trap 'rm -rf "$lines" "$images"' EXIT

echo "NOTE $(nproc) processors, Linux $(uname -r), load $(cut -d ' ' -f 1-3 /proc/loadavg)"
for part in "$@"; do
	status=0
	("part_$part") | tee -a "$lines" || status=$?
	[ $status = 0 ] || [ $status = 77 ] || {
		echo "bench-scale: part $part ended with status $status" >&2
		exit 1
	}
done
echo "NOTE load $(cut -d ' ' -f 1-3 /proc/loadavg)"
./report-scale.py <"$lines"
