/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TAPDISK_SECCOMP_H
#define TAPDISK_SECCOMP_H

/*
 * From now on this process, with all its threads, may make only the system calls that
 * serving a disk takes; any other kills it with SIGSYS, and the kernel's audit log says
 * which. For good; after privilege_drop(). 0 or -errno, logged.
 */
int seccomp_confine(void);

#endif /* TAPDISK_SECCOMP_H */
