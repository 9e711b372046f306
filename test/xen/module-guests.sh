#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# debian 12: yes
# debug: yes
# time limit: 400
# hosts: pv
#
# A guest ends its grants, or dies, while they are mapped and while I/O holds
# their pages.

. "$(dirname "$0")/lib.sh"
. "$TEST_DIR/module/common.sh"

# Shell text: the guest's process that grants is gone when it ends.
revoke_text()
{
	local path job=1000001
	path=$(guest_path "$1")
	echo "xenstore-write $path/job/$job $(base64 -w0 <<<'killall guest-grant'); " \
		"i=0; until xenstore-exists $path/result/$job; do sleep 0.2; i=\$((i + 1));" \
		"[ \$i -lt 100 ] || exit 1; done"
}

themes_start
held_make

granter_start first
REVOKE=$(revoke_text first) \
	CHECKS="of_another_domain revoked_while_mapped revoked_before_mapped" \
	theme_of guests first
granter_grant first
GRANTER=first CHECKS=destroyed_while_io_is_held theme_of guests first
unset 'GUESTS[first]'

granter_start second
GRANTER=second CHECKS=destroyed_while_mapped theme_of guests second
unset 'GUESTS[second]'

held_remove
themes_end
