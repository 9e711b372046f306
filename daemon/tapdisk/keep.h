/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a tapdisk leaves to the one that takes its disk up when it is killed: the
 * journal's memory, and a way to know that no I/O of its own is under way any more.
 */
#ifndef TAPDISK_KEEP_H
#define TAPDISK_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A process that is gone may still have I/O under way, as long as somebody who looked
 * at its memory in /proc holds that. But I/O holds the open file. So a byte far beyond
 * the image's end is locked, by the file and not by the process; it keeps nobody from
 * anything. The byte's place, one in 2^31, or 0 where the file system has no locks.
 */
uint64_t keep_lock(int fd);

/* Whether somebody else has locked that byte of the same image. */
bool keep_is_locked(int fd, uint64_t byte);

/*
 * Map @bytes of a journal's memory, all of them there, so that writing to it never
 * fails. 0 or -errno (-EINVAL: it is smaller, or no file).
 */
int keep_map(int fd, size_t bytes, void **memory);
void keep_unmap(void *memory, size_t bytes);

#endif /* TAPDISK_KEEP_H */
