#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# boot.sh LAYERS FOLDER WORK COMMAND: boots systemd in a container whose root file system
# LAYERS make (as overlayfs takes them), with FOLDER at /mnt, has it run COMMAND, and
# ends. The output and the status of COMMAND are in FOLDER/output and FOLDER/status. WORK
# is a mount point. 77: this machine cannot do that; why is the last line.
#
# The container has no network but loopback, sees no other process, has devices of its
# own, and can neither load modules nor set the clock.

set -eu

layers=$1 folder=$2 work=$3 command=$4

# In a mount namespace of our own, so that nothing is left behind.
if [ -z "${BOOT_INSIDE-}" ]; then
	BOOT_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

skip()
{
	echo "$*"
	exit 77
}

# A group of ours is what the container takes for the root of all groups.
mount -t tmpfs -o mode=755 none "$work"
mkdir "$work/cgroup" "$work/upper" "$work/work" "$work/root"
mount -t cgroup2 none "$work/cgroup" 2>/dev/null || skip "cgroup2 cannot be mounted here"
group=$work/cgroup/xentap-check-$$
mkdir "$group" 2>/dev/null || skip "no control group can be made here"
end_group() { find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true; }
trap end_group EXIT
mount -t overlay -o "lowerdir=$layers,upperdir=$work/upper,workdir=$work/work" none "$work/root"

cd "$work/root"
mkdir -p mnt oldroot
mount --bind "$folder" mnt
cat >etc/systemd/system/check.service <<END
[Unit]
After=basic.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh -c '"\$\$0" >/mnt/output 2>&1; echo \$\$? >/mnt/status' $command
ExecStopPost=/bin/systemctl --no-block --force exit
END
cat >etc/systemd/system/check.target <<END
[Unit]
Requires=basic.target
Wants=check.service
END

# shellcheck disable=SC2016 # for the inner shell
sh -ec 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' sh "$group" \
	unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc \
	--propagation private sh -ec '
	ip link set lo up
	hostname container
	mount --rbind . .
	cd "$PWD"
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t tmpfs none sys/fs/cgroup 2>/dev/null || true
	mount -t cgroup2 none sys/fs/cgroup
	mount -t tmpfs -o mode=755 none run
	mount -t tmpfs -o mode=755 none dev
	for device in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" \
			"ptmx 5 2"; do
		set -- $device
		mknod -m 666 "dev/$1" c "$2" "$3"
	done
	mkdir dev/pts dev/shm
	mount -t tmpfs none dev/shm
	ln -s /proc/self/fd dev/fd
	pivot_root . oldroot
	cd /
	umount -l /oldroot
	mount --make-rshared /
	exec setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio env -i container=other \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=check.target \
		--log-target=journal --show-status=0' || true
[ -e "$folder/status" ] || {
	echo "systemd did not get as far as to run $command"
	exit 1
}
exit "$(cat "$folder/status")"
