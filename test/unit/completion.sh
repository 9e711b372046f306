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

# expect WORDS... gives WANTED...
expect()
{
	COMP_WORDS=() COMPREPLY=()
	while [ "$1" != gives ]; do
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

expect tap-ctl '' gives list attach-domain help --help --version
expect tap-ctl l gives list
expect tap-ctl list - gives -p -m --json
expect tap-ctl list -p '' gives 12 345
expect tap-ctl list -p 3 gives 345
expect tap-ctl list -m '' gives 0 7
expect tap-ctl list -t '' gives aio
expect tap-ctl gref '' gives 0 7
expect tap-ctl create -a '' gives aio:
expect tap-ctl create -a aio : daemon/comp gives daemon/completion
expect tap-ctl list -f daemon/Makef gives daemon/Makefile
expect tap-ctl help '' gives list attach-domain
expect tap-ctl help a gives attach-domain
expect tap-ctl create --data '' gives auto map copy persistent
expect tap-ctl create --data p gives persistent
expect tap-ctl create -D m gives map
expect tap-ctl create -S '' gives 512 4096
expect tap-ctl create --data = '' gives auto map copy persistent
expect tap-ctl create --data = gives auto map copy persistent
expect tap-ctl create --data = c gives copy
exit $failed
