#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 300
#
# xenstored is replaced, and then goes. The first is what it can do by itself (a live
# update), and must not disturb anybody. The second Xen does not allow for: toolstack and
# new guests are lost with it. Disks in use are not: tapdisk does not need it.

. "$(dirname "$0")/lib.sh"

IMAGE=$WORK/disk.img
CONSOLE=$CONSOLE_DIR/guest-reader.log
STORED=/run/xenstore.pid

# The guest's own report: without xenstored only its console is left.
job_is_over() { grep -q 'job .*: status' "$CONSOLE"; }

tapback_says_so() { journalctl -q -t tapback | grep -q 'xenstored ended or does not answer'; }

require_xentap
[ -e "$STORED" ] || skip "this host's xenstored is no process of dom0"
make_image "$IMAGE" 32M
guest_create reader pv "$(tap_disk "$IMAGE" xvda)"
guest_wait_up reader
guest_start_job reader "for i in 1 2 3 4 5; do cd /tmp && $(fio_verify /dev/xvda 12m) || exit 1; done"
wait_for 60 "I/O is running" io_is_running
TAPBACK=$(tapback_pid)
TAPDISK=$(tapdisk_pid "$IMAGE")

pid=$(cat "$STORED")
xenstore-control live-update "$(readlink "/proc/$pid/exe")" >/dev/null
wait_for 20 "I/O goes on" io_is_running
assert_eq "$(xenstore-read "/local/domain/0/backend/vbd3/${GUESTS[reader]}/51712/state")" 4 "the disk's state"
assert_eq "$(tapback_pid)" "$TAPBACK" "tapback's pid"
ok "xenstored was replaced by itself"

# From here on xl hangs: nothing of it is used, at the end neither.
unset "GUESTS[reader]"
kill -KILL "$(cat "$STORED")"
wait_for 20 "I/O goes on" io_is_running
assert_eq "$(tapdisk_pid "$IMAGE")" "$TAPDISK" "tapdisk's pid"
wait_for 150 "the guest's fio has ended" job_is_over
grep -q 'job .*: status 0' "$CONSOLE" || fail "fio: $(tail "$CONSOLE")"
ok "no error and no wrong byte without xenstored"
wait_for 60 "tapback says what happened" tapback_says_so
ok "tapback has noticed"
