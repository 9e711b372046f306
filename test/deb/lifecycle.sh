#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lifecycle.sh KERNEL: the life of the packages, as an administrator sees it. Runs in a
# Debian root file system that has the headers of KERNEL and what builds packages, with
# the source in /mnt/source. No daemon runs there and nothing is loaded.

set -euo pipefail

kernel=$1
source=/mnt/source
version=$(<$source/VERSION)
programs=(usr/sbin/tap-ctl usr/libexec/xentap/tapdisk usr/libexec/xentap/tapback)

fail()
{
	echo "FAIL: $*"
	exit 1
}

ok() { echo "ok: $*"; }

# As if the kernel itself were here, and running: see also test/dkms/lifecycle.sh.
pretend_kernel()
{
	depmod "$kernel" 2>/dev/null
	printf '#!/bin/sh\n[ "$*" != -r ] || exec echo %s\nexec /bin/uname "$@"\n' "$kernel" \
		>/usr/local/bin/uname
	chmod +x /usr/local/bin/uname
	PATH=/usr/local/bin:$PATH
	# Man pages and documents are left out when this root file system is made.
	rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap
}

# What a deb-systemd-helper does where systemd does not run, but starting.
package_state() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null || true; }

module_of() { find "/lib/modules/$kernel/updates" -name 'xentap.ko*' 2>/dev/null; }

build()
{
	make -s -C "$1" deb
	for name in xentap xentap-dbgsym xentap-dkms; do
		[ -s "$(echo "$1"/build/deb/"${name}"_"$2"-*.deb)" ] ||
			fail "no package of $name: $(ls "$1"/build/deb)"
	done
}

check_build()
{
	build $source "$version"
	ok "make deb"
}

# Errors fail; warnings are shown.
check_lintian()
{
	lintian --allow-root --fail-on error --no-tag-display-limit \
		--suppress-tags bad-distribution-in-changes-file \
		$source/build/deb/*.changes || fail "lintian finds errors"
	ok "lintian $(lintian --version | grep -o '[0-9.]*' | head -n 1) without errors"
}

# Conflicts or a refused overwrite: the other's file must stay.
check_foreign_tap_ctl()
{
	local name
	for name in blktap-utils another; do
		mkdir -p /tmp/$name/DEBIAN /tmp/$name/usr/sbin
		printf '%s\n' "Package: $name" 'Version: 1' 'Architecture: all' \
			'Maintainer: nobody <nobody@example.org>' 'Description: a tap-ctl of others' \
			>/tmp/$name/DEBIAN/control
		echo "of $name" >/tmp/$name/usr/sbin/tap-ctl
		dpkg-deb --build /tmp/$name >/dev/null
		dpkg --install /tmp/$name.deb >/dev/null
		! dpkg --install $source/build/deb/xentap_*.deb 2>/tmp/log ||
			fail "installed over the tap-ctl of $name"
		[ "$(</usr/sbin/tap-ctl)" = "of $name" ] || fail "tap-ctl of $name was overwritten"
		grep -qE 'conflicting packages|trying to overwrite' /tmp/log || fail "$(</tmp/log)"
		dpkg --purge $name >/dev/null
		dpkg --purge xentap >/dev/null 2>&1 || true
	done
	ok "a tap-ctl of another package stays"
}

# debs FOLDER: all but debug symbols.
debs() { find "$1/build/deb" -name 'xentap*.deb' ! -name '*dbgsym*'; }

check_install()
{
	local file
	debs $source | xargs dpkg --install
	[ "$(package_state xentap)" = "install ok installed" ] || fail "xentap is not installed"
	getent passwd tapdisk >/dev/null || fail "there is no user tapdisk"
	[ "$(systemctl is-enabled tapback.service)" = enabled ] || fail "tapback is not enabled"
	for file in timer socket; do
		[ "$(systemctl is-enabled xentap-metrics.$file || true)" = disabled ] ||
			fail "xentap-metrics.$file is enabled"
	done
	for file in "${programs[@]}" usr/lib/sysusers.d/xentap.conf \
			usr/lib/modules-load.d/xentap.conf usr/lib/udev/rules.d/60-xentap.rules \
			usr/lib/systemd/system/tapdisk@.service \
			usr/lib/systemd/system/xentap-restart@.service \
			etc/xen/scripts/block-xentap \
			usr/share/bash-completion/completions/tap-ctl \
			usr/share/man/man7/block-xentap.7.gz \
			usr/share/man/man8/tap-ctl.8.gz usr/share/man/man4/xentap.4.gz; do
		[ -s "/$file" ] || fail "/$file is missing"
	done
	[ "$(tap-ctl --version)" = "tap-ctl $version" ] || fail "$(tap-ctl --version)"
	tap-ctl list || fail "tap-ctl list"
	[ "$(modinfo -F version "$(module_of)")" = "$version" ] || fail "the module is not built"
	modinfo -F alias "$(module_of)" | grep -qx xen-backend:vbd3 || fail "no alias for vbd3"
	systemd-analyze verify /usr/lib/systemd/system/tapback.service \
		/usr/lib/systemd/system/tapdisk@.service 2>&1 | grep -i xentap &&
		fail "systemd-analyze verify, see above"
	ok "installed: programs, units, user, module for $kernel"
}

# The words after NAME: in /proc/PID/status.
status_of() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; }

# Without Xen, a tapdisk can do all but serve a guest: as the user it is to become, without
# rights, and under its filter of system calls.
check_tapdisk()
{
	local pid uid name marker
	truncate -s 8M /mnt/image
	mkfifo /tmp/ready
	/usr/libexec/xentap/tapdisk --ready-fd=9 9>/tmp/ready &
	pid=$!
	[ "$(timeout 60 head -c 1 /tmp/ready | wc -c)" = 1 ] || fail "tapdisk does not get ready"

	uid=$(id -u tapdisk)
	[ "$(status_of $pid Uid)" = "$uid $uid $uid $uid" ] || fail "uid $(status_of $pid Uid)"
	[ -z "$(status_of $pid Groups | tr -d ' ')" ] || fail "groups $(status_of $pid Groups)"
	for name in CapInh CapPrm CapEff CapAmb; do
		[ "$(status_of $pid $name)" = 0000000000000000 ] ||
			fail "$name is $(status_of $pid $name)"
	done
	[ "$(status_of $pid NoNewPrivs) $(status_of $pid Seccomp)" = "1 2" ] ||
		fail "no_new_privs or the filter of system calls is missing"
	grep -qE '^Max core file size +0 +0 ' /proc/$pid/limits || fail "it may dump core"
	[ "$(stat -c %u /proc/$pid/mem)" = 0 ] || fail "its user may look into its memory"

	marker=$(tap-ctl allocate)
	tap-ctl attach -p $pid -m "${marker##*-}"
	tap-ctl open -p $pid -m "${marker##*-}" -a aio:/mnt/image
	[ "$(tap-ctl list)" = "pid=$pid minor=${marker##*-} state=0 args=aio:/mnt/image" ] ||
		fail "tap-ctl list says: $(tap-ctl list)"
	tap-ctl stats -p $pid -m "${marker##*-}" | grep -q '^{.*}$' || fail "no stats"
	tap-ctl top --once -n 1 | grep -qE " $pid +${marker##*-} .* aio:/mnt/image$" ||
		fail "tap-ctl top says: $(tap-ctl top --once -n 1)"
	printf 'GET /metrics HTTP/1.1\r\n\r\n' | tap-ctl metrics --http |
		grep -q "^xentap_disk_outstanding{pid=\"$pid\",.*,image=\"aio:/mnt/image\"} 0$" ||
		fail "tap-ctl metrics says: $(tap-ctl metrics)"
	tap-ctl destroy -p $pid -m "${marker##*-}"
	wait $pid || fail "tapdisk ended with status $?"
	# It is no dom0, and says so.
	! tap-ctl doctor >/tmp/log || fail "tap-ctl doctor finds nothing wrong"
	grep -q '^FAIL  xen ' /tmp/log || fail "tap-ctl doctor says: $(</tmp/log)"
	ok "a tapdisk works as user tapdisk, without rights, under its filter"
}

# What the administrator changed must survive; tapdisks must not be touched.
check_upgrade()
{
	local copy=/mnt/newer newer
	newer=$($source/test/deb/newer.sh $copy)
	build $copy "$newer"
	systemctl --quiet disable tapback.service
	debs $copy | xargs dpkg --install
	[ "$(tap-ctl --version)" = "tap-ctl $newer" ] || fail "$(tap-ctl --version)"
	[ "$(systemctl is-enabled tapback.service || true)" = disabled ] ||
		fail "the upgrade enabled tapback again"
	[ "$(modinfo -F version "$(module_of)")" = "$newer" ] ||
		fail "module $(modinfo -F version "$(module_of)") after the upgrade to $newer"
	[ "$(dkms status xentap | wc -l)" = 1 ] || fail "dkms status: $(dkms status)"
	! grep -hE 'tapdisk@' /var/lib/dpkg/info/xentap.{preinst,postinst,prerm} ||
		fail "the package's scripts touch tapdisks, see above"
	ok "upgraded to $newer; tapback stays as it was, no script touches a tapdisk"
}

# A process that answers as a tapdisk would be listed by its pid.
check_remove_refused()
{
	mkdir -p /run/blktap-control
	silent_tapdisk &
	local listener=$!
	for _ in $(seq 50); do
		[ ! -S /run/blktap-control/ctl$listener ] || break
		sleep 0.1
	done
	[ -S /run/blktap-control/ctl$listener ] || fail "no socket for the test"
	! dpkg --remove xentap 2>/tmp/log || fail "removed while a tapdisk runs"
	grep -q 'tapdisks that are running: 1' /tmp/log || fail "it says: $(</tmp/log)"
	[ -x /usr/sbin/tap-ctl ] || fail "tap-ctl is gone after a refused removal"
	kill $listener
	wait $listener || true
	rm -f /run/blktap-control/ctl*
	ok "not removed while a tapdisk runs"
}

# Silent, but there: tap-ctl lists it by its pid alone.
silent_tapdisk()
{
	exec perl -MSocket -e '
		socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die;
		bind($s, sockaddr_un("/run/blktap-control/ctl$$")) or die;
		listen($s, 5) or die;
		while (accept(my $c, $s)) { push @keep, $c }'
}

check_remove()
{
	touch /run/blktap-control/instance
	dpkg --remove xentap xentap-dkms
	[ -z "$(module_of)" ] || fail "left behind: $(module_of)"
	[ -z "$(dkms status xentap)" ] || fail "dkms status: $(dkms status)"
	local file
	for file in "${programs[@]}"; do
		[ ! -e "/$file" ] || fail "left behind: /$file"
	done
	ok "removed"
}

check_purge()
{
	local left
	dpkg --purge xentap xentap-dkms
	[ -z "$(package_state xentap)$(package_state xentap-dkms)" ] || fail "still known to dpkg"
	left=$(find /etc /usr /lib/modules /var/lib/dkms /var/lib/systemd /run/blktap-control \
		\( -name '*xentap*' -o -name '*tapback*' -o -name block-xentap -o -name 'tap-ctl*' \
		-o -name blktap-control \) ! -path '/usr/share/doc/*' 2>/dev/null || true)
	[ -z "$left" ] || fail "left behind: $left"
	ok "purged without a trace"
}

pretend_kernel
check_build
check_lintian
check_foreign_tap_ctl
check_install
check_tapdisk
check_upgrade
check_remove_refused
check_remove
check_purge
/mnt/source/test/deb/rpm.sh
