# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For scripts that run real tapdisks in a mount namespace of their own.

skip()
{
	echo "$*"
	exit 77
}

# The user that tapdisk becomes, where it is not installed; in WORK.
have_user()
{
	grep -q '^tapdisk:' /etc/passwd && return
	{ cat /etc/passwd && echo 'tapdisk:x:64999:64999::/:/usr/sbin/nologin'; } >"$WORK/passwd"
	chmod 644 "$WORK/passwd"
	mount --bind "$WORK/passwd" /etc/passwd
}

# need_direct IMAGE
need_direct()
{
	dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none 2>/dev/null ||
		skip "no O_DIRECT on the file system of the build folder"
}

is_gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
