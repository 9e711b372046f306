// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As much as a guest can of one thing: what does it cost its neighbours? And the
 * quietest of neighbours that is busy, to compare. Each call is a part of a second.
 */
#include <stdio.h>

#include "scenarios.h"

/* Only computes. */
static void compute(struct front *front)
{
	(void)front;
	for (volatile unsigned int i = 0; i < 1000000; i++)
		;
}

static void flood_events(struct front *front)
{
	for (unsigned int i = 0; i < 1000; i++)
		notify(front);
}

/* Full rings of @request; each entry must be answered. */
static void flood_of(struct front *front, const struct blkif_request *request)
{
	unsigned int nr = RING_SIZE(&front->ring), i;
	blkif_response_t response;

	for (i = 0; i < nr; i++)
		ring_put(front, request, sizeof(*request));
	ring_push(front);
	for (i = 0; i < nr; i++)
		if (!ring_next(front, &response, 60000))
			die("a flood of requests is not answered");
}

static void flood_bad_requests(struct front *front)
{
	const struct blkif_request bad = { .operation = BLKIF_OP_READ };

	flood_of(front, &bad);
}

static void flood_bad_grants(struct front *front)
{
	struct blkif_request bad = { .operation = BLKIF_OP_WRITE, .nr_segments = DIRECT_MAX };

	for (unsigned int i = 0; i < DIRECT_MAX; i++)
		bad.seg[i].gref = UINT32_MAX;
	flood_of(front, &bad);
}

/* As fast as xenstored takes them, where nobody of ours looks. */
static void write_nodes(struct front *front)
{
	for (unsigned int i = 0; i < 60; i++)
		node_print(front, "junk", "%u", i);
}

static void flood_nodes(struct front *front)
{
	for (unsigned int i = 0; i < 20; i++) {
		set_state(front, XenbusStateConnected);
		node_print(front, "junk", "%u", i);
		node_print(front, "ring-ref", "%u", i);
	}
}

/* A word about each, were there no end to what is said about a guest. */
static void flood_reconnects(struct front *front)
{
	flood_bad_requests(front);
	front_connect(front);
}

/* Slow I/O all over the ring. */
static void slow_io(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, LIST_MAX, true);
	struct pages *list = pages_grant(front, DOM0, 1, true);
	blkif_response_t response;

	for (unsigned int i = 0; i < RING_SIZE(&front->ring); i++) {
		struct blkif_request_indirect large = request_by_list(
			i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, AREA_SLOW, data, LIST_MAX, list);
		struct blkif_request small = request_of(BLKIF_OP_READ, AREA_SLOW, data, DIRECT_MAX);

		if (i % 3)
			ring_put(front, &large, sizeof(large));
		else
			ring_put(front, &small, sizeof(small));
	}
	ring_push(front);
	for (unsigned int i = 0; i < RING_SIZE(&front->ring); i++)
		ring_next(front, &response, 60000);
	pages_revoke(front, data);
	pages_revoke(front, list);
}

const struct scenario flood_scenarios[] = {
	{ "compute", "", compute, ENDLESS },
	{ "flood_events", "93", flood_events, ENDLESS },
	{ "flood_bad_requests", "139", flood_bad_requests, ENDLESS },
	{ "flood_bad_grants", "50", flood_bad_grants, ENDLESS },
	{ "write_nodes", "", write_nodes, ENDLESS },
	{ "flood_nodes", "124", flood_nodes, ENDLESS },
	{ "flood_reconnects", "116", flood_reconnects, ENDLESS },
	{ "slow_io", "132", slow_io, ENDLESS },
	{ 0 }
};
