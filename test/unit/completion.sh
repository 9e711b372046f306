#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bash completion of tap-ctl, with a tap-ctl of known answers.

set -u
cd "${TOP:-$(dirname "$0")/../..}" || exit
failed=0

# As tap-ctl prints it.
tap-ctl()
{
	case $* in
	help)
		printf '%s\n' 'usage: tap-ctl COMMAND [OPTIONS]' \
			'  list      [-p PID] [-m MINOR]' '            show disks' \
			'  attach-domain DOMAIN' '            attach'
		;;
	"list -h") printf '%s\n' 'usage: tap-ctl list [-p PID] [-m MINOR] [--json]' 'show -x' ;;
	list) printf '%s\n' 'pid=12 minor=0 state=0 args=aio:/x' 'pid=345 minor=7' ;;
	esac
}
timeout() { shift; "$@"; }
compopt() { :; }

. daemon/completion/tap-ctl

# expect WORDS... = WANTED...
expect()
{
	COMP_WORDS=() COMPREPLY=()
	while [ "$1" != = ]; do
		COMP_WORDS+=("$1")
		shift
	done
	shift
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_tap_ctl
	[ "${COMPREPLY[*]}" = "$*" ] && return
	echo "${COMP_WORDS[*]}: \"${COMPREPLY[*]}\", not \"$*\""
	failed=1
}

expect tap-ctl '' = list attach-domain --help --version
expect tap-ctl l = list
expect tap-ctl list - = -p -m --json
expect tap-ctl list -p '' = 12 345
expect tap-ctl list -p 3 = 345
expect tap-ctl list -m '' = 0 7
expect tap-ctl list -t '' = aio
expect tap-ctl gref '' = 0 7
expect tap-ctl create -a '' = aio:
expect tap-ctl create -a aio : daemon/comp = daemon/completion
expect tap-ctl list -f daemon/Makef = daemon/Makefile
exit $failed
