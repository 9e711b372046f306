// SPDX-License-Identifier: GPL-2.0-or-later
#include "filter/filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct filter *const filters[] = {
	&fault_filter,
	&latency_filter,
	&limit_filter,
	&trace_filter,
};

#define NR_FILTERS (sizeof(filters) / sizeof(filters[0]))

static const struct filter *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_FILTERS; i++)
		if (strcmp(filters[i]->name, name) == 0)
			return filters[i];
	return NULL;
}

static int no_such_filter(const char *name, char *why, size_t why_size)
{
	size_t used = (size_t)snprintf(why, why_size, "there is no filter \"%.40s\", only", name);
	unsigned int i;

	for (i = 0; i < NR_FILTERS && used < why_size; i++)
		used += (size_t)snprintf(why + used, why_size - used, "%s %s", i ? "," : "",
					 filters[i]->name);
	return -EINVAL;
}

static int create(const char *text, const struct filter_context *context, struct layer **out,
		  char *why, size_t why_size)
{
	const struct filter *filter;
	struct spec spec;
	int err = spec_parse(&spec, text, why, why_size);

	if (err)
		return err;
	filter = find(spec.name);
	if (!filter)
		return no_such_filter(spec.name, why, why_size);
	return filter->create(&spec, context, out, why, why_size);
}

/* Take away what is above @bottom. */
static void pop_to(struct store *store, const struct layer *bottom)
{
	while (store->top != bottom) {
		struct layer *layer = store->top;

		store->top = layer->below;
		layer->ops->destroy(layer);
	}
}

bool filters_have_room(const struct store *store, unsigned int nr)
{
	const struct layer *layer;
	unsigned int depth = 0;

	for (layer = store->top; layer; layer = layer->below)
		depth++;
	return nr <= IO_HOOKS_MAX - depth;
}

int filters_push(struct store *store, const char *const *specs, unsigned int nr,
		 const struct filter_context *context, char *why, size_t why_size)
{
	struct layer *bottom = store->top;
	struct layer *layer;
	int err;

	if (!filters_have_room(store, nr)) {
		snprintf(why, why_size, "more than %u filters are too many", FILTERS_MAX);
		return -EINVAL;
	}
	/* The lowest is the last one. */
	while (nr--) {
		err = create(specs[nr], context, &layer, why, why_size);
		if (err) {
			pop_to(store, bottom);
			return err;
		}
		layer->below = store->top;
		store->top = layer;
	}
	return 0;
}

int filters_check(const char *const *specs, unsigned int nr, char *why, size_t why_size)
{
	const struct filter_context context = { .home = NULL };
	struct store store = { .top = NULL };
	int err = filters_push(&store, specs, nr, &context, why, why_size);

	pop_to(&store, NULL);
	return err;
}

struct json_object *filters_stats(const struct store *store)
{
	struct json_object *array = json_object_new_array();
	struct layer *layer;

	for (layer = store->top; layer; layer = layer->below) {
		struct json_object *entry = layer->ops->stats ? layer->ops->stats(layer) : NULL;

		if (!entry)
			continue;
		json_object_object_add(entry, "filter", json_object_new_string(layer->ops->name));
		json_object_array_add(array, entry);
	}
	return array;
}

struct layer *filters_find(const struct store *store, const struct layer_ops *ops)
{
	struct layer *layer;

	for (layer = store->top; layer && layer->ops != ops; layer = layer->below)
		;
	return layer;
}
