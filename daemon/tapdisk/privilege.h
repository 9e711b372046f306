/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TAPDISK_PRIVILEGE_H
#define TAPDISK_PRIVILEGE_H

/*
 * From root to the user "tapdisk", with no capability left and no core dump;
 * for good. 0 or -errno, logged.
 */
int privilege_drop(void);

#endif /* TAPDISK_PRIVILEGE_H */
