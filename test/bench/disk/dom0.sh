#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark of disks, its part in dom0: dom0.sh PROGRAMS PART... Prints lines
# "RESULT KEY=VALUE ...", which report-disk.py understands. Parts:
#
# random      random reads and writes, 32 at a time
# single      the same, one at a time
# sequential  reads and writes in sequence, 32 at a time
# queues      as random, but by four processes of a guest with four processors, eight at a
#             time each, on four queues where a peer has them; changes the guest, so last
# calls       what tapdisk and the module do for each I/O, counted
# attaching   from xl's start to the first read in the guest, by the kernel's backend
#             and by ours, of a disk of its own
# profile     where dom0's time goes: functions, most expensive first
#
# STORE  null: devices that forget at once what is written, so that the store's
#        own cost is next to nothing; ram: RAM disks
# PEERS  some of those below, in whose order they are measured
# SIZES  some of the sizes below, in bytes
# SCALE  per cent of the I/Os, for a quick look

PROGRAMS=$(realpath "$1")
PARTS=("${@:2}")

. "$(dirname "$0")/../../xen/lib.sh"

STORE=${STORE:-null}
SCALE=${SCALE:-100}
SIZES=${SIZES:-4096 16384 65536 262144 1048576}
read -ra PEERS <<<"${PEERS:-blkback blkback-map qdisk map copy persistent auto}"
PATIENCE=4
DISK_MB=64		# of each disk, what is used
# A frontend as it comes, whose requests are of 128 KiB at most.
GUEST_CMDLINE=${GUEST_CMDLINE/ xen_blkfront.*/}
OPTIONS=/etc/default/tapdisk
BLKBACK=/sys/module/xen_blkback/parameters
TRIGGER=/sys/kernel/tracing/events/raw_syscalls/sys_enter
DROP_IN=/run/systemd/system/tapback.service.d/bench.conf
JOBS=1			# processes that do I/O at the same time
declare -A VDEV=()	# peer -> name of its disk in the guest

# "BYTES:COUNT" of each size: enough for a tenth of a second of processor time.
MANY=(4096:4000 16384:3000 65536:1500 262144:500 1048576:160)
ONE=(4096:1500 16384:1000 65536:600 262144:250 1048576:80)

note() { echo "NOTE $*"; }

remove_options() { rm -f "$OPTIONS" "$DROP_IN"; }
CLEANUPS+=(remove_options)

quiet_host()
{
	# Nothing else should run; what is not there need not stop.
	systemctl stop cron systemd-journald.socket systemd-journald-dev-log.socket \
		systemd-journald 2>/dev/null || true
}

# ---- disks

store_load()
{
	case $STORE in
	null) modprobe null_blk nr_devices=$((${#PEERS[@]} + 1)) gb=1 queue_mode=2 irqmode=0 ;;
	ram) modprobe brd rd_nr=$((${#PEERS[@]} + 1)) rd_size=$((DISK_MB * 1024)) ;;
	*) fail "STORE is null or ram, not $STORE" ;;
	esac
}

store_device() { if [ "$STORE" = null ]; then echo "/dev/nullb$1"; else echo "/dev/ram$1"; fi; }

# disk TYPE PEER NUMBER: as xl spells it.
disk() { echo "format=raw,vdev=${VDEV[$2]},access=rw,backendtype=$1,target=$(store_device "$3")"; }

# attach PEER NUMBER: backends look at their options when a disk is connected.
attach()
{
	case $1 in
	qdisk)
		# QEMU was started with the guest. What the guest reads is in the
		# page cache, through which QEMU does its I/O.
		dd if="$(store_device "$2")" of=/dev/null bs=1M count="$DISK_MB" status=none
		return
		;;
	blkback | blkback-map)
		if [ "$1" = blkback ]; then echo Y; else echo N; fi >"$BLKBACK/feature_persistent"
		xl block-attach bench "$(disk phy "$1" "$2")"
		;;
	*)
		echo "TAPDISK_OPTIONS=--data=$1" >"$OPTIONS"
		xl block-attach bench "$(disk tap "$1" "$2")"
		;;
	esac
	guest_must bench "$(wait_device "/dev/${VDEV[$1]}")"
}

# make_disks [LINE...]: of the guest's configuration.
make_disks()
{
	local i qdisk=() letters=(a b c d e f g h i)
	for i in "${!PEERS[@]}"; do
		VDEV[${PEERS[i]}]=xvd${letters[i]}
		[ "${PEERS[i]}" != qdisk ] || qdisk=("$(disk qdisk qdisk "$i")")
	done
	guest_create bench pv "${qdisk[@]}" "$@"
	guest_wait_up bench
	for i in "${!PEERS[@]}"; do
		attach "${PEERS[i]}" "$i"
	done
}

# ---- processor time

# Text for the guest: all I/O of one peer in one part. Between the mark and the
# first I/O it sleeps, so that dom0 has looked at its clocks by then. The least number of
# I/Os, one for each process, is what a measurement costs by itself. Marks of several
# processes are around them, and what it takes the guest to start them is measured as well.
guest_job()
{
	local vdev=$1 depth=$2 rws=$3 inside='' outside=false
	shift 3
	if [ "$JOBS" = 1 ]; then
		inside="--exec_prerun=\"\$begin\" --exec_postrun='xenstore-write data/mark end'"
	else
		outside=true
	fi
	cat <<-END
		cd /tmp
		one() {
			begin="xenstore-write data/mark 'begin rw=\$1 bytes=\$2 ios=\$3'; usleep 50000"
			! $outside || eval "\$begin"
			fio --name=one --filename=/dev/$vdev --rw=\$1 --bs=\$2 \\
			--io_size=\$((\$2 * \$3 / $JOBS)) --numjobs=$JOBS \\
			--cpus_allowed=0-$((JOBS - 1)) --cpus_allowed_policy=split \\
			--size=${DISK_MB}m --iodepth=$depth --ioengine=libaio --direct=1 --thread \\
			--norandommap --end_fsync=1 --gtod_reduce=1 --minimal $inside >fio.out 2>&1 ||
				{ cat fio.out; xenstore-write data/mark done; exit 1; }
			! $outside || xenstore-write data/mark end
		}
		for rw in $rws; do
			one \$rw 4096 $JOBS
			for cell in $*; do one \$rw \${cell%:*} \${cell#*:}; done
		done
		xenstore-write data/mark done
	END
}

# measure PART DEPTH READ WRITE CELL...
measure()
{
	local part=$1 depth=$2 rws="$3 $4" cells=() cell peer
	shift 4
	for cell; do
		[[ " $SIZES " != *" ${cell%:*} "* ]] ||
			cells+=("${cell%:*}:$((${cell#*:} * SCALE / 100 / JOBS * JOBS))")
	done
	for peer in "${PEERS[@]}"; do
		note "$part, $peer, at $SECONDS s"
		timeout 900 "$PROGRAMS/cputime" "${GUESTS[bench]}" \
			"what=disk part=$part depth=$depth jobs=$JOBS peer=$peer" &
		CPUTIME=$!
		guest_start_job bench "$(guest_job "${VDEV[$peer]}" "$depth" "$rws" "${cells[@]}")"
		# Not by looking again and again, which would be measured as well.
		wait "$CPUTIME" || fail "no end of $part for $peer"
		guest_wait_job bench "$JOB" || fail "fio failed on the disk of $peer"
	done
}

random() { measure random 32 randread randwrite "${MANY[@]}"; }
single() { measure single 1 randread randwrite "${ONE[@]}"; }
sequential() { measure sequential 32 read write "${MANY[@]}"; }

# As many queues as backends would offer if dom0 had as many processors.
queues()
{
	guest_destroy bench
	echo 4 >"$BLKBACK/max_queues"
	mkdir -p "${DROP_IN%/*}"
	printf '[Service]\nExecStart=\nExecStart=%s --max-queues=4\n' \
		"$(systemctl show -P ExecStart tapback | sed -n 's/.*path=\([^ ;]*\).*/\1/p')" >"$DROP_IN"
	systemctl daemon-reload
	systemctl restart tapback
	# Each queue of a frontend has 4 MiB of pages of its own where grants are persistent.
	GUEST_MEMORY=768 GUEST_CMDLINE+=" xen_blkfront.max_queues=4" make_disks "vcpus = 4"
	for peer in "${PEERS[@]}"; do
		note "queues of $peer: $(guest_must bench "ls /sys/block/${VDEV[$peer]}/mq | wc -l")"
	done
	JOBS=4
	measure queues 8 randread randwrite "${MANY[@]}"
}

# ---- calls

# counts PID: "NAME NUMBER" of all that is counted.
counts()
{
	tap-ctl stats -p "$1" -m "$(tap-ctl list -p "$1" | sed -n 's/.*minor=\([0-9]*\).*/\1/p')" |
		grep -o '"[a-z_]*":[0-9]*' | tr -d '"' | tr : ' ' |
		grep -E '^(requests|events|notifies|passes|batches|copy_calls|grants|copies|drains|waits) '
	awk '$1 == "hypercalls" { print $1, $2 }' "$COUNTERS"
	sed -n 's/.*sys_\([a-z0-9_]*\) .*hitcount: *\([0-9]*\).*/\1 \2/p' "$TRIGGER/hist"
}

# One way, one kind of I/O.
count_calls()
{
	local way=$1 depth=$2 rw=$3 bytes=$4 ios=$5 pid
	pid=$(tapdisk_pid "$(store_device "$6")")
	echo "hist:keys=id.syscall if common_pid == $pid" >"$TRIGGER/trigger"
	counts "$pid" >"$WORK/before"
	guest_must bench "fio --name=one --filename=/dev/${VDEV[$way]} --rw=$rw --bs=$bytes \
		--io_size=$((bytes * ios)) --size=${DISK_MB}m --iodepth=$depth --ioengine=libaio \
		--direct=1 --thread --norandommap --gtod_reduce=1 --minimal >/tmp/fio.out"
	counts "$pid" >"$WORK/after"
	echo "!hist:keys=id.syscall if common_pid == $pid" >"$TRIGGER/trigger"
	awk -v words="what=calls peer=$way depth=$depth rw=$rw bytes=$bytes ios=$ios" '
		NR == FNR { before[$1] += $2; next }
		{ after[$1] += $2; if (!($1 in order)) { order[$1]; names[++n] = $1 } }
		END {
			for (i = 1; i <= n; i++)
				words = words " " names[i] "=" after[names[i]] - before[names[i]]
			print "RESULT " words
		}' "$WORK/before" "$WORK/after"
}

calls()
{
	local i
	for i in "${!PEERS[@]}"; do
		case ${PEERS[i]} in blkback* | qdisk) continue ;; esac
		note "calls, ${PEERS[i]}, at $SECONDS s"
		count_calls "${PEERS[i]}" 32 randread 4096 $((2000 * SCALE / 100)) "$i"
		count_calls "${PEERS[i]}" 32 randwrite 4096 $((2000 * SCALE / 100)) "$i"
		count_calls "${PEERS[i]}" 32 randread 65536 $((1000 * SCALE / 100)) "$i"
		count_calls "${PEERS[i]}" 1 randread 4096 $((500 * SCALE / 100)) "$i"
	done
}

# ---- attaching

now_us() { echo "${EPOCHREALTIME//[.,]/}"; }

# attach_once TYPE PEER
attach_once()
{
	local begin mark watch
	mark=$(guest_path bench)/mark
	xenstore-write "$mark" ""
	# The first event says that the watch is set.
	timeout 60 xenstore-watch -n 2 "$mark" >/dev/null &
	watch=$!
	guest_start_job bench 'until [ -b /dev/xvdj ]; do usleep 1000; done
		dd if=/dev/xvdj of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null &&
		xenstore-write data/mark read'
	sleep 1
	begin=$(now_us)
	xl block-attach bench "format=raw,vdev=xvdj,access=rw,backendtype=$1,target=$(store_device ${#PEERS[@]})"
	wait "$watch" || fail "the guest has not read the disk of $2"
	echo "RESULT what=attach peer=$2 us=$(($(now_us) - begin))"
	xl block-detach bench xvdj
}

attaching()
{
	local i
	for i in 1 2 3 4 5; do
		attach_once phy blkback
		attach_once tap auto
	done
}

# ---- functions

# profile_one PEER NUMBER RW BYTES IOS: by the clock, as a PV domain has no other counter.
# Of tapdisk, or of all of dom0 for other peers.
profile_one()
{
	local who=-a perf
	note "profile, $1, $3, $4 bytes"
	case $1 in blkback* | qdisk) ;; *) who="-p $(tapdisk_pid "$(store_device "$2")")" ;; esac
	# shellcheck disable=SC2086 # an option and its value
	perf record -q $who -e cpu-clock -F 5000 -o "$WORK/perf" 2>/dev/null &
	perf=$!
	guest_must -t 300 bench "fio --name=one --filename=/dev/${VDEV[$1]} --rw=$3 --bs=$4 \
		--io_size=$(($4 * $5)) --size=${DISK_MB}m --iodepth=32 --ioengine=libaio \
		--direct=1 --thread --norandommap --gtod_reduce=1 --minimal >/tmp/fio.out"
	kill -INT "$perf"
	wait "$perf" || true
	perf report -i "$WORK/perf" --stdio --sort dso,symbol 2>/dev/null |
		grep '^ *[0-9.]*%' >"$WORK/functions"
	head -40 "$WORK/functions"
	# Each line: SHARE% FILE [k or .] FUNCTION; hypercalls have a stub.
	awk '{
		where = "the kernel"
		if ($3 == "[.]") where = "programs"
		else if ($4 ~ /hypercall/) where = "Xen"
		else if ($4 ~ /xentap/) where = "the module"
		share[where] += $1
	} END { for (where in share) printf "%5.1f%% in %s\n", share[where], where }' "$WORK/functions"
}

profile()
{
	local i bytes
	for i in "${!PEERS[@]}"; do
		for bytes in $SIZES; do
			profile_one "${PEERS[i]}" "$i" randread "$bytes" $((20000 * SCALE / 100))
		done
	done
}

require_xentap
modprobe xen-blkback
store_load
make_disks
quiet_host
note "xentap $(modinfo -F version xentap), Linux $(uname -r), Xen $(xl info xen_version), $(nproc) processors, store $STORE"
for part in "${PARTS[@]}"; do
	"$part"
done
guest_destroy bench
wait_for 30 "no grant is held" no_grants_held
note "done at $SECONDS s"
