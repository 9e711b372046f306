# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Saved hosts, each made from the one before: "host" is Xen and dom0 just
# booted, "module" has one version of the module installed, "programs" the
# daemons as well; tests are resumed from that one.

host_key() { echo "host-$HOST_NAME-$(machine_key)"; }

# host_build FOLDER IMAGE
host_build()
{
	local folder=$1 image=$2 begin=$SECONDS machine
	machine=$(machine_folder)
	say "booting host $HOST_NAME once (1-2 minutes) ..."
	truncate -s "$PAYLOAD_SIZE" "$machine/payload.img"
	machine_start "$machine" "$image" "$image/disk.img" "$machine/payload.img"
	machine_sh "$machine" 400 <"$LAB_DIR/dom0/wait-ready.sh" ||
		snapshot_failed "$machine" "Xen or dom0 did not come up"
	machine_save "$machine" "$folder"
	cp "$machine/console.log" "$folder/"
	say "booting: done after $((SECONDS - begin)) s"
}

module_key()
{
	echo "module-$(source_hash dkms.conf VERSION Makefile module include/uapi include/linux)"
}

# module_build FOLDER IMAGE HOST PAYLOAD
module_build()
{
	snapshot_add "installing the module in dom0" install-module.sh "$@"
}

# The programs as they were built, units and all.
programs_key() { echo "programs-$(<"$1.programs")"; }

# programs_build FOLDER IMAGE MODULE PAYLOAD
programs_build()
{
	snapshot_add "installing the daemons in dom0" install-programs.sh "$@"
}

# snapshot_add WHAT SCRIPT FOLDER IMAGE BELOW PAYLOAD: a new state, which is the
# one BELOW after SCRIPT has run in it.
snapshot_add()
{
	local what=$1 script=$2 folder=$3 image=$4 below=$5 payload=$6
	local machine begin=$SECONDS
	machine=$(machine_folder)
	say "$what ..."
	machine_resume "$machine" "$image" "$below" "$payload"
	cat "$LAB_DIR/dom0/payload.sh" "$LAB_DIR/dom0/$script" \
		"$LAB_DIR/dom0/payload-end.sh" >"$machine/script"
	machine_sh "$machine" 1500 <"$machine/script" ||
		snapshot_failed "$machine" "$what failed"
	machine_save "$machine" "$folder"
	say "$what: done after $((SECONDS - begin)) s"
}

# The machine's folder goes away with this run, its console must not.
snapshot_failed()
{
	local kept
	kept=$(mktemp -t xentap-lab-console.XXXXXX)
	cp "$1/console.log" "$kept"
	die "$2; the console is in $kept"
}
