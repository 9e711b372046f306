# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The emulated machine: start, resume, talk to it, save its state, end it.
#
# A machine lives in a folder of its own with its sockets, its console log and
# a disk overlay.  A saved state is a folder with disk.qcow2 and ram; both are
# only ever read again, so any number of machines can be resumed from it, and
# a machine that is killed cannot harm it.

# The size is part of the saved state, so every payload has it; most is a hole.
PAYLOAD_SIZE=768M
MACHINE_PID=
MACHINE_TURN=	# descriptor of the lock

# Beside what the kind of host says (HOST_MACHINE).
MACHINE_ARGS=(-display none -nodefaults -no-reboot -no-user-config)

# A saved state fits only the machine, and the QEMU, that it was saved from.
machine_key()
{
	{
		declare -f machine_start
		echo "$PAYLOAD_SIZE ${MACHINE_ARGS[*]} ${HOST_MACHINE[*]}"
		echo "$HOST_DEVICE_OPTIONS $HOST_XEN_ARGS $HOST_DOM0_ARGS"
		qemu-system-x86_64 --version
	} | sha256sum | cut -c1-12
}

# machine_start FOLDER IMAGE DISK PAYLOAD [QEMU ARGUMENT...]: DISK is the qcow2
# or raw file below the machine's own overlay.  The machine ends with the
# calling shell, so this must not be called in a subshell.
machine_start()
{
	local folder=$1 image=$2 disk=$3 payload=$4 format=raw
	shift 4
	machine_take_turn
	[[ $disk != *.qcow2 ]] || format=qcow2
	qemu-img create -q -f qcow2 -F "$format" -b "$disk" "$folder/disk.qcow2"
	# The kernel ends QEMU with this shell, however this shell ends.
	setpriv --pdeathsig KILL qemu-system-x86_64 \
		"${MACHINE_ARGS[@]}" "${HOST_MACHINE[@]}" \
		-serial "file:$folder/console.log" \
		-qmp "unix:$folder/qmp.sock,server=on,wait=off" \
		-device "virtio-serial-pci$HOST_DEVICE_OPTIONS" \
		-chardev "socket,id=lab,path=$folder/agent.sock,server=on,wait=off" \
		-device virtserialport,chardev=lab,name=xentap.lab \
		-kernel "$image/xen" -append "${HOST_XEN_ARGS//[$'\n\t']/ }" \
		-initrd "$image/vmlinuz ${HOST_DOM0_ARGS//[$'\n\t']/ },$image/initrd" \
		-drive "file=$folder/disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe" \
		-device "virtio-blk-pci,drive=disk$HOST_DEVICE_OPTIONS" \
		-drive "file=$payload,if=none,id=payload,format=raw,readonly=on" \
		-device "virtio-blk-pci,drive=payload$HOST_DEVICE_OPTIONS" \
		"$@" >"$folder/qemu.log" 2>&1 </dev/null &
	MACHINE_PID=$!
}

# A machine keeps two processors busy.  Labs that run side by side take turns
# where there are no more than that, or all of them run into time limits; but
# XENTAP_LAB_MACHINES may say how many run at a time.
machine_take_turn()
{
	local turn turns=${XENTAP_LAB_MACHINES:-$((($(nproc) + 1) / 2))}
	for turn in $(seq "$turns"); do
		exec {MACHINE_TURN}>"$LAB_CACHE/locks/turn-$turn"
		flock --nonblock --exclusive "$MACHINE_TURN" && return
		exec {MACHINE_TURN}>&-
	done
	turn=$((RANDOM % turns + 1))
	say "waiting for the machine of another lab to end ..."
	exec {MACHINE_TURN}>"$LAB_CACHE/locks/turn-$turn"
	flock --timeout 3600 --exclusive "$MACHINE_TURN" ||
		die "no turn within an hour; see: fuser -v $LAB_CACHE/locks/turn-$turn"
}

# machine_resume FOLDER IMAGE STATE PAYLOAD
machine_resume()
{
	machine_start "$1" "$2" "$3/disk.qcow2" "$4" -incoming "exec:cat '$3/ram'"
	machine_monitor "$1" resume ||
		die "the saved host $3 cannot be resumed: $(tail -n 3 "$1/qemu.log"); remove that folder and try again"
	# The clock stood still in the cache; make and DKMS compare file times.
	machine_sh "$1" 60 <<<"date -s @$(date +%s) >/dev/null" ||
		die "the resumed host does not answer; its console is in $1/console.log"
}

# machine_sh FOLDER SECONDS [COPY] < TEXT: runs shell text in dom0, output as it
# comes, and into file COPY.  The status is the text's own, 124 if it took too
# long, with the patience of this kind of host, 125 if the host died.
machine_sh()
{
	# In the background, since bash handles signals only between commands.
	python3 "$LAB_DIR/machine.py" "$1/agent.sock" run \
		$(($2 * HOST_PATIENCE)) "${@:3}" <&0 &
	wait $!
}

machine_monitor() { python3 "$LAB_DIR/machine.py" "$1/qmp.sock" "${@:2}"; }

# machine_save FOLDER STATE: ends the machine, too.
machine_save()
{
	machine_monitor "$1" save "$2/ram" || return 1
	machine_stop
	mv "$1/disk.qcow2" "$2/disk.qcow2"
}

machine_stop()
{
	[ -n "$MACHINE_PID" ] || return 0
	kill -KILL "$MACHINE_PID" 2>/dev/null || true
	wait "$MACHINE_PID" 2>/dev/null || true
	exec {MACHINE_TURN}>&-
	MACHINE_PID=
}
