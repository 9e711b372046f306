#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The hotplug script block-xentap, with a xenstore of files and a tap-ctl that keeps
# notes.

set -u
cd "${TOP:-$(dirname "$0")/../..}" || exit

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
STORE=$WORK/store
mkdir "$WORK/bin" "$STORE" "$WORK/run" "$WORK/tmp"
export TMPDIR=$WORK/tmp STORE WORK BLOCK_XENTAP_RUN_DIR=$WORK/run XENBUS_TYPE=vbd3
PATH=$WORK/bin:$PATH
failed=0

# ---- stubs

# Without -R, letters beyond ASCII would be escaped: refused here.
cat >"$WORK/bin/xenstore-read" <<'END'
#!/bin/bash
[ "$1" = -R ] || exit 3
[ -f "$STORE/$2/.value" ] || exit 1
cat "$STORE/$2/.value"
END
cat >"$WORK/bin/xenstore-write" <<'END'
#!/bin/bash
[ "$1" = -R ] || exit 3
shift
while [ $# -gt 1 ]; do
	mkdir -p "$STORE/$1"
	printf '%s' "$2" >"$STORE/$1/.value"
	echo "write ${1##*/}" >>"$WORK/calls"
	shift 2
done
END
cat >"$WORK/bin/xenstore-list" <<'END'
#!/bin/bash
ls "$STORE/$1" 2>/dev/null
END
# Fails at the command that is named in the file "fail-at".
cat >"$WORK/bin/tap-ctl" <<'END'
#!/bin/bash
printf '%s' "$1" >>"$WORK/calls"
for argument in "${@:2}"; do printf ' [%s]' "$argument" >>"$WORK/calls"; done
echo >>"$WORK/calls"
# The lock's descriptor must not get into a daemon.
[ ! -e /proc/self/fd/9 ] || echo "lock leaked into $1" >>"$WORK/calls"
if [ "$1" = "$(cat "$WORK/fail-at" 2>/dev/null)" ]; then
	echo "tap-ctl: $1: a sentence of \"tap-ctl\"" >&2
	exit 5
fi
case $1 in
list) cat "$WORK/list" 2>/dev/null || true ;;
allocate) echo /run/blktap-control/tapdisk/tapdisk-7 ;;
spawn) echo 4242; touch "$WORK/run/ctl4242" ;;
esac
END
chmod +x "$WORK"/bin/*

# ---- helpers

# new_disk DOMID DEVID PARAMS MODE
new_disk()
{
	export XENBUS_PATH=backend/vbd3/$1/$2
	put params "$3"
	put mode "$4"
}

put()
{
	mkdir -p "$STORE/$XENBUS_PATH/$1"
	printf '%s' "$2" >"$STORE/$XENBUS_PATH/$1/.value"
}

get() { cat "$STORE/$XENBUS_PATH/$1/.value" 2>/dev/null; }

begin()
{
	CASE=$*
	rm -rf "${STORE:?}"/* "$WORK/calls" "$WORK/list" "$WORK/fail-at" "$WORK"/run/ctl*
	: >"$WORK/calls"
}

# expect WHAT WANTED FOUND
expect()
{
	[ "$2" = "$3" ] && return
	printf '%s: %s is\n%s\nnot\n%s\n' "$CASE" "$1" "$3" "$2"
	failed=1
}

expect_like()
{
	# shellcheck disable=SC2053 # a pattern
	[[ $3 == $2 ]] && return
	printf '%s: %s is\n%s\nnot like\n%s\n' "$CASE" "$1" "$3" "$2"
	failed=1
}

run_script()
{
	timeout 60 bash daemon/scripts/block-xentap "$@" 2>"$WORK/stderr"
	STATUS=$?
}

calls() { grep -v '^write' "$WORK/calls"; }

# ---- cases

begin "a target with all that is difficult"
target=$'aio:/srv/über alles/a:b \'c\' "d" $HOME `x` \\x41*.img'
new_disk 3 51712 "$target" w
run_script add
expect status 0 $STATUS
expect calls "list [-t] [aio] [-f] [${target#*:}]
allocate
spawn
attach [-p] [4242] [-m] [7]
open [-p] [4242] [-m] [7] [-a] [$target]" "$(calls)"
expect pid 4242 "$(get pid)"
expect minor 7 "$(get minor)"
expect path "$WORK/run/nbd4242.7" "$(get physical-device-path)"
expect hotplug-status connected "$(get hotplug-status)"
expect "order" "write pid before attach" \
	"$(awk '/^write pid/ && !n { n = NR } /^attach/ { print n && n < NR ? "write pid before attach" : "attach first" }' "$WORK/calls")"

begin "options of this disk alone"
new_disk 3 51712 "aio:{-S 4096  --filter=limit:iops=100,burst=5 }/a {b}: c.img" r
run_script add
expect status 0 $STATUS
expect "first call" "list [-t] [aio] [-f] [/a {b}: c.img]" "$(calls | head -n 1)"
expect "last call" "open [-p] [4242] [-m] [7] [-a] [aio:/a {b}: c.img] [-S] [4096] [--filter=limit:iops=100,burst=5] [-R]" \
	"$(calls | tail -n 1)"
new_disk 4 51712 "aio:{}/a {b}: c.img" w
run_script add
expect "a writer's status" 1 $STATUS
expect_like "a writer's error" "/a {b}: c.img is in use by domain 3, device 51712; only*" \
	"$(get hotplug-error)"
new_disk 4 51712 "aio:/a {b}: c.img" r
run_script add
expect "another reader's status" 1 $STATUS
expect_like "another reader's error" "*with other options*" "$(get hotplug-error)"
new_disk 4 51712 "aio:{-S 4096}" w
run_script add
expect_like "error without a path" "the disk has no target*" "$(get hotplug-error)"

begin "a guest that migrates within the host"
new_disk 3 51712 aio:/srv/x.img w
mkdir -p "$STORE/local/domain/3/vm" "$STORE/local/domain/4/vm" "$STORE/local/domain/5/vm"
echo -n /vm/1 >"$STORE/local/domain/3/vm/.value"
echo -n /vm/1 >"$STORE/local/domain/4/vm/.value"
echo -n /vm/2 >"$STORE/local/domain/5/vm/.value"
new_disk 4 51712 aio:/srv/x.img w
echo "pid=1 minor=0 state=0 args=aio:/srv/x.img" >"$WORK/list"
run_script add
expect status 0 $STATUS
expect hotplug-status connected "$(get hotplug-status)"
new_disk 5 51712 aio:/srv/x.img w
run_script add
expect "another guest's status" 1 $STATUS
expect_like "another guest's error" "/srv/x.img is in use by domain [34]*" "$(get hotplug-error)"
new_disk 4 51728 aio:/srv/x.img w
run_script add
expect "the same guest's second disk's status" 1 $STATUS

begin "a disk to be read only"
new_disk 3 51712 aio:/x.img r
run_script add
expect status 0 $STATUS
expect "last call" "open [-p] [4242] [-m] [7] [-a] [aio:/x.img] [-R]" "$(calls | tail -n 1)"

begin "the image cannot be opened"
new_disk 3 51712 aio:/x.img w
echo open >"$WORK/fail-at"
run_script add
expect status 1 $STATUS
expect hotplug-status error "$(get hotplug-status)"
expect hotplug-error 'image: open: a sentence of "tap-ctl"' "$(get hotplug-error)"
expect "last call" "destroy [-p] [4242] [-m] [7] [-t] [10]" "$(calls | tail -n 1)"

begin "no tapdisk starts"
new_disk 3 51712 aio:/x.img w
echo spawn >"$WORK/fail-at"
run_script add
expect status 1 $STATUS
expect hotplug-error 'no tapdisk: spawn: a sentence of "tap-ctl"' "$(get hotplug-error)"
expect "last call" "free [-m] [7]" "$(calls | tail -n 1)"

begin "no minor is free"
new_disk 3 51712 aio:/x.img w
echo allocate >"$WORK/fail-at"
run_script add
expect status 1 $STATUS
expect "last call" allocate "$(calls | tail -n 1)"

begin "no target"
new_disk 3 51712 aio: w
run_script add
expect status 1 $STATUS
expect_like hotplug-error "the disk has no target*" "$(get hotplug-error)"
expect calls "" "$(calls)"

begin "a writer has the image"
new_disk 2 51712 "aio:/a b:c" w
put pid 4242
put minor 7
touch "$WORK/run/ctl4242"
new_disk 3 51728 "aio:/a b:c" r
run_script add
expect status 1 $STATUS
expect hotplug-error "/a b:c is in use by domain 2, device 51712; only readers can share an image (access=ro for all)" \
	"$(get hotplug-error)"
expect calls "" "$(calls)"

begin "readers have the image, and a writer comes"
new_disk 2 51712 aio:/x r
new_disk 3 51728 aio:/x w
run_script add
expect status 1 $STATUS

begin "readers share a tapdisk; the last one ends it"
new_disk 2 51712 aio:/x r
put pid 4242
put minor 7
touch "$WORK/run/ctl4242"
new_disk 3 51728 aio:/x r
run_script add
expect status 0 $STATUS
expect calls "" "$(calls)"
expect pid 4242 "$(get pid)"
expect hotplug-status connected "$(get hotplug-status)"
run_script remove
expect status 0 $STATUS
expect calls "" "$(calls)"
rm -r "$STORE/backend/vbd3/2"
run_script remove
expect calls "destroy [-p] [4242] [-m] [7] [-t] [30]" "$(calls)"

begin "an image that is open for nobody"
new_disk 3 51712 aio:/x w
echo "pid=99 minor=1 state=0 args=aio:/x" >"$WORK/list"
run_script add
expect status 1 $STATUS
expect_like hotplug-error "/x is open in a tapdisk that no guest uses (pid=99 minor=1 state=0);*" \
	"$(get hotplug-error)"

begin "remove what was never there"
new_disk 3 51712 aio:/x w
run_script remove
expect status 0 $STATUS
expect calls "" "$(calls)"
rm -r "${STORE:?}"/backend
run_script remove
expect status 0 $STATUS

begin "a tapdisk that does not end"
new_disk 3 51712 aio:/x w
put pid 4242
put minor 7
echo destroy >"$WORK/fail-at"
run_script remove
expect status 1 $STATUS
expect_like hotplug-error "tapdisk 4242 does not end*" "$(get hotplug-error)"

begin "somebody holds the lock"
new_disk 3 51712 aio:/x w
exec 8>"$WORK/run/block-xentap.lock"
flock 8
sed 's/^LOCK_SECONDS=20/LOCK_SECONDS=1/' daemon/scripts/block-xentap >"$WORK/impatient"
bash "$WORK/impatient" add 2>/dev/null
expect status 1 $?
expect_like hotplug-error "another disk is being attached*" "$(get hotplug-error)"
exec 8>&-

begin "called wrongly"
new_disk 3 51712 aio:/x w
run_script
expect status 1 $STATUS
unset XENBUS_PATH
run_script add
expect status 1 $STATUS

if [ -n "$(ls "$TMPDIR")" ]; then
	echo "temporary files are left: $(ls "$TMPDIR")"
	failed=1
fi
exit $failed
