# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes a resumed host ready for one test: guests have their kernel, and logs
# begin here.

mkdir -p /boot/xentap-guest
mount --bind "$PAYLOAD/guest" /boot/xentap-guest
dmesg --clear
xl dmesg -c >/dev/null
