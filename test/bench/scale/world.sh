#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# world.sh COMMAND...: run it where nobody else is: with an empty /run, a /dev that has
# the module's node, as an empty file, and processes that end with it. Without root, as
# the root of a user namespace. Status 77: that cannot be done here.

set -euo pipefail

if [ -z "${INSIDE-}" ]; then
	options=(--mount --pid --fork --kill-child --mount-proc)
	[ "$(id -u)" = 0 ] || options+=(--map-root-user)
	unshare "${options[@]}" true 2>/dev/null || {
		echo "SKIP no namespaces here: $(unshare "${options[@]}" true 2>&1 | tail -n 1)"
		exit 77
	}
	INSIDE=1 exec unshare "${options[@]}" "$0" "$@"
fi

private_dev()
{
	local node
	mkdir /run/dev
	mount -t tmpfs tmpfs /run/dev
	mkdir /run/dev/xen /run/dev/shm
	for node in null zero full random urandom; do
		: >/run/dev/$node
		mount --bind /dev/$node /run/dev/$node
	done
	: >/run/dev/xen/tap
	mount --rbind /run/dev /dev
}

mount -t tmpfs tmpfs /run
private_dev
grep -q '^tapdisk:' /etc/passwd || {
	{ cat /etc/passwd && echo 'tapdisk:x:64999:64999::/:/usr/sbin/nologin'; } >/run/passwd
	chmod 644 /run/passwd
	mount --bind /run/passwd /etc/passwd
}
unset INSIDE
# Not in our place: somebody has to see to the ends of orphans.
status=0
"$@" || status=$?
exit $status
