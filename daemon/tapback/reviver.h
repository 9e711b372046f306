/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has another tapdisk started in place of one that was killed, by "tap-ctl restart":
 * by systemd where it runs, since images may lie where this daemon's sandbox hides
 * them. Never waits.
 */
#ifndef TAPBACK_REVIVER_H
#define TAPBACK_REVIVER_H

#include <stdint.h>

/* A descriptor that is readable when it is done, for this minor; or -errno. */
int reviver_start(uint32_t minor);
/* Then: 0, or -EIO: it failed, and said why in the journal. Closes @fd. */
int reviver_end(int fd);
/* Before then. */
void reviver_stop(int fd);

#endif /* TAPBACK_REVIVER_H */
