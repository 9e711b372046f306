/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters: layers between queue and image that are asked for by name, with
 * options. README.md in this folder shows how to write one.
 */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include <json-c/json.h>

#include "base/spec.h"
#include "store/store.h"

/* IO_HOOKS_MAX, less the two layers that the store may need itself. */
#define FILTERS_MAX	(IO_HOOKS_MAX - 2u)

/* What a filter may use when it is created. */
struct filter_context {
	/* Of the thread that creates and destroys it; there for as long as it is. */
	struct worker *home;
	/* Descriptors that "fd=N" counts; NULL: those of the process. */
	const int *fds;
	unsigned int nr_fds;
};

/* The table of filters is in filter.c. */
struct filter {
	const char *name;
	/*
	 * Make the layer, whose member below is set afterwards. @spec is gone
	 * after the call. 0 or -errno with the reason in @why.
	 */
	int (*create)(const struct spec *spec, const struct filter_context *context,
		      struct layer **out, char *why, size_t why_size);
};

extern const struct filter fault_filter;
extern const struct filter latency_filter;
extern const struct filter limit_filter;
extern const struct filter trace_filter;

/*
 * Put filters on @store, before any I/O: the first of @specs is the first to
 * see an I/O. store_close() takes them away. 0 or -errno with the reason in
 * @why; then none was put.
 */
int filters_push(struct store *store, const char *const *specs, unsigned int nr,
		 const struct filter_context *context, char *why, size_t why_size);

/* Would they do? 0 or -errno with the reason in @why. */
int filters_check(const char *const *specs, unsigned int nr, char *why, size_t why_size);

/* Whether @nr more layers can be put on @store: each may hook an I/O. */
bool filters_have_room(const struct store *store, unsigned int nr);

/* A new array: what each filter of @store tells of itself, the first first. */
struct json_object *filters_stats(const struct store *store);

/* The filter @ops of @store, or NULL. */
struct layer *filters_find(const struct store *store, const struct layer_ops *ops);

#endif /* FILTER_FILTER_H */
