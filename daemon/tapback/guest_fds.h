/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tapdisk gets to reach one guest, and nothing but that guest: the
 * device for its writable and its read-only grants, and event channels.
 */
#ifndef TAPBACK_GUEST_FDS_H
#define TAPBACK_GUEST_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_FDS_MAX 3	/* in the order of "connect" in ctl_proto.h */

/*
 * Open them and restrict each to @domid. How many: three, or two where the module
 * is missing: gntdev, which nobody can restrict, and event channels. Or -errno
 * with all of @fds -1 and one sentence in @why.
 */
int guest_fds_open(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size);

/*
 * Whether grants are mapped in an arena's @slots, from address @base of a tapdisk that
 * need not be there any more; also those that only I/O still holds.
 */
bool guest_fds_in_use(int fd, uint64_t base, uint32_t slots);

#endif /* TAPBACK_GUEST_FDS_H */
