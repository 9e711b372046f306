#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test/hostile.md has each number once, every test that it names exists, and every test
# that carries a number is named there, beside it. "lab" are the scenarios of a real
# guest, in test/xen/hostile/.

set -euo pipefail
cd "$TOP/test"
list=hostile.md
last=154
failed=0

wrong()
{
	echo "$*"
	failed=1
}

diff <(grep -oE '^\| [0-9]+ ' $list | tr -dc '0-9\n') <(seq $last) ||
	wrong "$list: numbers are missing, or out of order"

# "| 7 | ... |" and what "program: test" it names, one line each.
named=$(sed -nE 's/^\| ([0-9]+) \|.*\|(.*)\|$/\1\2/p' $list |
	while read -r number rest; do
		grep -oE '[a-z0-9_]+: [a-z0-9_]+' <<<"$rest" | sed "s/^/$number /;s/://"
	done | grep -E '^[0-9]+ ((hostile|tapdisk|tapback|store|nbd)_|lab )' || true)

while read -r number program test; do
	files=("unit/$program.c")
	[ "$program" != lab ] || files=(xen/hostile/*.c)
	grep -q "^static void $test(" "${files[@]}" ||
		wrong "$list, $number: $program has no $test"
done <<<"$named"

while read -r path; do
	[ -f "$TOP/$path" ] || wrong "$list: there is no $path"
done < <(grep -oE 'test/[a-z0-9_/-]+\.(c|sh)' $list)

carried=$(sed -nE 's/^.*INPUT\("([0-9 ]+)", ([a-z0-9_]+)\).*$/\1 \2/p
		s/^\t\{ "[a-z0-9_]+", "([0-9 ]+)", ([a-z0-9_]+), .*$/\1 \2/p' unit/hostile_*.c xen/hostile/*.c |
	while read -r line; do
		for number in ${line% *}; do
			echo "$number ${line##* }"
		done
	done)
[ -n "$carried" ] || wrong "no test carries a number"
while read -r number test; do
	grep -qE "^$number [a-z_]+ $test$" <<<"$named" ||
		wrong "$test carries $number; $list does not name it there"
done <<<"$carried"
exit $failed
