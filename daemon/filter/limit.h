/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of a disk on I/O per second and bytes per second. */
#ifndef FILTER_LIMIT_H
#define FILTER_LIMIT_H

#include "filter/filter.h"

/*
 * Change the limits of @store's filter "limit" to @options, KEY=VALUE,...;
 * what is not given stays as it is. On the thread of the filter's home. 0,
 * -ENOENT (no such filter), -EINVAL; with the reason in @why.
 */
int limit_change(const struct store *store, const char *options, char *why, size_t why_size);

#endif /* FILTER_LIMIT_H */
