# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What every part of the lab uses: messages, the cache and its locks, and
# installing missing tools.  Sourced by `lab`, never run by itself.

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_SOURCE=$(cd "$LAB_DIR/../.." && pwd)
CACHE_MAKER=	# process group that makes a folder of the cache
LAB_CACHE=${XENTAP_LAB_CACHE:-/var/cache/xentap-lab}
LAB_KEEP=${XENTAP_LAB_KEEP:-2}
LOCK_SECONDS=1800	# how long to wait for another lab that makes a folder

say() { echo "lab: $*" >&2; }

die()
{
	say "$*"
	exit 1
}

# run_step DESCRIPTION COMMAND...: progress line, time taken, and the log of
# the command only if it fails; a failure ends the calling shell.
run_step()
{
	local what=$1 log begin
	shift
	log=$(mktemp)
	begin=$SECONDS
	say "$what ..."
	# In the background, since bash ignores errexit in the body of an `if`.
	("$@") >"$log" 2>&1 &
	if wait $!; then
		say "$what: done after $((SECONDS - begin)) s"
		rm -f "$log"
	else
		tail -n 40 "$log" >&2
		die "$what failed; the end of its output is above, all of it in $log"
	fi
}

# hash_of PATH...: one short key for the contents and modes of files and trees
# below LAB_SOURCE.  Names are part of it, the tree's own location is not.
hash_of()
{
	(
		cd "$LAB_SOURCE" || exit
		find "$@" -type f -printf '%m ' -exec sha256sum {} \; | sort -k3
	) | sha256sum | cut -c1-12
}

# The cache is a tree of folders KIND-KEY, each inside the one it was made
# from, so that none outlives what it needs.  Making a folder takes an exclusive
# lock, using it a shared one, so that nobody removes a folder that is in use.
# A lock is held until the calling (sub)shell ends.
cache_lock()
{
	local mode=$1 lock=$LAB_CACHE/locks/${2//\//.} fd
	mkdir -p "$LAB_CACHE/locks"
	exec {fd}>"$lock"
	flock --nonblock "--$mode" "$fd" && return
	say "waiting for another run that makes $2 ..."
	flock --timeout "$LOCK_SECONDS" "--$mode" "$fd" ||
		die "$2 is still locked after $((LOCK_SECONDS / 60)) minutes; see: fuser -v $lock"
}

# cache_make NAME FUNCTION [ARG...]: makes sure that folder NAME is in the
# cache, by calling FUNCTION FOLDER ARG... if it is not.  The folder gets its
# final name only when FUNCTION has succeeded, so a cached folder is complete.
cache_make()
{
	local name=$1 make=$2 final=$LAB_CACHE/$1
	shift 2
	if [ ! -d "$final" ]; then
		# In the background and a process group of its own, so that a
		# signal to the lab ends all of it (cache_stop) at once.
		set -m
		(
			set +m
			cache_lock exclusive "$name"
			[ ! -d "$final" ] || exit 0
			rm -rf "$final.part"
			mkdir -p "$final.part"
			"$make" "$final.part" "$@"
			mv "$final.part" "$final"
		) </dev/null &
		CACHE_MAKER=$!
		set +m
		wait "$CACHE_MAKER" || exit
		CACHE_MAKER=
	fi
	cache_lock shared "$name"
	touch "$final"
	cache_prune "$name"
}

cache_stop() { [ -z "$CACHE_MAKER" ] || kill -TERM -- "-$CACHE_MAKER"; }

# cache_prune NAME: keeps the newest of the folders beside NAME and of its kind,
# LAB_KEEP in number, and any that is in use.
cache_prune()
{
	local beside=$LAB_CACHE/$1 old
	find "${beside%/*}" -maxdepth 1 -type d -name "$(basename "${1%-*}")-*" \
		! -name '*.part' -printf '%T@ %P\n' | sort -rn | tail -n "+$((LAB_KEEP + 1))" |
		cut -d' ' -f2 | while read -r old; do
			cache_remove "$(dirname "$1")/$old"
		done
}

cache_remove()
{
	local name=${1#./}
	flock --nonblock --exclusive "$LAB_CACHE/locks/${name//\//.}" \
		rm -rf "${LAB_CACHE:?}/$name" "${LAB_CACHE:?}/$name.part" || true
}

# need COMMAND=PACKAGE...: installs the packages of missing commands.
need()
{
	local pair missing=()
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	[ ${#missing[@]} -eq 0 ] && return
	run_step "installing ${missing[*]}" install_packages "${missing[@]}"
}

install_packages()
{
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update &&
		apt-get -q install -y --no-install-recommends "$@"
}

need_tools()
{
	[ "$(id -u)" = 0 ] ||
		die "root is needed, because a root file system is built and entered by chroot; run it as root"
	need qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils \
		mmdebstrap=mmdebstrap mkfs.ext4=e2fsprogs python3=python3 \
		cpio=cpio zstd=zstd xz=xz-utils flock=util-linux setpriv=util-linux \
		modprobe=kmod
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		run_step "installing debian-archive-keyring" \
			install_packages debian-archive-keyring
}
