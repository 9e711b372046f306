/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope cleanup for what does not outlive a function: scratch memory and
 * descriptors. Objects that do outlive it have create/destroy pairs.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define CLEANUP_FREE	__attribute__((cleanup(cleanup_free)))
#define CLEANUP_CLOSE	__attribute__((cleanup(cleanup_close)))

/* Close *@fd, if it is one, and name it closed. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Give *@fd to another owner. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif /* BASE_CLEANUP_H */
