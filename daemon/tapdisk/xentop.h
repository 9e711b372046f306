/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What xentop shows of a frontend, in the file that tapback made for that: libxenstat
 * reads it, and its layout is libxenstat's.
 */
#ifndef TAPDISK_XENTOP_H
#define TAPDISK_XENTOP_H

#include "vbd/stats.h"

/*
 * 0 or -errno. It is written and not mapped: a mapping of a file that others may cut short
 * can kill, and twice a second a system call costs nothing.
 */
int xentop_write(int fd, const struct vbd_stats *stats);

#endif /* TAPDISK_XENTOP_H */
