#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Small static checks, each with its reason. Prints a line for each, and what
# it found; with XENTAP_RESULTS, adds "pass|fail|skip lint-NAME REASON" to it.

set -uo pipefail
cd "$(dirname "$0")/.." || exit

failed=0

report()
{
	printf '%-5s lint-%s%s\n' "$1" "$2" "${3:+: $3}"
	[ -z "${XENTAP_RESULTS-}" ] || echo "$1 lint-$2 ${3-}" >>"$XENTAP_RESULTS"
	[ "$1" != fail ] || failed=1
}

# check NAME REASON COMMAND...: the command prints what is wrong, or nothing.
check()
{
	local name=$1 reason=$2 found
	shift 2
	found=$("$@" 2>&1)
	if [ -z "$found" ]; then
		report pass "$name"
	else
		echo "$found" | sed 's/^/  /'
		report fail "$name" "$reason"
	fi
}

files() { git ls-files -co --exclude-standard -- "$@"; }

without_licence()
{
	files '*.[ch]' '*.sh' '*.py' '*.mk' '*Makefile' '*Kbuild' '*.in' '*.4' '*.7' '*.8' '*.rules' '*.timer' '*.socket' 'daemon/scripts/*' 'daemon/completion/*' '*.spec' |
		xargs grep -L SPDX-License-Identifier
}

trailing_space() { files '*.[ch]' '*.sh' '*.py' '*.md' '*Makefile' | xargs grep -nE '[[:space:]]+$'; }

version_differs()
{
	local version
	version=$(cat VERSION)
	grep -q "^PACKAGE_VERSION=\"$version\"$" dkms.conf || echo "dkms.conf is not $version"
	head -n 1 scripts/deb/changelog | grep -qF "($version-" ||
		echo "scripts/deb/changelog does not begin with $version"
}

kernel_version_checks() { grep -rnE 'LINUX_VERSION_CODE|KERNEL_VERSION' module --include='*.[ch]'; }

# Who may include whom: ARCHITECTURE.md. "FOLDER: what it must not include".
includes_up()
{
	local rule
	for rule in 'base:(filter|ctl|loop|image|store|xen|nbd|vbd|tapdisk|tapback|cli|uapi)/' \
		    'ctl:(filter|loop|image|store|xen|nbd|vbd|tapback|cli|uapi)/' \
		    'loop:(filter|ctl|image|store|xen|nbd|vbd|tapdisk|tapback|cli|uapi)/' \
		    'image:(filter|ctl|loop|store|xen|nbd|vbd|tapdisk|tapback|cli|uapi)/' \
		    'store:(filter|ctl|xen|nbd|vbd|tapdisk|tapback|cli|uapi)/' \
		    'filter:(ctl|xen|nbd|vbd|tapdisk|tapback|cli|uapi)/' \
		    'xen:(filter|ctl|loop|image|store|nbd|vbd|tapdisk|tapback|cli)/' \
		    'vbd:(filter|ctl|nbd|tapdisk|tapback|cli|uapi)/' \
		    'nbd:(filter|ctl|xen|vbd|tapdisk|tapback|cli|uapi)/' \
		    'tapdisk:(tapback|cli|uapi)/' \
		    'tapback:(filter|image|store|xen|nbd|vbd|tapdisk/[^c]|cli)/' \
		    'cli:(filter|loop|image/[^l]|store|xen|nbd|vbd|tapdisk/[^c]|tapback)/'; do
		grep -rnE "^#include \"${rule#*:}" "daemon/${rule%%:*}"
	done
}

# The header stands alone in every language and size that may include it.
header_alone()
{
	local header=include/uapi/xentap.h
	gcc -std=c99 -pedantic -Wall -Werror -Wno-long-long -fsyntax-only -x c $header
	g++ -std=c++11 -Wall -Werror -fsyntax-only -x c++ $header
	# No 32-bit libc is needed: the header uses none.
	echo "#include \"$header\"
	_Static_assert(sizeof(struct xentap_batch) == 32, \"batch\");
	_Static_assert(sizeof(struct xentap_map) == 16, \"map\");
	_Static_assert(sizeof(struct xentap_query_addr) == 32, \"query\");
	_Static_assert(sizeof(struct xentap_query_mfn) == 24, \"mfn\");
	_Static_assert(sizeof(struct xentap_info) == 32, \"info\");
	_Static_assert(sizeof(struct xentap_copy) == 24, \"copy\");" |
		gcc -m32 -std=gnu11 -Wall -Werror -fsyntax-only \
			-I"/usr/include/$(gcc -print-multiarch)" -x c -
}

# The kernel's own style checker. Debian has it in linux-source only, a large package:
# CHECKPATCH, or a copy with the headers of a kernel that was built here.
find_checkpatch()
{
	local file
	for file in "${CHECKPATCH-}" /usr/src/linux*/scripts/checkpatch.pl \
		    /lib/modules/*/build/scripts/checkpatch.pl \
		    "${XENTAP_LAB_CACHE:-/var/cache/xentap-lab}"/*/usr/src/linux*/scripts/checkpatch.pl; do
		[ ! -f "$file" ] || { echo "$file"; return; }
	done
}

# Not asked for: BIT_MACRO (a shift may make a count), MACRO_ARG_REUSE (of an argument
# that is an lvalue), UNCOMMENTED_DEFINITION (meets pointers to locks, too), DATA_RACE (in
# debugfs all are of one kind); and in trace.h the layout, which is that of all
# trace headers.
module_style()
{
	local ignore=BIT_MACRO,MACRO_ARG_REUSE,UNCOMMENTED_DEFINITION,DATA_RACE file more
	for file in $(files 'module/*.[ch]' 'include/uapi/*.h' 'include/linux/*.h'); do
		more=
		[ "$file" != module/trace.h ] || more=,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE
		perl "$1" --no-tree --strict --terse --show-types --no-summary \
			--ignore "$ignore$more" -f "$file" 2>&1
	done | grep -vE '^(No structs that should be const|No typos will be found)'
}

# unit_exposure UNIT THRESHOLD: as systemd rates it, from 0 to 100.
unit_exposure()
{
	local folder rating
	folder=$(mktemp -d)
	sed 's|@libexecdir@|/usr/libexec/xentap|g; s|@sbindir@|/usr/sbin|g' "daemon/systemd/$1.in" >"$folder/$1"
	rating=$(systemd-analyze security --no-pager --offline=true "--threshold=$2" "$folder/$1" 2>&1) ||
		echo "$rating" | grep -vE '^ *✓'
	rm -r "$folder"
}

exposed_units()
{
	unit_exposure tapdisk@.service 20
	unit_exposure tapback.service 30
	unit_exposure xentap-restart@.service 30
	unit_exposure xentap-metrics.service 30
	unit_exposure xentap-metrics@.service 30
}

shell_scripts() { files '*.sh' .ci/run test/lab/lab 'test/lab/hosts/*' 'scripts/deb/*.p*' \
	'daemon/scripts/*' 'daemon/completion/*'; }

check licence "each source says its licence in its first lines" without_licence
check space "no line ends with white space" trailing_space
check version "VERSION, dkms.conf and scripts/deb/changelog agree" version_differs
check kernel-versions "kernels differ by features, never by numbers" kernel_version_checks
check includes "includes point down" includes_up
check header "the ABI header stands alone" header_alone
checkpatch=$(find_checkpatch)
if [ -n "$checkpatch" ]; then
	check checkpatch "the module's style is the kernel's" module_style "$checkpatch"
else
	report skip checkpatch "set CHECKPATCH to scripts/checkpatch.pl of a kernel's source"
fi
if command -v shellcheck >/dev/null; then
	mapfile -t scripts < <(shell_scripts)
	# SC2034: variables that another sourced file uses look unused.
	check shellcheck "shell scripts without known traps" \
		shellcheck -x -S warning -e SC2034 "${scripts[@]}"
else
	report skip shellcheck "shellcheck is not installed"
fi
if command -v mandoc >/dev/null; then
	check man "manual pages are well-formed" mandoc -T lint -W warning daemon/man/*.[478]
else
	report skip man "mandoc is not installed"
fi
if systemd-analyze security --offline=true --help >/dev/null 2>&1; then
	check units "units keep rights from their daemons: 2.0 for tapdisk, 3.0 for others" \
		exposed_units
else
	report skip units "systemd-analyze is missing, or has no --offline (before systemd 250)"
fi
exit $failed
