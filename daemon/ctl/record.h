/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an image was opened, for who has to open it again: a file for each minor in the
 * run directory, which root alone can write to and read. (The marker will not do:
 * tapdisk has it open.) A disk that has no record is not taken up when its tapdisk
 * is killed.
 *
 *	"pid", "type", "path", "readonly", "device", "inode": of the image, which must
 *	be the same one; "sector_size", "data": if they were said; "filters": a list,
 *	as on a command line; "flush_failed": true, if it was found that a flush had
 *	failed; "former": pids of tapdisks that had the disk before; "paused": true,
 *	with "sectors", the size that guests know: the image is not to be opened; then
 *	"quiet": true, all I/O of it has ended
 */
#ifndef CTL_RECORD_H
#define CTL_RECORD_H

#include "ctl/ctl_msg.h"

/* Into an empty @record, whose members are had as a message's. 0, -ENOENT, -EBADMSG. */
int record_read(const char *run_dir, int minor, struct ctl_msg *record);

/* Write it, or replace the one that must be there (-ENOENT). 0 or -errno. */
int record_write(const char *run_dir, int minor, const struct ctl_msg *record);
int record_replace(const char *run_dir, int minor, const struct ctl_msg *record);

/* The tapdisk that has @record's disk now, if @pid has or had it; else -ESRCH. */
int record_successor(const struct ctl_msg *record, int pid);

/* 0 or -errno; none is fine. */
int record_remove(const char *run_dir, int minor);

#endif /* CTL_RECORD_H */
