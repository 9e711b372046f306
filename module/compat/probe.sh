#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# probe.sh DIR OUTPUT COMPILE NAME...: write OUTPUT, a header that defines
# XENTAP_HAVE_NAME for each DIR/NAME.c that COMPILE accepts. What the compiler
# said of the others is in OUTPUT with .log in place of .h.
set -eu

dir=$1 output=$2 compile=$3
shift 3
log=${output%.h}.log

mkdir -p "$(dirname "$output")"
: >"$log"

compiles() {
	echo "== $1" >>"$log"
	# shellcheck disable=SC2086 # COMPILE is a command line
	eval "$compile" '"$dir/$1.c"' >>"$log" 2>&1
}

if ! compiles control_good || compiles control_bad; then
	echo "xentap: the probes of the kernel's headers cannot be trusted, see $log" >&2
	exit 1
fi

{
	echo "/* Made by compat/probe.sh. */"
	for name in "$@"; do
		macro=XENTAP_HAVE_$(echo "$name" | tr '[:lower:]' '[:upper:]')
		if compiles "$name"; then
			echo "#define $macro 1"
		else
			echo "/* $macro is not set */"
		fi
	done
} >"$output.tmp"
mv "$output.tmp" "$output"
