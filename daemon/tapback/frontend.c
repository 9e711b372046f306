// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/frontend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xen/event_channel.h>

#include "base/cleanup.h"
#include "base/parse.h"

struct reader {
	frontend_reader read;
	void *context;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3)))
static int refuse(const struct reader *from, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(from->why, from->why_size, format, args);
	va_end(args);
	return -EINVAL;
}

/*
 * Number @name, at most @max. 1: read, 0: there is no such node, or -errno.
 */
static int read_number(const struct reader *from, const char *name, uint32_t max,
		       uint32_t *number)
{
	CLEANUP_FREE char *text = NULL;
	int err = from->read(from->context, name, &text);

	if (err == -ENOENT)
		return 0;
	if (err == -EINVAL || (!err && parse_u32(text, max, number)))
		return refuse(from, "the guest's %s is not a number from 0 to %u", name, max);
	return err ? err : 1;
}

/* As read_number(), for a node that must be there: 0 or -errno. */
static int require_number(const struct reader *from, const char *name, uint32_t max,
			  uint32_t *number)
{
	int found = read_number(from, name, max, number);

	if (!found)
		return refuse(from, "the guest does not say its %s", name);
	return found < 0 ? found : 0;
}

/*
 * How many pages, and whether they are numbered ("ring-ref0") or the only one
 * ("ring-ref"). The order decides; the older page count matters without it.
 */
static int read_ring_size(const struct reader *from, struct frontend_ring *ring,
			  bool *numbered)
{
	uint32_t order, pages;
	int found;

	found = read_number(from, "ring-page-order", RING_PAGE_ORDER_MAX, &order);
	if (found < 0)
		return found;
	if (found) {
		ring->nr_grefs = 1u << order;
		*numbered = true;
		return 0;
	}
	found = read_number(from, "num-ring-pages", RING_PAGES_MAX, &pages);
	if (found < 0)
		return found;
	if (!found)
		pages = 1;
	if (!pages || pages & (pages - 1))
		return refuse(from, "the guest's num-ring-pages %u is not a power of two", pages);
	ring->nr_grefs = pages;
	*numbered = pages > 1;
	return 0;
}

/* Pages and ports of all queues are different ones. */
static int check_duplicates(const struct reader *from, const struct frontend_ring *ring)
{
	unsigned int nr = ring->nr_queues * ring->nr_grefs;
	unsigned int i, k;

	for (i = 0; i < nr; i++)
		for (k = 0; k < i; k++)
			if (ring->queues[k / ring->nr_grefs].grefs[k % ring->nr_grefs] ==
			    ring->queues[i / ring->nr_grefs].grefs[i % ring->nr_grefs])
				return refuse(from, "the guest names one page twice, for queues "
					      "%u and %u", k / ring->nr_grefs, i / ring->nr_grefs);
	for (i = 0; i < ring->nr_queues; i++)
		for (k = 0; k < i; k++)
			if (ring->queues[k].port == ring->queues[i].port)
				return refuse(from, "the guest names one event-channel for queues "
					      "%u and %u", k, i);
	return 0;
}

/* The pages of one ring, in nodes that begin with @prefix. */
static int read_grefs(const struct reader *from, const char *prefix, bool numbered,
		      unsigned int nr, uint32_t *grefs)
{
	unsigned int i;
	char name[48];
	int err = 0;

	for (i = 0; i < nr && !err; i++) {
		if (numbered)
			snprintf(name, sizeof(name), "%sring-ref%u", prefix, i);
		else
			snprintf(name, sizeof(name), "%sring-ref", prefix);
		err = require_number(from, name, UINT32_MAX, &grefs[i]);
	}
	return err;
}

static int read_queue(const struct reader *from, const char *prefix, bool numbered,
		      unsigned int nr_grefs, struct frontend_queue *queue)
{
	char name[48];
	int err;

	err = read_grefs(from, prefix, numbered, nr_grefs, queue->grefs);
	if (err)
		return err;
	snprintf(name, sizeof(name), "%sevent-channel", prefix);
	err = require_number(from, name, EVTCHN_FIFO_NR_CHANNELS - 1, &queue->port);
	if (!err && !queue->port)
		err = refuse(from, "the guest's %s is 0", name);
	return err;
}

/*
 * How many queues, and whether they have directories of their own. One queue
 * may be described in either way, and is looked for at the old place first.
 */
static int read_nr_queues(const struct reader *from, unsigned int max,
			  struct frontend_ring *ring, bool *own)
{
	uint32_t queues = 1, port;
	int found = read_number(from, "multi-queue-num-queues", UINT32_MAX, &queues);

	if (found < 0)
		return found;
	if (!queues || queues > max)
		return refuse(from, "the guest uses %u queues, of which 1 to %u were offered",
			      queues, max);
	ring->nr_queues = queues;
	*own = queues > 1;
	if (!found || queues > 1)
		return 0;
	found = read_number(from, "event-channel", UINT32_MAX, &port);
	*own = !found;
	return found < 0 ? found : 0;
}

static int read_queues(const struct reader *from, unsigned int max, struct frontend_ring *ring)
{
	bool own = false, numbered = false;
	char prefix[24] = "";
	unsigned int i;
	int err;

	err = read_nr_queues(from, max, ring, &own);
	if (!err)
		err = read_ring_size(from, ring, &numbered);
	for (i = 0; i < ring->nr_queues && !err; i++) {
		if (own)
			snprintf(prefix, sizeof(prefix), "queue-%u/", i);
		err = read_queue(from, prefix, numbered, ring->nr_grefs, &ring->queues[i]);
	}
	return err ? err : check_duplicates(from, ring);
}

/* Anything but a 1 is no promise. */
static int read_persistent(const struct reader *from, struct frontend_ring *ring)
{
	CLEANUP_FREE char *text = NULL;
	int err = from->read(from->context, "feature-persistent", &text);

	ring->persistent = !err && !strcmp(text, "1");
	return err == -ENOENT || err == -EINVAL ? 0 : err;
}

static int read_protocol(const struct reader *from, struct frontend_ring *ring)
{
	CLEANUP_FREE char *text = NULL;
	int err = from->read(from->context, "protocol", &text);

#if defined(__x86_64__) || defined(__i386__)
	if (err == -ENOENT) {
		/* Not the native one: what other backends take it for. */
		ring->protocol = "x86_32";
		return 0;
	}
	if (!err && !strcmp(text, "x86_32-abi")) {
		ring->protocol = "x86_32";
		return 0;
	}
	if (!err && !strcmp(text, "x86_64-abi")) {
		ring->protocol = "x86_64";
		return 0;
	}
#else
	if (err == -ENOENT || (!err && !strcmp(text, "arm-abi"))) {
		ring->protocol = "native";
		return 0;
	}
#endif
	if (err && err != -EINVAL)
		return err;
	return refuse(from, "the guest's ring has a protocol that this host does not know");
}

int frontend_read_ring(frontend_reader read, void *context, unsigned int max_queues,
		       struct frontend_ring *ring, char *why, size_t why_size)
{
	const struct reader from = { read, context, why, why_size };
	int err;

	*ring = (struct frontend_ring){ .nr_grefs = 1 };
	err = read_queues(&from, max_queues, ring);
	if (!err)
		err = read_protocol(&from, ring);
	if (!err)
		err = read_persistent(&from, ring);
	return err;
}
