/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Minor numbers and their marker files, RUN_DIR/tapdisk/tapdisk-MINOR. A
 * marker exists while its minor is allocated; tapdisk holds a lock on it
 * while a disk is attached. @run_dir is XENTAP_RUN_DIR but in tests.
 */
#ifndef CLI_MARKER_H
#define CLI_MARKER_H

#include <stdbool.h>
#include <stddef.h>

#define MARKER_PATH_MAX 256

/* The marker file's path of @minor. */
void marker_path(const char *run_dir, int minor, char path[MARKER_PATH_MAX]);

/* Allocate the lowest free minor: it, or -errno (-ENOSPC: none is free). */
int marker_allocate(const char *run_dir);

/* 0, -ENOENT (not allocated), -EWOULDBLOCK (attached), or another -errno. */
int marker_free(const char *run_dir, int minor);

/* A descriptor of the marker, for tapdisk to lock; or -errno. */
int marker_open(const char *run_dir, int minor);

/*
 * The minors that are allocated, in order: their number with *@minors to be
 * freed, or -errno. No directory means none.
 */
int marker_list(const char *run_dir, int **minors);

/*
 * Lock @fd, a file of the run directory, as long as it is open: 0, -ETIMEDOUT (somebody
 * holds the lock for ten seconds), or another -errno.
 */
int marker_lock(int fd);

/* Create @run_dir when it is missing. 0 or -errno. */
int marker_make_run_dir(const char *run_dir);

#endif /* CLI_MARKER_H */
