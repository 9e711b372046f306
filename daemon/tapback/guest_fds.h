/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tapdisk gets to reach one guest, and nothing but that guest: the
 * device for its writable and its read-only grants, and event channels.
 */
#ifndef TAPBACK_GUEST_FDS_H
#define TAPBACK_GUEST_FDS_H

#include <stddef.h>
#include <stdint.h>

#define NR_GUEST_FDS 3	/* in the order of "connect" in ctl_proto.h */

/*
 * Open the three and restrict each to @domid. 0, or -errno with all of @fds
 * -1 and one sentence in @why.
 */
int guest_fds_open(uint32_t domid, int fds[NR_GUEST_FDS], char *why, size_t why_size);

#endif /* TAPBACK_GUEST_FDS_H */
