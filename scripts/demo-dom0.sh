#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demonstration itself; runs in dom0, where xentap is installed. Uses the
# helpers of test/xen, and a guest that they start.

. "$(dirname "$0")/../test/xen/lib.sh"

ROWS=()		# of the table at the end
STARTED=$SECONDS

step() { printf '\n[%3d s] %s\n' $((SECONDS - STARTED)) "$*"; }
show() { "$@" 2>&1 | sed 's/^/         /'; }
proven() { ROWS+=("$1|$2"); }

field() { sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" <<<"$2"; }

show_installation()
{
	step "what is installed on this Xen host"
	show uname -r
	show sh -c 'xl info | grep -E "^(xen_version|xen_caps)"'
	show dkms status xentap
	modprobe xentap || fail "the module xentap does not load: see dmesg"
	systemctl start tapback
	show systemctl show -p Id -p ActiveState -p StatusText tapback
	proven "module" "xentap $(modinfo -F version xentap), $(dkms status xentap | sed 's/.*: //' | tail -n 1) by DKMS"
}

start_guest()
{
	step "a raw image with a file system, and a PV guest that has it as its disk"
	make_image "$IMAGE" 96M ext4
	show echo "disk = ['$(tap_disk "$IMAGE" xvda)']"
	guest_create demo pv "$(tap_disk "$IMAGE" xvda)"
	guest_wait_up demo
	show xl list
	show xl block-list demo
	proven "attached by" "stock xl, backendtype=tap"
}

guest_writes()
{
	step "the guest mounts it and writes files with checksums"
	guest_must demo 'mkdir -p /mnt && mount /dev/xvda /mnt && cd /mnt &&
		for i in 1 2 3 4 5 6; do dd if=/dev/urandom of=file$i bs=64k count=16 2>/dev/null; done &&
		sha256sum file* >SUMS && sync && df -h /mnt && wc -l SUMS'
	proven "guest wrote" "6 files, 6 MiB, checksums beside them"
}

guest_runs_fio()
{
	step "the guest runs fio --verify; meanwhile dom0 looks in"
	guest_start_job demo 'fio --name=verify --filename=/mnt/fio.dat --size=24m --rw=randwrite \
		--bssplit=4k/30:64k/20:256k/50 --ioengine=libaio --direct=1 --iodepth=16 --loops=3 \
		--verify=crc32c --verify_fatal=1 --minimal >/tmp/fio.out && echo fio verified all blocks'
	look_in
	guest_wait_job -t 150 demo "$JOB" || fail "fio found bytes that differ"
	proven "fio --verify" "24 MiB of random writes, all blocks read back right"
}

# A page other than the ring's, which is always there: of a request so long that it is
# mapped and not copied.
page_in_use()
{
	local lines
	lines=$(tap-ctl query -p "$PID" -m "$MINOR")
	GRANT=$(tail -n 1 <<<"$lines")
	[ "$(wc -l <<<"$lines")" -gt 1 ]
}

# Data is mapped for moments only; the ring's page is as good an answer.
catch_a_page()
{
	local deadline=$((SECONDS + 8))
	until page_in_use; do
		[ "$SECONDS" -lt "$deadline" ] || break
	done
	[ -n "$GRANT" ] || fail "tap-ctl query shows no page, not even the ring's"
}

look_in()
{
	local line
	line=$(tap-ctl list)
	PID=$(field pid "$line")
	MINOR=$(field minor "$line")
	show echo "tap-ctl list"
	show echo "  $line"
	show systemctl show -p Id -p MainPID -p StatusText "tapdisk@*.service"
	catch_a_page
	show echo "tap-ctl query -p $PID -m $MINOR    (address in tapdisk -> the guest's grant)"
	show echo "  $GRANT"
	proven "virt -> gref" "gref $(field gref "$GRANT") of domain $(field domid "$GRANT"), mfn $(field mfn "$GRANT")"
}

# number_of NAME: a counter of the guest.
number_of() { json_number "$1" <<<"$STATS"; }

show_stats()
{
	step "what tapdisk counted"
	STATS=$(tap-ctl stats -p "$PID" -m "$MINOR")
	show echo "tap-ctl stats -p $PID -m $MINOR"
	show echo "  $STATS"
	show cat "$COUNTERS"
	proven "tapdisk" "$(number_of requests) requests, $(number_of grants_mapped) grants mapped, $(number_of batches) calls of the module"
}

guest_ends()
{
	step "the guest unmounts and shuts down"
	guest_must demo 'cd / && umount /mnt'
	guest_shutdown demo
	show xl list
}

check_image()
{
	step "dom0 checks the image: file system and checksums"
	show e2fsck -fn "$IMAGE"
	e2fsck -fn "$IMAGE" >/dev/null 2>&1 || fail "the file system is damaged"
	mount_image "$IMAGE"
	(cd "$MOUNTED" && sha256sum -c SUMS) | sed 's/^/         /'
	umount "$MOUNTED"
	MOUNTS=()
	proven "image in dom0" "fsck clean, 6 of 6 checksums right"
}

check_traces()
{
	step "nothing is left behind"
	assert_no_grants | sed 's/^/         /'
	assert_no_zombie | sed 's/^/         /'
	assert_module_unloads | sed 's/^/         /'
	proven "left behind" "no grant, no dead domain; the module unloads"
}

IMAGE=$WORK/disk.img
show_installation
start_guest
guest_writes
guest_runs_fio
show_stats
guest_ends
check_image
check_traces

printf '\n'
for row in "${ROWS[@]}"; do
	printf '  %-14s %s\n' "${row%%|*}" "${row#*|}"
done
printf '\ndemo: all of this was true on this host, %d s\n' $((SECONDS - STARTED))
