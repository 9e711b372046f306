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

static int read_grefs(const struct reader *from, struct frontend_ring *ring)
{
	bool numbered = false;
	unsigned int i, k;
	char name[32];
	int err;

	err = read_ring_size(from, ring, &numbered);
	if (err)
		return err;
	if (!numbered)
		return require_number(from, "ring-ref", UINT32_MAX, &ring->grefs[0]);
	for (i = 0; i < ring->nr_grefs; i++) {
		snprintf(name, sizeof(name), "ring-ref%u", i);
		err = require_number(from, name, UINT32_MAX, &ring->grefs[i]);
		if (err)
			return err;
		for (k = 0; k < i; k++)
			if (ring->grefs[k] == ring->grefs[i])
				return refuse(from,
					      "the guest names one page for ring-ref%u and %u",
					      k, i);
	}
	return 0;
}

/* Several queues are not offered; a frontend may say that it uses one. */
static int check_queues(const struct reader *from)
{
	uint32_t queues;
	int found = read_number(from, "multi-queue-num-queues", UINT32_MAX, &queues);

	if (found < 0)
		return found;
	if (found && queues != 1)
		return refuse(from, "the guest uses %u queues, which were not offered", queues);
	return 0;
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

int frontend_read_ring(frontend_reader read, void *context,
		       struct frontend_ring *ring, char *why, size_t why_size)
{
	const struct reader from = { read, context, why, why_size };
	int err;

	*ring = (struct frontend_ring){ .nr_grefs = 1 };
	err = check_queues(&from);
	if (!err)
		err = read_grefs(&from, ring);
	if (!err)
		err = require_number(&from, "event-channel", EVTCHN_FIFO_NR_CHANNELS - 1,
				     &ring->port);
	if (!err && !ring->port)
		err = refuse(&from, "the guest's event-channel is 0");
	if (!err)
		err = read_protocol(&from, ring);
	return err;
}
