#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 3000
# needs: host
# hosts: deb deb12
# long: yes
#
# The Debian packages on a host that had nothing of this project: installed, and a guest
# has a disk; upgraded while it writes, and it sees nothing of that; its disk moved to the
# new program; no removal meanwhile; removed and purged after it.

. "$(dirname "$0")/lib.sh"

PACKAGES=/run/lab/native
IMAGE=$WORK/disk.img

# packages_version FOLDER
packages_version() { dpkg-deb -f "$(echo "$1"/xentap_*.deb)" Version | sed 's/-[^-]*$//'; }

# install FOLDER: both packages by one call, as apt would. DKMS compiles the module here.
install()
{
	dpkg --install "$1"/*.deb >"$WORK/dpkg.log" 2>&1 ||
		fail "dpkg --install: $(tail -n 20 "$WORK/dpkg.log")"
	# Debian 12's dkms says that of itself.
	! grep -v '^/usr/sbin/dkms: .*Broken pipe$' "$WORK/dpkg.log" |
		grep -iE 'error|warning|fail' || fail "dpkg says so, see above"
}

# From Xen 4.19 on.
xl_knows_tap() { [ "$(xl info | sed -n 's/^xen_minor *: //p')" -ge 19 ]; }

# create_guest NAME: it has the image as xvda.
create_guest()
{
	if xl_knows_tap; then
		guest_create "$1" pv "$(tap_disk "$IMAGE" xvda)"
		guest_wait_up "$1"
	else
		guest_create "$1" pv
		guest_wait_up "$1"
		tap-ctl attach-domain -a "aio:$IMAGE" -d xvda "$1"
	fi
	guest_must "$1" "$(wait_device /dev/xvda)"
}

# end_guest NAME: as an administrator does it; a disk without xl is taken away by itself.
end_guest()
{
	local domid=${GUESTS[$1]}
	guest_shutdown "$1"
	xl_knows_tap || tap-ctl detach-domain -d xvda "$domid"
	wait_for 30 "no tapdisk is left" no_tapdisks
}

tapback_is_active() { systemctl --quiet is-active tapback; }

loaded_version() { cat /sys/module/xentap/version; }

# left_behind: what is there of the project, but nothing that only runs on.
left_behind()
{
	find /etc /usr /lib/modules /var/lib/dkms /var/lib/systemd /run/blktap-control \
		\( -name '*xentap*' -o -name '*tapback*' -o -name '*tapdisk*' -o -name 'tap-ctl*' \
		-o -name blktap-control \) 2>/dev/null || true
}

[ -d $PACKAGES/old ] || skip "there are no packages in $PACKAGES (test/deb/Makefile makes them)"
! command -v tap-ctl >/dev/null || skip "this host has a tap-ctl"
OLD=$(packages_version $PACKAGES/old)
NEW=$(packages_version $PACKAGES/new)
make_image "$IMAGE" 32M

install $PACKAGES/old
wait_for 30 "tapback is active" tapback_is_active
assert_eq "$(tap-ctl --version)" "tap-ctl $OLD" "what is installed"
ok "packages of $OLD are installed"

create_guest user
assert_eq "$(loaded_version)" "$OLD" "the module that is loaded"
tap-ctl doctor >"$WORK/doctor" || fail "tap-ctl doctor: $(grep -v '^ok' "$WORK/doctor")"
guest_must -t 200 user "cd /tmp && $(fio_verify /dev/xvda 16m)"
ok "a guest has a disk"

guest_start_job user "until [ -e /tmp/stop ]; do cd /tmp && $(fio_verify /dev/xvda 16m) || exit 1; done"
LOAD=$JOB
wait_for 60 "I/O is running" io_is_running
PID=$(tapdisk_pid "$IMAGE")
TAPBACK=$(tapback_pid)
install $PACKAGES/new
assert_eq "$(tap-ctl --version)" "tap-ctl $NEW" "what is installed"
assert_eq "$(tapdisk_pid "$IMAGE")" "$PID" "who serves the disk"
wait_for 30 "tapback is active" tapback_is_active
[ "$(tapback_pid)" != "$TAPBACK" ] || fail "tapback is still the one of $OLD"
assert_eq "$(modinfo -F version xentap)" "$NEW" "the module that is installed"
assert_eq "$(loaded_version)" "$OLD" "the module that is loaded"
IO_MOVED=$(io_moved)
wait_for 60 "I/O goes on" io_is_running
ok "upgraded to $NEW under a guest's I/O"

systemctl reload-or-restart 'tapdisk@*'
MOVED=$(tapdisk_pid "$IMAGE")
[ -n "$MOVED" ] && [ "$MOVED" != "$PID" ] || fail "tapdisk $PID was not replaced: $(tap-ctl list)"
! readlink "/proc/$MOVED/exe" | grep deleted || fail "tapdisk $MOVED runs the old program"
IO_MOVED=$(io_moved)
wait_for 60 "I/O goes on" io_is_running
ok "the disk moved to the new program"

! dpkg --remove xentap >"$WORK/dpkg.log" 2>&1 || fail "removed while a disk is in use"
grep -q 'xl block-detach' "$WORK/dpkg.log" || fail "it does not say what to do: $(<"$WORK/dpkg.log")"
assert_eq "$(tapdisk_pid "$IMAGE")" "$MOVED" "who serves the disk"
tapback_is_active || fail "tapback was stopped by a removal that was refused"
ok "not removed while a guest has a disk: $(head -n 1 <(grep '^xentap: ' "$WORK/dpkg.log"))"

guest_must user 'touch /tmp/stop'
guest_wait_job -t 300 user "$LOAD" || fail "fio in the guest"
guest_must user '! dmesg | grep -iE "I/O error|xvd.*(error|abort)|still in use|blk_update_request"'
ok "no error and no wrong byte in the guest"
end_guest user

assert_module_unloads
assert_eq "$(loaded_version)" "$NEW" "the module that is loaded"
create_guest again
guest_must again 'head -c 65536 /dev/xvda >/dev/null'
end_guest again
assert_no_grants
ok "a guest has a disk with all of $NEW"

dpkg --remove xentap xentap-dkms >"$WORK/dpkg.log" 2>&1 || fail "dpkg --remove: $(<"$WORK/dpkg.log")"
dpkg --purge xentap xentap-dkms >"$WORK/dpkg.log" 2>&1 || fail "dpkg --purge: $(<"$WORK/dpkg.log")"
assert_eq "$(left_behind)" "" "left behind"
! systemctl list-units --all --plain --no-legend | grep -E '^(tapback|tapdisk@|xentap)' ||
	fail "units are left"
assert_no_zombie
ok "removed and purged"
