#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 600
#
# The host stops with a guest at work: one transaction of systemd stops xendomains, tapback
# and all tapdisks, as a shutdown does. The guest ends first, in good order, and what it
# had flushed is there.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img

# Without saving guests, which is Debian's default.
xendomains_on()
{
	sed -i 's/^XENDOMAINS_SAVE=.*/XENDOMAINS_SAVE=/' /etc/default/xendomains
	systemctl unmask xendomains 2>/dev/null
	systemctl start xendomains
}

count_flushed() { xenstore-read "$(guest_path worker)/count" 2>/dev/null || echo 0; }

has_flushed() { [ "$(count_flushed)" -ge "$1" ]; }

require_xentap
make_image "$IMAGE" 32M ext4
xendomains_on
guest_create worker pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up worker
guest_start_job worker 'mount /dev/xvda /mnt || exit
	count=0
	while count=$((count + 1)); do
		dd if=/dev/zero bs=64k count=8 2>/dev/null >/mnt/data
		echo $count >/mnt/count && sync && xenstore-write data/count $count || exit
	done'
wait_for 60 "the guest is at work" has_flushed 5
last=$(count_flushed)
timeout $((200 * PATIENCE)) systemctl stop xendomains.service tapback.service 'tapdisk@*.service' ||
	fail "the units do not stop: $(systemctl --no-pager list-jobs)"
guest_is_gone worker || fail "the guest still runs"
unset 'GUESTS[worker]'
ok "all has stopped"
grep -q 'has shut down, reason code 0' /var/log/xen/xl-worker.log ||
	fail "the guest was not shut down in good order: $(</var/log/xen/xl-worker.log)"
! grep -iE 'I/O error|xvda.*(error|abort)' "$CONSOLE_DIR/guest-worker.log" ||
	fail "the guest saw errors of its disk"
mount_image "$IMAGE"
[ "$(<"$MOUNTED/count")" -ge "$last" ] || fail "the image has count $(<"$MOUNTED/count"), not $last"
ok "what was flushed is there: $(<"$MOUNTED/count"), $last when the stop began"
umount "$MOUNTED"
MOUNTS=()
[ -z "$(pidof tapdisk)" ] || fail "a tapdisk is left: $(pidof tapdisk)"
assert_no_grants
