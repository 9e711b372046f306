// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fault: errors, delays and short transfers, for tests. Which I/O is hit is
 * drawn by lot, from a seed: the Nth I/O that is eligible has the same fate
 * every time.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "filter/filter.h"

#define ALL_OPS		((1u << IO_NR_OPS) - 1)
#define DELAY_MS_MAX	600000ull

struct fault {
	struct layer layer;
	unsigned int ops;		/* a bit for each that may be hit */
	uint64_t start, sectors;	/* where; 0 sectors: all from start on */
	uint64_t millionths;
	uint64_t seed;
	uint64_t count;			/* at most so many; 0: no limit */
	uint64_t delay_ms;
	int error;			/* 0: none */
	bool half;
	atomic_ullong drawn, hit;
};

/* An I/O that moves the first half only of what it stands for. */
struct half {
	struct io io;
	struct io *parent;
	struct iovec iov[];
};

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

/* ---- who is hit ---- */

/* splitmix64: good enough a lot from a seed and a count. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static bool in_range(const struct fault *fault, const struct io *io)
{
	uint64_t first = io->offset >> SECTOR_SHIFT;
	uint64_t end = (io->offset + io->bytes) >> SECTOR_SHIFT;

	if (!fault->start && !fault->sectors)
		return true;
	/* A flush has no place. */
	if (io->op == IO_FLUSH || end <= fault->start)
		return false;
	return !fault->sectors || first < fault->start + fault->sectors;
}

static bool is_hit(struct fault *fault, const struct io *io)
{
	uint64_t number;

	if (!(fault->ops & (1u << io->op)) || !in_range(fault, io))
		return false;
	number = atomic_fetch_add(&fault->drawn, 1);
	if (mix(fault->seed + mix(number)) % 1000000 >= fault->millionths)
		return false;
	number = atomic_fetch_add(&fault->hit, 1);
	if (!fault->count || number < fault->count)
		return true;
	atomic_fetch_sub(&fault->hit, 1);
	return false;
}

/* ---- what happens to them ---- */

static void half_ended(struct io *io, int error)
{
	struct half *half = container_of(io, struct half, io);
	struct io *parent = half->parent;

	free(half);
	/* A store that moves less than it was told to is not to be trusted. */
	io_done(parent, error ? error : -EIO);
}

static void fill_half(struct half *half, const struct io *parent)
{
	uint64_t left = half->io.bytes;
	unsigned int i;

	for (i = 0; left; i++) {
		half->iov[i] = parent->iov[i];
		if (half->iov[i].iov_len > left)
			half->iov[i].iov_len = left;
		left -= half->iov[i].iov_len;
	}
	half->io.nr_iov = i;
}

static void pass_half(struct layer *layer, struct io *io)
{
	uint64_t bytes = io->bytes / 2 & ~(uint64_t)511;
	struct half *half = NULL;

	if (bytes)
		half = calloc(1, sizeof(*half) + io->nr_iov * sizeof(half->iov[0]));
	if (!half) {
		io_done(io, bytes ? -ENOMEM : -EIO);
		return;
	}
	half->parent = io;
	half->io = (struct io){
		.op = io->op, .flags = io->flags, .offset = io->offset, .bytes = bytes,
		.iov = half->iov, .worker = io->worker, .source = io->source,
		.done = half_ended,
	};
	if (io->nr_iov)
		fill_half(half, io);
	layer_submit(layer->below, &half->io);
}

static void hit(struct fault *fault, struct io *io)
{
	if (fault->error)
		io_done(io, -fault->error);
	else if (fault->half)
		pass_half(&fault->layer, io);
	else
		layer_submit(fault->layer.below, io);
}

static void delay_ended(struct timer *timer)
{
	struct io *io = container_of(timer, struct io, timer);

	hit(container_of(io->waits_in, struct fault, layer), io);
}

static void fault_submit(struct layer *layer, struct io *io)
{
	struct fault *fault = container_of(layer, struct fault, layer);

	if (!is_hit(fault, io)) {
		layer_submit(layer->below, io);
		return;
	}
	if (!fault->delay_ms) {
		hit(fault, io);
		return;
	}
	io->waits_in = layer;
	io->timer.run = delay_ended;
	timer_start(&io->worker->timers, &io->timer, clock_ns() + fault->delay_ms * 1000000);
}

static struct json_object *fault_stats(struct layer *layer)
{
	struct fault *fault = container_of(layer, struct fault, layer);
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "eligible",
			       json_object_new_int64((int64_t)atomic_load(&fault->drawn)));
	json_object_object_add(object, "hit",
			       json_object_new_int64((int64_t)atomic_load(&fault->hit)));
	return object;
}

static void fault_destroy(struct layer *layer)
{
	free(container_of(layer, struct fault, layer));
}

static const struct layer_ops fault_ops = {
	.name = "fault",
	.submit = fault_submit,
	.stats = fault_stats,
	.destroy = fault_destroy,
};

/* ---- options ---- */

/* Those that a store can come up with; a frontend sees the difference in none. */
static int parse_error(const char *name, int *error, char *why, size_t why_size)
{
	static const struct {
		const char *name;
		int error;
	} errors[] = {
		{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "ETIMEDOUT", ETIMEDOUT },
		{ "EOPNOTSUPP", EOPNOTSUPP }, { "ENOMEM", ENOMEM }, { "EROFS", EROFS },
	};
	unsigned int i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(name, errors[i].name) == 0) {
			*error = errors[i].error;
			return 0;
		}
	}
	snprintf(why, why_size, "fault: error=%.40s is none of EIO, ENOSPC, ETIMEDOUT, EOPNOTSUPP, "
		 "ENOMEM and EROFS", name);
	return -EINVAL;
}

/* "read+write" */
static int parse_ops(const char *text, unsigned int *ops, char *why, size_t why_size)
{
	static const char *const names[] = {
		[IO_READ] = "read", [IO_WRITE] = "write", [IO_FLUSH] = "flush",
		[IO_DISCARD] = "discard",
	};
	unsigned int i;

	*ops = 0;
	for (;;) {
		size_t length = strcspn(text, "+");

		for (i = 0; i < IO_NR_OPS; i++)
			if (strlen(names[i]) == length && !strncmp(names[i], text, length))
				break;
		if (i == IO_NR_OPS) {
			snprintf(why, why_size, "fault: op=%.*s is none of read, write, flush and "
				 "discard", length > 40 ? 40 : (int)length, text);
			return -EINVAL;
		}
		*ops |= 1u << i;
		if (!text[length])
			return 0;
		text += length + 1;
	}
}

static int parse(const struct spec *spec, struct fault *fault, char *why, size_t why_size)
{
	const char *error = NULL, *ops = NULL;
	uint64_t half = 0;
	const struct spec_key keys[] = {
		{ "error", SPEC_TEXT, &error, 0 },
		{ "op", SPEC_TEXT, &ops, 0 },
		{ "percent", SPEC_PERCENT, &fault->millionths, 0 },
		{ "short", SPEC_NUMBER, &half, 1 },
		{ "delay_ms", SPEC_NUMBER, &fault->delay_ms, DELAY_MS_MAX },
		{ "start", SPEC_NUMBER, &fault->start, UINT64_MAX >> 10 },
		{ "sectors", SPEC_NUMBER, &fault->sectors, UINT64_MAX >> 10 },
		{ "count", SPEC_NUMBER, &fault->count, UINT64_MAX >> 1 },
		{ "seed", SPEC_NUMBER, &fault->seed, UINT64_MAX },
	};
	int err = spec_read(spec, keys, sizeof(keys) / sizeof(keys[0]), why, why_size);

	fault->half = half;
	if (!err && error)
		err = parse_error(error, &fault->error, why, why_size);
	if (!err && ops)
		err = parse_ops(ops, &fault->ops, why, why_size);
	if (!err && fault->error && fault->half) {
		snprintf(why, why_size, "fault: error and short exclude each other");
		err = -EINVAL;
	}
	if (!err && !fault->error && !fault->half && !fault->delay_ms) {
		snprintf(why, why_size, "fault: error, short or delay_ms must say what is to happen");
		err = -EINVAL;
	}
	return err;
}

static int fault_create(const struct spec *spec, const struct filter_context *context,
			struct layer **out, char *why, size_t why_size)
{
	struct fault *fault = calloc(1, sizeof(*fault));
	int err;

	(void)context;
	if (!fault) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	fault->layer.ops = &fault_ops;
	fault->ops = ALL_OPS;
	fault->millionths = 1000000;
	err = parse(spec, fault, why, why_size);
	if (err)
		free(fault);
	else
		*out = &fault->layer;
	return err;
}

const struct filter fault_filter = { "fault", fault_create };
