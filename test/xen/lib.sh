# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests in this folder share.  They run as root in dom0, in the lab or
# on any Xen host that can spare it: `bash test/xen/NAME.sh`.
#
# GUEST_KERNEL     kernel of the guests, a bzImage or vmlinux
# GUEST_INITRAMFS  their initramfs, as test/lab/guest.sh makes it
# GUEST_MEMORY     their memory in MB
# XENTAP_PATIENCE  factor for time limits, on slow hosts
# XENTAP_LONG      not empty: do more where a test can do more
#
# A test ends with status 0 if it got to its last line, 77 by `skip`, 76 if the
# emulator failed and not the test (see `fail`), and any other by `fail` or by the
# first command that fails.

set -eEuo pipefail

TEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by some tests
SOURCE=$(cd "$TEST_DIR/../.." && pwd)
TEST_NAME=$(basename "$0" .sh)
GUEST_KERNEL=${GUEST_KERNEL:-/boot/xentap-guest/kernel}
GUEST_INITRAMFS=${GUEST_INITRAMFS-/boot/xentap-guest/initramfs}
GUEST_MEMORY=${GUEST_MEMORY:-256}
PATIENCE=${XENTAP_PATIENCE:-1}
GUEST_CMDLINE="console=hvc0 loglevel=4 mitigations=off init_on_alloc=0 nokaslr lsm="
# Requests of up to 1 MiB: of those some are copied and some are mapped.
GUEST_CMDLINE+=" xen_blkfront.max_indirect_segments=256"
CONSOLE_DIR=/var/log/xen/console
COUNTERS=/sys/kernel/debug/xentap/counters

# Not /tmp, which is a tmpfs on some hosts and no place for disk images.
WORK=$(mktemp -d "/var/tmp/xentap-$TEST_NAME.XXXXXX")
declare -A GUESTS=()	# name -> domid of the guests this test created
MOUNTS=()		# mount points this test made
CLEANUPS=()		# functions that a test wants called at its end

# ---- results

# ok MESSAGE: one thing proven, with the seconds since the test began.
ok() { printf 'ok %3d s: %s\n' "$SECONDS" "$*"; }

# QEMU's SVM sometimes mixes up the states of host and guest, whatever the
# guest does: Xen then finds a PVH guest at an address of its own, and says so.
# Nobody else can cause that line, and what the test was about is not known.
fail()
{
	if xl dmesg 2>/dev/null | grep -q 'Triple fault - invoking HVM shutdown'; then
		echo "AGAIN: the emulator reset a PVH guest: $*" >&2
		exit 76
	fi
	echo "FAIL: $*" >&2
	exit 1
}

skip()
{
	echo "SKIP: $*"
	exit 77
}

assert_eq()
{
	[ "$1" = "$2" ] || fail "${3:-values differ}: '$1' is not '$2'"
}

# wait_for SECONDS DESCRIPTION COMMAND...: until the command succeeds.
wait_for()
{
	local limit=$(($1 * PATIENCE)) what=$2 deadline
	deadline=$((SECONDS + limit))
	shift 2
	until "$@"; do
		[ "$SECONDS" -le "$deadline" ] || fail "not after $limit s: $what"
		sleep 0.5
	done
}

# An end by any road: guests destroyed, mounts and files removed.
cleanup()
{
	local status=$? name dir function
	trap - EXIT
	set +e
	for name in "${!GUESTS[@]}"; do
		xl destroy "$name" 2>/dev/null
	done
	for dir in "${MOUNTS[@]}"; do
		umount "$dir"
	done
	for function in "${CLEANUPS[@]}"; do
		"$function"
	done
	rm -rf "$WORK"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'echo "FAIL: line $LINENO of $(basename "${BASH_SOURCE[0]}"): $BASH_COMMAND" >&2' ERR

# ---- the host

# require_xentap: what every test of this project's own disks needs.
require_xentap()
{
	modprobe xentap 2>/dev/null || skip "the module xentap is not installed"
	command -v tap-ctl >/dev/null || skip "tap-ctl is not installed"
	systemctl start tapback || fail "tapback does not start"
}

counter() { awk -v name="$1" '$1 == name { print $2 }' "$COUNTERS"; }

no_grants_held()
{
	[ "$(counter mapped) $(counter draining) $(counter quarantined)" = "0 0 0" ]
}

# Grants of guests that some domain has mapped, as Xen itself sees them, one
# "DOMID GREF" a line.  Grants 0 and 1 are the guest's console and xenstore
# pages, which stay mapped as long as the guest lives.
grants_in_xen()
{
	xl dmesg -c >/dev/null
	xl debug-keys g
	# A full log has lost its beginning, and with it the first domains' names.
	xl dmesg | awk '
		BEGIN { domid = "?" }
		match($0, /grant-table for remote d[0-9]+/) {
			domid = substr($0, RSTART + 24, RLENGTH - 24)
		}
		match($0, /\[0x[0-9a-f]+\]/) && domid != "0" {
			gref = substr($0, RSTART + 1, RLENGTH - 2)
			if (gref != "0x000" && gref != "0x001")
				print domid, gref
		}'
}

assert_no_grants()
{
	local left
	wait_for 20 "mapped, draining and quarantined grants in $COUNTERS are 0" \
		no_grants_held
	left=$(grants_in_xen)
	[ -z "$left" ] || fail "Xen still counts mapped grants (domain, grant):" "$left"
	ok "no grant is held"
}

# A domain whose pages somebody still holds stays in the list, as "(null)" or
# with the letter d or s for its state.
no_zombies()
{
	! xl list | awk 'NR > 1 && ($1 == "(null)" || $(NF - 1) ~ /d/)' | grep -q .
}

assert_no_zombie()
{
	wait_for 30 "xl list shows no dead domain: $(xl list)" no_zombies
	ok "no dead domain is left"
}

# module_unpack NAME FILE: a module as the kernel takes it.
module_unpack()
{
	local file
	file=$(modinfo -n "$1")
	case $file in
	*.xz) xzcat "$file" ;;
	*.zst) zstdcat "$file" ;;
	*.gz) zcat "$file" ;;
	*) cat "$file" ;;
	esac >"$2"
}

tapback_pid() { systemctl show -p MainPID --value tapback; }

# unit_program UNIT: the file it runs, wherever it was installed.
unit_program() { systemctl show -p ExecStart --value "$1" | sed -n 's/.*path=\([^ ;]*\).*/\1/p'; }

tapdisk_units() { systemctl list-units --plain --no-legend 'tapdisk@*' | cut -d' ' -f1; }

# Ends all disks and daemons, unloads the module, and starts all again.
assert_module_unloads()
{
	local units
	units=$(tapdisk_units)
	# shellcheck disable=SC2086 # one word per unit
	systemctl stop tapback.socket tapback $units 2>/dev/null || systemctl stop tapback
	rmmod xentap || fail "the module cannot be unloaded; users: $(lsmod | grep xentap)"
	modprobe xentap
	systemctl start tapback
	ok "the module was unloaded and loaded again"
}

# tapdisk_pid IMAGE: the process that serves it.
tapdisk_pid() { tap-ctl list -f "$1" | sed -n 's/.*\bpid=\([0-9]*\).*/\1/p'; }

no_tapdisks() { [ -z "$(tap-ctl list)" ]; }

# another_tapdisk IMAGE PID: another process than that one serves it; its number in PID.
another_tapdisk()
{
	PID=$(tapdisk_pid "$1")
	[ -n "$PID" ] && [ "$PID" != "$2" ]
}

# pid_is_published: tapback knows process PID for the disk in directory BACKEND. Who
# serves may be there before a tapback that was started anew.
pid_is_published() { [ "$(xenstore-read "$BACKEND/pid")" = "$PID" ]; }

# json_number NAME: the first number of that name on standard input.
json_number() { grep -o "\"$1\": *[0-9]*" | grep -om 1 '[0-9]*$'; }

# tap_stat PID MINOR NAME: a number of `tap-ctl stats`.
tap_stat() { tap-ctl stats -p "$1" -m "$2" | json_number "$3"; }

# What the journal has said since journal_mark; journal_since [OPTION...] of journalctl.
journal_mark() { CURSOR=$(journalctl -n 0 --show-cursor --quiet | sed -n 's/^-- cursor: //p'); }
journal_since() { journalctl --quiet -o cat --after-cursor="$CURSOR" "$@"; }

# Requests that were in flight when a tapdisk was killed, since journal_mark.
taken_up()
{
	journal_since -t tapdisk |
		awk -F'taken up again: ' 'NF > 1 { sum += $2 } END { print sum + 0 }'
}

# How many pages were mapped or copied.
io_moved() { echo $(($(counter maps) + $(counter copies))); }

# io_is_running: for wait_for; true when data was moved since the last call.
io_is_running()
{
	local before=${IO_MOVED-0}
	IO_MOVED=$(io_moved)
	[ "$IO_MOVED" -gt $((before + 50)) ]
}

# ---- images

# make_image PATH SIZE [ext4]
make_image()
{
	rm -f "$1"
	truncate -s "$2" "$1"
	[ "${3-}" != ext4 ] || mkfs.ext4 -q -F "$1"
}

# mount_image PATH: a new read-only mount, its place in MOUNTED.
mount_image()
{
	MOUNTED=$(mktemp -d "$WORK/mnt.XXXXXX")
	mount -o ro,loop "$1" "$MOUNTED"
	MOUNTS+=("$MOUNTED")
}

checksum() { sha256sum "$1" | cut -d' ' -f1; }

# tap_disk PATH VDEV [ACCESS]: a disk of this project, as xl spells it.
tap_disk() { echo "format=raw,vdev=$2,access=${3-rw},backendtype=tap,target=$1"; }

# own_disk PATH VDEV: the same by our own hotplug script, for which any path will do, and
# options in braces before it.
own_disk() { echo "script=block-xentap,format=raw,vdev=$2,access=${3-rw},backendtype=tap,target=$1"; }

# phy_disk PATH VDEV: the same through the kernel's own backend.
phy_disk() { echo "format=raw,vdev=$2,access=rw,backendtype=phy,target=$1"; }

# ---- guests

# guest_create NAME pv|pvh [DISK...] [LINE...]: an argument with vdev= in it
# is a disk, any other a line of the xl configuration.
guest_create()
{
	local name=$1 type=$2 config=$WORK/$1.cfg disks='' lines='' arg
	shift 2
	for arg in "$@"; do
		case $arg in
		*vdev=*) disks+="'$arg', " ;;
		*) lines+="$arg"$'\n' ;;
		esac
	done
	[ -z "$GUEST_KERNEL" ] || lines+="kernel = \"$GUEST_KERNEL\""$'\n'
	[ -z "$GUEST_INITRAMFS" ] || lines+="ramdisk = \"$GUEST_INITRAMFS\""$'\n'
	cat >"$config" <<-END
		name = "$name"
		type = "$type"
		cmdline = "$GUEST_CMDLINE"
		memory = $GUEST_MEMORY
		vcpus = 1
		on_crash = "destroy"
		on_reboot = "destroy"
		disk = [ $disks ]
		$lines
	END
	GUESTS[$name]=new
	xl create -q "$config"
	GUESTS[$name]=$(xl domid "$name")
}

# guest_path NAME: the guest's own node data in xenstore.
guest_path() { echo "/local/domain/${GUESTS[$1]}/data"; }

# guest_wait_up NAME [SECONDS]
#
# QEMU lets about one kernel in 50 crash early, with flags in its registers that no
# processor has, and resets or stops PVH guests.  Before its first program a guest has
# no disk driver, so this cannot be what a test is about: three tries.
guest_wait_up()
{
	local tries=3 limit=$((${2:-300} * PATIENCE)) log=$CONSOLE_DIR/guest-$1.log
	until guest_comes_up "$1" "$limit"; do
		! grep -q 'init: started' "$log" 2>/dev/null ||
			fail "guest $1 was not ready for jobs after $limit s, or is gone"
		[ $((tries -= 1)) -gt 0 ] || fail "guest $1 never got to its first program"
		echo "note: guest $1 did not get to its first program; see $log.early"
		guest_start_again "$1" "$log"
	done
}

guest_comes_up()
{
	local deadline=$((SECONDS + $2))
	until xenstore-exists "$(guest_path "$1")/up"; do
		! guest_is_gone "$1" && [ "$SECONDS" -le "$deadline" ] || return 1
		sleep 0.5
	done
}

guest_start_again()
{
	xl destroy "$1" 2>/dev/null || true
	mv "$2" "$2.early" 2>/dev/null || true
	# What Xen said of it is dealt with.
	xl dmesg -c >>"$2.early"
	wait_for 30 "guest $1 is gone" guest_is_gone "$1"
	xl create -q "$WORK/$1.cfg"
	GUESTS[$1]=$(xl domid "$1")
}

# guest_start_job NAME TEXT: runs shell text in the guest; its number in JOB.
guest_start_job()
{
	local text path
	text=$(base64 -w0 <<<"$2")
	[ ${#text} -lt 3900 ] || fail "this job is longer than a node of xenstore"
	path=$(guest_path "$1")
	# Not counted from 1: a count made in a subshell would be lost.
	JOB=${EPOCHREALTIME//[.,]/}
	xenstore-write "$path/job/$JOB" "$text"
}

# guest_wait_job [-t SECONDS] NAME NUMBER: prints the end of the job's output,
# at most 1400 bytes (all of it is in the console's log); the job's status.
guest_wait_job()
{
	local limit=60 path status output
	[ "$1" != -t ] || { limit=$2; shift 2; }
	path=$(guest_path "$1")/result/$2
	wait_for "$limit" "job $2 of guest $1 is done" guest_job_is_done "$1" "$path"
	read -r status output <<<"$(xenstore-read "$path")"
	base64 -d <<<"$output"
	return "$status"
}

guest_job_is_done()
{
	xenstore-exists "$2" && return
	! guest_is_gone "$1" || fail "guest $1 is gone, and its job was not done"
	return 1
}

# guest_run [-t SECONDS] NAME TEXT
guest_run()
{
	local limit=60
	[ "$1" != -t ] || { limit=$2; shift 2; }
	guest_start_job "$1" "$2"
	guest_wait_job -t "$limit" "$1" "$JOB"
}

# Shell text for a guest.  fio_verify FILE SIZE: random writes, all read back.
fio_verify()
{
	echo "fio --name=verify --filename=$1 --size=$2 --rw=randwrite" \
		"--bsrange=4k-256k --ioengine=libaio --direct=1 --iodepth=16" \
		"--verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.out"
}

# fio_load FILE: random writes until the guest ends; some copied, some mapped.
fio_load()
{
	echo "fio --name=load --filename=$1 --size=16m --rw=randwrite --bsrange=4k-256k" \
		"--ioengine=libaio --direct=1 --iodepth=16 --time_based" \
		"--runtime=600 --minimal"
}

# wait_device DEVICE: ends when the guest has it.
wait_device()
{
	echo "i=0; until [ -b $1 ]; do i=\$((i + 1)); [ \$i -lt 100 ] || exit 1; usleep 200000; done"
}

# guest_must [-t SECONDS] NAME TEXT: like guest_run; the test fails with it.
guest_must()
{
	local output
	output=$(guest_run "$@") || fail "in guest ${*: -2:1}: ${*: -1}"$'\n'"$output"
	[ -z "$output" ] || echo "$output"
}

guest_shutdown()
{
	xl shutdown "$1" >/dev/null
	wait_for 60 "guest $1 has shut down" guest_is_gone "$1"
	unset "GUESTS[$1]"
}

guest_destroy()
{
	xl destroy "$1"
	unset "GUESTS[$1]"
}

guest_is_gone() { ! xl domid "$1" >/dev/null 2>&1; }
