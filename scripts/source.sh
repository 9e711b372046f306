# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The project's source as a list or a copy, in a git checkout or an unpacked tarball.
# Sourced, at the top of the source.

# Names, each ended by a zero byte; nothing that a build made.
source_list()
{
	if [ -e .git ]; then
		git ls-files -co -z --exclude-standard | while IFS= read -r -d '' file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done
	else
		find . -type f ! -path '*/build/*' ! -name '*.[oad]' ! -name '*.ko' -printf '%P\0'
	fi
}

# source_copy FOLDER
source_copy()
{
	mkdir -p "$1"
	source_list | tar -c --null --files-from=- | tar -x -C "$1"
}
