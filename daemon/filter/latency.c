// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * latency: how long I/O takes below this point, by operation and size, in
 * buckets of powers of two of microseconds. It reads the clock twice for each
 * I/O, so that it is there for who asks for it only.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "filter/filter.h"

#define BUCKETS		24u	/* bucket N: less than 2^N us; the last: all else */
#define CLASSES		5u

static const char *const op_names[IO_NR_OPS] = {
	[IO_READ] = "read", [IO_WRITE] = "write", [IO_FLUSH] = "flush", [IO_DISCARD] = "discard",
};

static const struct {
	const char *name;
	uint64_t max;
} classes[CLASSES] = {
	{ "4k", 4u << 10 }, { "16k", 16u << 10 }, { "64k", 64u << 10 }, { "256k", 256u << 10 },
	{ "more", UINT64_MAX },
};

struct latency {
	struct layer layer;
	atomic_ullong counts[IO_NR_OPS][CLASSES][BUCKETS];
};

#define latency_of(layer_) \
	((struct latency *)((char *)(layer_) - offsetof(struct latency, layer)))

static unsigned int bucket(uint64_t us)
{
	unsigned int bits = us ? 64 - (unsigned int)__builtin_clzll(us) : 0;

	return bits < BUCKETS ? bits : BUCKETS - 1;
}

static unsigned int class_of(const struct io *io)
{
	unsigned int i = 0;

	/* A discard's length says little of its work. */
	if (io->op == IO_DISCARD || io->op == IO_FLUSH)
		return CLASSES - 1;
	while (io->bytes > classes[i].max)
		i++;
	return i;
}

static void latency_submit(struct layer *layer, struct io *io)
{
	io_hook(io, layer, clock_ns());
	layer_submit(layer->below, io);
}

static void latency_done(struct layer *layer, struct io *io, uint64_t data, int error)
{
	uint64_t us = (clock_ns() - data) / 1000;

	atomic_fetch_add_explicit(&latency_of(layer)->counts[io->op][class_of(io)][bucket(us)], 1,
				  memory_order_relaxed);
	io_done(io, error);
}

/* Up to the last one that is not 0; NULL: all are. */
static struct json_object *histogram(atomic_ullong *counts)
{
	struct json_object *array;
	unsigned int nr = BUCKETS;
	unsigned int i;

	while (nr && !atomic_load(&counts[nr - 1]))
		nr--;
	if (!nr)
		return NULL;
	array = json_object_new_array();
	for (i = 0; i < nr; i++)
		json_object_array_add(array,
				      json_object_new_int64((int64_t)atomic_load(&counts[i])));
	return array;
}

static struct json_object *latency_stats(struct layer *layer)
{
	struct latency *latency = latency_of(layer);
	struct json_object *object = json_object_new_object();
	unsigned int op, c;

	for (op = 0; op < IO_NR_OPS; op++) {
		struct json_object *of_op = json_object_new_object();

		for (c = 0; c < CLASSES; c++) {
			struct json_object *array = histogram(latency->counts[op][c]);

			if (array)
				json_object_object_add(of_op, classes[c].name, array);
		}
		json_object_object_add(object, op_names[op], of_op);
	}
	return object;
}

static void latency_destroy(struct layer *layer)
{
	free(latency_of(layer));
}

static const struct layer_ops latency_ops = {
	.name = "latency",
	.submit = latency_submit,
	.done = latency_done,
	.stats = latency_stats,
	.destroy = latency_destroy,
};

static int latency_create(const struct spec *spec, const struct filter_context *context,
			  struct layer **out, char *why, size_t why_size)
{
	struct latency *latency;
	int err = spec_read(spec, NULL, 0, why, why_size);

	(void)context;
	if (err)
		return err;
	latency = calloc(1, sizeof(*latency));
	if (!latency) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	latency->layer.ops = &latency_ops;
	*out = &latency->layer;
	return 0;
}

const struct filter latency_filter = { "latency", latency_create };
