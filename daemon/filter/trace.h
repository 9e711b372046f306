/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trace of a disk in use, for who asks for it: the filter "trace", for a while. */
#ifndef FILTER_TRACE_H
#define FILTER_TRACE_H

#include "filter/filter.h"

/*
 * Write a line for each I/O that begins from now on to @fd, the writing end of a pipe or
 * socket, until its reader is gone. Takes @fd over on success. On the thread that opened
 * @store. 0 or -errno with the reason in @why: -EBUSY, somebody else has a trace;
 * -EINVAL, no descriptor of that kind; -E2BIG, there are too many filters.
 */
int trace_watch(struct store *store, int fd, char *why, size_t why_size);

#endif /* FILTER_TRACE_H */
