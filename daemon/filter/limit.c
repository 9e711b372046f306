// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * limit: I/O per second, and bytes per second. Each is a bucket, kept as one
 * time: until when what was let through uses the rate up. I/O goes on as
 * long as that time is not ahead of now by more than the burst, so that a
 * request larger than any burst passes, too, and is made up for afterwards.
 *
 * What has to wait does so in lanes, one for each frontend (or a few that share
 * one), and the lane that was given least goes first: who asks for much at
 * once does not slow down who asks for little. A lane's use is counted in the
 * time that its requests took of the scarcer rate.
 *
 * Any worker may find that it has to wait; one pump, on the home worker, lets
 * I/O through as time passes and sends each to its worker. Without a limit, or
 * below it, there is no lane and no pump, but one lock.
 */
#include "filter/limit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define NS		1000000000ull
#define LANES		64u
#define RATE_MAX	(1ull << 40)
#define BURST_MS_MAX	60000ull

struct lane {
	struct io *first;
	struct io **end;
	uint64_t used_ns;		/* see above; only differences matter */
};

struct settings {
	uint64_t iops;			/* 0: no limit */
	uint64_t bps;
	uint64_t burst_ms;
};

enum pump {
	PUMP_IDLE,			/* nobody waits */
	PUMP_SENT,			/* the note is on its way home */
	PUMP_TIMER,			/* the timer is started */
};

struct limit {
	struct layer layer;
	struct worker *home;
	struct note note;
	struct timer timer;		/* on the home worker */

	pthread_mutex_t mutex;		/* of all below */
	struct settings settings;
	uint64_t iops_until_ns;
	uint64_t bps_until_ns;
	struct lane lanes[LANES];
	uint64_t now_used_ns;		/* of the lane that went last */
	uint64_t nr_waiting;
	enum pump pump;
	uint64_t passed, delayed;
};

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

/* ---- rates; with the mutex held ---- */

static uint64_t io_ns(const struct limit *limit)
{
	return limit->settings.iops ? NS / limit->settings.iops : 0;
}

/* A discard moves nothing; no I/O is longer than some MiB. */
static uint64_t bytes_ns(const struct limit *limit, const struct io *io)
{
	if (!limit->settings.bps || (io->op != IO_READ && io->op != IO_WRITE))
		return 0;
	return (uint64_t)((unsigned __int128)io->bytes * NS / limit->settings.bps);
}

/* When the next I/O may go. */
static uint64_t allowed_ns(const struct limit *limit)
{
	uint64_t burst_ns = limit->settings.burst_ms * (NS / 1000);
	uint64_t until = 0;

	if (limit->settings.iops)
		until = limit->iops_until_ns;
	if (limit->settings.bps && limit->bps_until_ns > until)
		until = limit->bps_until_ns;
	return until > burst_ns ? until - burst_ns : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Let @io through at @now; what it used of the scarcer rate. */
static uint64_t charge(struct limit *limit, const struct io *io, uint64_t now)
{
	uint64_t by_io = io_ns(limit);
	uint64_t by_bytes = bytes_ns(limit, io);

	limit->iops_until_ns = later(limit->iops_until_ns, now) + by_io;
	limit->bps_until_ns = later(limit->bps_until_ns, now) + by_bytes;
	limit->passed++;
	return later(by_io, by_bytes);
}

/* ---- lanes; with the mutex held ---- */

static struct lane *lane_of(struct limit *limit, const struct io *io)
{
	uint32_t key = io->source ? io->source->domid * 31 + (io->source->devid >> 4) : 0;

	return &limit->lanes[key % LANES];
}

static void enqueue(struct limit *limit, struct io *io)
{
	struct lane *lane = lane_of(limit, io);

	if (!lane->first) {
		lane->end = &lane->first;
		/* Not having asked for anything earns nothing. */
		lane->used_ns = later(lane->used_ns, limit->now_used_ns);
	}
	io->next = NULL;
	*lane->end = io;
	lane->end = &io->next;
	limit->nr_waiting++;
	limit->delayed++;
}

/* The next one, whose turn it is, or NULL; charged. */
static struct io *dequeue(struct limit *limit, uint64_t now)
{
	struct lane *best = NULL;
	struct io *io;
	unsigned int i;

	for (i = 0; i < LANES; i++)
		if (limit->lanes[i].first &&
		    (!best || limit->lanes[i].used_ns < best->used_ns))
			best = &limit->lanes[i];
	if (!best)
		return NULL;
	io = best->first;
	best->first = io->next;
	limit->nr_waiting--;
	limit->now_used_ns = best->used_ns;
	best->used_ns += charge(limit, io, now);
	return io;
}

/* ---- the pump, on the home worker ---- */

static void pass_run(struct note *note)
{
	struct io *io = container_of(note, struct io, note);

	layer_submit(io->waits_in->below, io);
}

static void send_all(struct io *list)
{
	while (list) {
		struct io *io = list;

		/* Before it is sent: from then on it is its worker's. */
		list = io->next;
		io->note.run = pass_run;
		worker_send(io->worker, &io->note);
	}
}

static void run_pump(struct limit *limit)
{
	struct io *list = NULL;
	struct io **end = &list;
	uint64_t now = clock_ns();
	uint64_t next_ns;
	bool more;

	pthread_mutex_lock(&limit->mutex);
	while ((next_ns = allowed_ns(limit)) <= now && limit->nr_waiting) {
		struct io *io = dequeue(limit, now);

		io->next = NULL;
		*end = io;
		end = &io->next;
	}
	more = limit->nr_waiting;
	limit->pump = more ? PUMP_TIMER : PUMP_IDLE;
	pthread_mutex_unlock(&limit->mutex);
	if (more)
		timer_start(&limit->home->timers, &limit->timer, next_ns);
	/* Last: without I/O on its way, the filter may go. */
	send_all(list);
}

static void pump_note_run(struct note *note)
{
	run_pump(container_of(note, struct limit, note));
}

static void pump_timer_run(struct timer *timer)
{
	run_pump(container_of(timer, struct limit, timer));
}

/* ---- the layer ---- */

static void limit_submit(struct layer *layer, struct io *io)
{
	struct limit *limit = container_of(layer, struct limit, layer);
	bool go, start = false;
	uint64_t now;

	pthread_mutex_lock(&limit->mutex);
	now = clock_ns();
	go = !limit->nr_waiting && allowed_ns(limit) <= now;
	if (go) {
		charge(limit, io, now);
	} else {
		io->waits_in = layer;
		enqueue(limit, io);
		start = limit->pump == PUMP_IDLE;
		if (start)
			limit->pump = PUMP_SENT;
	}
	pthread_mutex_unlock(&limit->mutex);
	if (go)
		layer_submit(layer->below, io);
	else if (start)
		worker_send(limit->home, &limit->note);
}

static void add(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_int64((int64_t)value));
}

static struct json_object *limit_stats(struct layer *layer)
{
	struct limit *limit = container_of(layer, struct limit, layer);
	struct json_object *object = json_object_new_object();

	pthread_mutex_lock(&limit->mutex);
	add(object, "iops", limit->settings.iops);
	add(object, "bps", limit->settings.bps);
	add(object, "burst_ms", limit->settings.burst_ms);
	add(object, "passed", limit->passed);
	add(object, "delayed", limit->delayed);
	add(object, "waiting", limit->nr_waiting);
	pthread_mutex_unlock(&limit->mutex);
	return object;
}

static void limit_destroy(struct layer *layer)
{
	struct limit *limit = container_of(layer, struct limit, layer);

	/* Nobody waits, so that the pump is idle. */
	pthread_mutex_destroy(&limit->mutex);
	free(limit);
}

static const struct layer_ops limit_ops = {
	.name = "limit",
	.submit = limit_submit,
	.stats = limit_stats,
	.destroy = limit_destroy,
};

static int read_settings(const struct spec *spec, struct settings *settings, char *why,
			 size_t why_size)
{
	const struct spec_key keys[] = {
		{ "iops", SPEC_NUMBER, &settings->iops, NS },
		{ "bps", SPEC_SIZE, &settings->bps, RATE_MAX },
		{ "burst_ms", SPEC_NUMBER, &settings->burst_ms, BURST_MS_MAX },
	};

	return spec_read(spec, keys, sizeof(keys) / sizeof(keys[0]), why, why_size);
}

static int limit_create(const struct spec *spec, const struct filter_context *context,
			struct layer **out, char *why, size_t why_size)
{
	struct limit *limit = calloc(1, sizeof(*limit));
	int err;

	if (!limit) {
		snprintf(why, why_size, "no memory");
		return -ENOMEM;
	}
	limit->settings.burst_ms = 100;
	err = read_settings(spec, &limit->settings, why, why_size);
	if (err) {
		free(limit);
		return err;
	}
	limit->layer.ops = &limit_ops;
	limit->home = context->home;
	limit->note.run = pump_note_run;
	limit->timer.run = pump_timer_run;
	pthread_mutex_init(&limit->mutex, NULL);
	*out = &limit->layer;
	return 0;
}

const struct filter limit_filter = { "limit", limit_create };

int limit_change(const struct store *store, const char *options, char *why, size_t why_size)
{
	struct layer *layer = filters_find(store, &limit_ops);
	struct settings settings;
	struct limit *limit;
	struct spec spec;
	bool pump;
	int err;

	if (!layer) {
		snprintf(why, why_size, "the disk has no filter \"limit\": open it with "
			 "--filter limit, which limits nothing until it is told to");
		return -ENOENT;
	}
	limit = container_of(layer, struct limit, layer);
	settings = limit->settings;
	err = spec_parse_options(&spec, "limit", options, why, why_size);
	if (!err)
		err = read_settings(&spec, &settings, why, why_size);
	if (err)
		return err;
	pthread_mutex_lock(&limit->mutex);
	limit->settings = settings;
	/* What the old rates were used up by is no debt under new ones. */
	limit->iops_until_ns = limit->bps_until_ns = 0;
	pump = limit->pump == PUMP_TIMER;
	pthread_mutex_unlock(&limit->mutex);
	if (pump) {
		timer_stop(&limit->home->timers, &limit->timer);
		run_pump(limit);
	}
	return 0;
}
