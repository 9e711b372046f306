#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# service.sh: the installed package where systemd runs: units with their filters and
# sandboxes start, on each Debian release. Runs in a container that boot.sh started, with
# the packages that lifecycle.sh made. There is no Xen: tapback is the lab's part.

set -euo pipefail

image=/mnt/image
run=/run/blktap-control

fail()
{
	echo "FAIL: service: $*"
	journalctl --no-pager --lines 30
	exit 1
}

ok() { echo "ok: $*"; }

# wait_for WHAT COMMAND...
wait_for()
{
	local what=$1
	shift
	for _ in $(seq 150); do
		! "$@" || return 0
		sleep 0.2
	done
	fail "not within 30 seconds: $what"
}

status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

in_journal() { journalctl --no-pager --quiet | grep -q "$1"; }

only_pid() { tap-ctl list | sed -n 's/^pid=\([0-9]*\) minor=.*/\1/p'; }

units_ended() { [ -z "$(systemctl list-units --plain --no-legend 'tapdisk@*')" ]; }

# tap-ctl asks for the module's device before it starts anything.
touch_device()
{
	mkdir -p /dev/xen
	touch /dev/xen/tap
}

check_tapdisk()
{
	local pid
	tap-ctl create -a aio:$image >/dev/null || fail "tap-ctl create"
	pid=$(only_pid)
	[ -n "$pid" ] || fail "tap-ctl list says: $(tap-ctl list)"
	systemctl --quiet is-active tapdisk@1.service || fail "its unit is not active"
	[ "$(stat -c %U "/proc/$pid/mem")" = root ] || fail "its user may look into it"
	[ "$(status_of "$pid" CapEff)" = 0000000000000000 ] || fail "it has capabilities"
	# Of systemd and its own.
	[ "$(status_of "$pid" Seccomp_filters)" -ge 2 ] || fail "a filter of system calls is missing"
	tap-ctl stats -p "$pid" -m 0 >/dev/null || fail "tap-ctl stats"
	[ "$(stat -c '%F %a %U' $run/nbd"$pid".0)" = "socket 600 root" ] ||
		fail "local programs have no socket: $(ls -l $run)"
	ok "tapdisk@.service serves an image"
}

# One that was killed is replaced, with the same image; one that was told to end is not.
check_restart()
{
	local pid again
	pid=$(only_pid)
	kill -KILL "$pid"
	wait_for "tapdisk $pid is gone" test ! -d "/proc/$pid"
	mv $image $image.away
	cp $image.away $image
	! systemctl start xentap-restart@0.service 2>/dev/null || fail "another image was opened"
	in_journal 'is no longer the image' || fail "nothing was said of another image"
	mv $image.away $image
	systemctl start xentap-restart@0.service || fail "xentap-restart@0.service"
	again=$(only_pid)
	[ -n "$again" ] && [ "$again" != "$pid" ] || fail "tap-ctl list says: $(tap-ctl list)"
	[ "$(tap-ctl restart -m 0)" = "$again" ] || fail "one that runs was started again"
	# Whoever knows the first pid only can still end it.
	tap-ctl destroy -p "$pid" -m 0 || fail "tap-ctl destroy by the pid before"
	[ -z "$(tap-ctl list)" ] || fail "left behind: $(tap-ctl list)"
	! systemctl start xentap-restart@0.service 2>/dev/null || fail "it came back"
	tap-ctl create -a aio:$image >/dev/null || fail "tap-ctl create"
	ok "a tapdisk that was killed is replaced"
}

check_metrics()
{
	local answer
	mkdir -p /var/lib/prometheus/node-exporter
	systemctl start xentap-metrics.service || fail "xentap-metrics.service"
	grep -q "image=\"aio:$image\"" /var/lib/prometheus/node-exporter/xentap.prom ||
		fail "xentap-metrics.service wrote nothing of the disk"
	systemctl start xentap-metrics.socket || fail "xentap-metrics.socket"
	exec 3<>/dev/tcp/127.0.0.1/9780
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
	answer=$(timeout 30 cat <&3)
	exec 3>&-
	grep -q "image=\"aio:$image\"" <<<"$answer" || fail "the socket says: $answer"
	ok "metrics by file and by socket"
}

# Neither an upgrade nor a removal touches what runs.
check_package_while_in_use()
{
	local pid
	pid=$(only_pid)
	dpkg --install "$1" >/dev/null 2>&1 || fail "the upgrade fails"
	[ "$(only_pid)" = "$pid" ] || fail "tapdisk $pid did not survive an upgrade"
	tap-ctl stats -p "$pid" -m 0 >/dev/null || fail "tap-ctl stats after an upgrade"
	! dpkg --remove xentap >/tmp/log 2>&1 || fail "removed while a tapdisk runs"
	[ "$(only_pid)" = "$pid" ] || fail "a refused removal ended tapdisk $pid"
	ok "an upgrade leaves a tapdisk alone, a removal is refused"
}

check_end()
{
	tap-ctl destroy -p "$(only_pid)" -m 0 || fail "tap-ctl destroy"
	! ls $run/nbd* 2>/dev/null || fail "a socket is left behind"
	wait_for "its unit has gone" units_ended
	[ -z "$(tap-ctl list)" ] || fail "left behind: $(tap-ctl list)"
	! in_journal 'must not make' || fail "a system call was missing from a list"
	ok "it ends in order"
}

check_violation()
{
	local pid
	systemctl start tapdisk@77.service || fail "tapdisk@77.service"
	pid=$(systemctl show -p MainPID --value tapdisk@77.service)
	[ "$pid" -gt 1 ] || fail "tapdisk@77.service has no process"
	kill -SYS "$pid"
	wait_for "the journal says what SIGSYS means" in_journal 'must not make'
	ok "the journal explains SIGSYS"
}

package=$(echo /mnt/source/build/deb/xentap_*.deb)
truncate -s 8M $image
systemctl start systemd-journald.service
dpkg --install "$package" >/tmp/log 2>&1 || fail "$(</tmp/log)"
mkdir -p $run
touch_device
check_tapdisk
check_restart
check_metrics
check_package_while_in_use "$package"
check_end
check_violation
