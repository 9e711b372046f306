# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What no log of a passed test may contain.

# The kernel of dom0 and those of the guests.
BAD_KERNEL='BUG:|BUG at|WARNING:|Oops|Bad page|bad page|rcu.*detected.*stall|possible (recursive|circular|irq lock)|inconsistent lock state|lockdep|general protection|Call Trace|Kernel panic|hung_task|blocked for more than|unchecked MSR|Unable to handle'
# Kernels that look for faults, also when they had to give it up.
BAD_KERNEL+='|KASAN|UBSAN|KFENCE|BUG [a-z]|ODEBUG|leak detector disabled|correctness validator|memory corruption|page dumped because|refcount_t:|Memory pool empty'
# Xen; guests crashed by Xen included.
BAD_XEN='domain_crash|Domain [0-9]+ .*crashed|Xen BUG|Xen WARN|Assertion|FATAL|Xen call trace|Panic on CPU|[Uu]nhandled.*fault|#GP|implicitly unmap|Bad (page|handle|flags in|L[1-4] flags)'

# scan_logs FOLDER [EXPECTED]: prints the lines that fail a test, without those
# that match EXPECTED; status 1 if any.
scan_logs()
{
	local folder=$1 hits=0 guest
	SCAN_EXPECTED=${2-}
	scan_file "$folder/dmesg" "dom0's kernel" "$BAD_KERNEL" || hits=1
	scan_file "$folder/kmemleak" "dom0's kernel" "unreferenced object" || hits=1
	scan_file "$folder/xen" "Xen" "$BAD_XEN" || hits=1
	# Xen and dom0 once more: the only log there is when both are dead.
	scan_file "$folder/console.log" "the console" "$BAD_KERNEL|$BAD_XEN" || hits=1
	for guest in "$folder"/var-log-xen/console/guest-*.log; do
		scan_file "$guest" "guest $(basename "$guest")" "$BAD_KERNEL" || hits=1
	done
	return "$hits"
}

scan_file()
{
	[ -e "$1" ] || return 0
	local lines
	lines=$(grep -aE "$3" "$1" | grep -avE "${SCAN_EXPECTED:-^\$}") || return 0
	echo "in the log of $2:"
	head -n 10 <<<"$lines"
	return 1
}
