#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long: yes
# time limit: 5400
#
# attach-detach.sh with 200 rounds, under load.

export ROUNDS=200 LOAD=yes
. "$(dirname "$0")/attach-detach.sh"
