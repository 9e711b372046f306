#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debian 12: yes
# hosts: pv
# time limit: 500
#
# Disks without xl's help, for a Xen whose xl knows no backendtype=tap: attached and
# detached by tap-ctl, to a guest that runs; refused, broken off, and left by a guest
# that ends.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
OTHER=$WORK/other.img

# attach [OPTION...] IMAGE DEVICE
attach() { tap-ctl attach-domain "${@:1:$#-2}" -a "aio:${*: -2:1}" -d "${*: -1}" host; }

# refused WHAT WORDS COMMAND...: with a sentence that has these words.
refused()
{
	local what=$1 words=$2
	shift 2
	! "$@" >"$WORK/said" 2>&1 || fail "$what was not refused"
	grep -qi "$words" "$WORK/said" || fail "$what: '$words' is not in: $(<"$WORK/said")"
	ok "$what: $(head -n 1 "$WORK/said")"
}

no_nodes() { ! xenstore-exists "/local/domain/0/backend/vbd3/$1/51728"; }

require_xentap
make_image "$IMAGE" 32M
make_image "$OTHER" 8M
guest_create host pv
guest_wait_up host
DOMID=${GUESTS[host]}

attach "$IMAGE" xvdb
guest_must -t 200 host "$(wait_device /dev/xvdb); cd /tmp && $(fio_verify /dev/xvdb 16m)"
guest_must host 'mkfs.ext4 -q /dev/xvdb && mount /dev/xvdb /mnt && echo kept >/mnt/file && umount /mnt'
ok "attached, and verified by fio"
refused "the same device again" "has a disk xvdb" attach "$OTHER" xvdb
refused "the same image again" "in use" attach "$IMAGE" xvdc
refused "an image that is not there" "no image\|no such file" attach "$WORK/none.img" xvdc
refused "a domain that is not there" "no domain" tap-ctl attach-domain -a "aio:$OTHER" -d xvdb nobody
assert_eq "$(tap-ctl list | wc -l)" 1 "tapdisks after all that was refused"

tap-ctl detach-domain -d xvdb host
wait_for 15 "no tapdisk is left" no_tapdisks
no_nodes "$DOMID" || fail "the nodes of the disk are left in xenstore"
mount_image "$IMAGE"
assert_eq "$(<"$MOUNTED/file")" kept "the file in the image"
umount "$MOUNTED"
MOUNTS=()
assert_no_grants
ok "detached"

attach -R "$IMAGE" xvdb
guest_must host "$(wait_device /dev/xvdb); mount -o ro /dev/xvdb /mnt && cat /mnt/file && umount /mnt
	! dd if=/dev/zero of=/dev/xvdb count=1 2>/dev/null"
ok "attached for reading only"
xl pause host
refused "a disk of a guest that is paused" "let go" tap-ctl detach-domain -t 2 -d xvdb host
tap-ctl detach-domain --force -t 2 -d xvdb host
wait_for 15 "no tapdisk is left" no_tapdisks
xl unpause host
ok "broken off"
assert_no_grants

attach "$OTHER" xvdd
guest_start_job host "$(wait_device /dev/xvdd); $(fio_load /dev/xvdd | sed 's/--size=16m/--size=4m/')"
wait_for 60 "I/O is running" io_is_running
guest_destroy host
assert_no_grants
assert_eq "$(tap-ctl list | wc -l)" 1 "tapdisks after the guest's end"

# The next one gets the image, though nobody took away the last one's disk.
guest_create host pv
guest_wait_up host
attach "$OTHER" xvdb
guest_must host "$(wait_device /dev/xvdb); dd if=/dev/xvdb of=/dev/null bs=64k count=16 2>/dev/null"
assert_eq "$(tap-ctl list | wc -l)" 1 "tapdisks"
! xenstore-exists "/local/domain/0/backend/vbd3/$DOMID/51760" || fail "domain $DOMID still has a disk"
ok "the next guest has its image"
DOMID=${GUESTS[host]}
guest_destroy host
assert_no_grants
tap-ctl detach-domain -d xvdb "$DOMID"
wait_for 15 "no tapdisk is left" no_tapdisks
assert_no_zombie
ok "taken away after the guest's end"
assert_module_unloads
