# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What benchmarks in the lab share.

LINES_FILE=$(mktemp)	# what the benchmark has printed
trap 'rm -f "$LINES_FILE"' EXIT

# bench NATIVE ARGUMENT...: `lab shell ARGUMENT...`, with what the Makefile in folder
# NATIVE makes; prints the lines as they come.
bench()
{
	local lab=(test/lab/lab)
	export XENTAP_LAB_NATIVE=$1
	shift
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			bench_die "needs root: run it as root or install sudo"
		lab=(sudo "--preserve-env=XENTAP_LAB_CACHE,XENTAP_LAB_NATIVE,XENTAP_LAB_MACHINES" "${lab[@]}")
	fi
	"${lab[@]}" shell "$@" | tee "$LINES_FILE"
	grep -q '^NOTE done' "$LINES_FILE" || bench_die "the benchmark ended early, see above"
}

bench_die()
{
	echo "$(basename "$0" .sh): $*" >&2
	exit 1
}
