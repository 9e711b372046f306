// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What stands in a ring: heads, segments, ranges, lists, indices, and events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scenarios.h"

static void refuse(struct front *front, const struct blkif_request *request, const char *what)
{
	ring_expect(front, request, sizeof(*request), BLKIF_RSP_ERROR, what);
}

static void accept(struct front *front, const struct blkif_request *request, const char *what)
{
	ring_expect(front, request, sizeof(*request), BLKIF_RSP_OKAY, what);
}

static void unknown_operations(struct front *front)
{
	static const uint8_t ops[] = { BLKIF_OP_RESERVED_1, 7, 42, 128, 255 };
	struct pages *data = pages_grant(front, DOM0, 1, true);

	for (size_t i = 0; i < sizeof(ops); i++) {
		struct blkif_request request = request_of(ops[i], AREA_FORBIDDEN, data, 1);

		ring_expect(front, &request, sizeof(request), BLKIF_RSP_EOPNOTSUPP,
			    "unknown operation");
	}
	pages_revoke(front, data);
}

static void bad_segments(struct front *front)
{
	static const struct { uint8_t nr, first, last; } bad[] = {
		{ 0, 0, 7 }, { 12, 0, 7 }, { 128, 0, 7 }, { 255, 0, 7 }, { 1, 5, 4 },
		{ 1, 0, 8 }, { 1, 8, 8 }, { 1, 255, 255 }, { 1, 7, 0 },
	};
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct blkif_request request;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (uint8_t op = BLKIF_OP_READ; op <= BLKIF_OP_WRITE; op++) {
			request = request_of(op, AREA_FORBIDDEN, data, 1);
			request.nr_segments = bad[i].nr;
			request.seg[0].first_sect = bad[i].first;
			request.seg[0].last_sect = bad[i].last;
			refuse(front, &request, "bad segments");
		}
	pages_revoke(front, data);
}

static void out_of_range(struct front *front)
{
	const uint64_t bad[] = {
		front->sectors, front->sectors - PAGE_SECTORS + 1, UINT64_MAX,
		UINT64_MAX - PAGE_SECTORS + 1, 1ull << 55, 1ull << 63, (1ull << 55) + AREA_FORBIDDEN,
	};
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct blkif_request request;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (uint8_t op = BLKIF_OP_READ; op <= BLKIF_OP_WRITE; op++) {
			request = request_of(op, bad[i], data, 1);
			refuse(front, &request, "beyond the end");
		}
	request = request_of(BLKIF_OP_READ, front->sectors - PAGE_SECTORS, data, 1);
	accept(front, &request, "the last sectors");
	pages_revoke(front, data);
}

static void one_page_everywhere(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct pages *check = pages_grant(front, DOM0, DIRECT_MAX, true);
	struct blkif_request request;
	unsigned int i;

	memset(data->mem, 0xa5, PAGE_BYTES);
	request = request_of(BLKIF_OP_WRITE, AREA_SCENARIO, data, DIRECT_MAX);
	accept(front, &request, "write of one page eleven times");
	request = request_of(BLKIF_OP_READ, AREA_SCENARIO, check, DIRECT_MAX);
	accept(front, &request, "read of eleven pages");
	for (i = 0; i < DIRECT_MAX; i++)
		if (memcmp(check->mem + i * PAGE_BYTES, data->mem, PAGE_BYTES))
			die("page %u of a write of one page eleven times is wrong", i);
	request = request_of(BLKIF_OP_READ, AREA_SCENARIO, data, DIRECT_MAX);
	accept(front, &request, "read into one page eleven times");
	if (memcmp(check->mem, data->mem, PAGE_BYTES))
		die("a read into one page eleven times gave something else");
	pages_revoke(front, data);
	pages_revoke(front, check);
}

static void refuse_list(struct front *front, const struct blkif_request_indirect *request,
			const char *what)
{
	ring_expect(front, request, sizeof(*request), BLKIF_RSP_ERROR, what);
}

/* Of the list itself, and of what stands in it. */
static void bad_lists(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct pages *list = pages_grant(front, DOM0, 1, false);
	const struct blkif_request_indirect good =
		request_by_list(BLKIF_OP_WRITE, AREA_FORBIDDEN, data, 16, list);
	struct blkif_request_indirect bad = good;
	static const uint16_t counts[] = { 0, LIST_MAX + 1, 4096, 65535 };
	static const uint8_t ops[] = { BLKIF_OP_INDIRECT, BLKIF_OP_DISCARD, 255 };
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bad.nr_segments = counts[i];
		refuse_list(front, &bad, "list of too few or too many segments");
	}
	for (bad = good, i = 0; i < sizeof(ops); i++) {
		bad.indirect_op = ops[i];
		refuse_list(front, &bad, "operation that has no list");
	}
	bad = good;
	bad.indirect_grefs[0] = UINT32_MAX;
	refuse_list(front, &bad, "list that is not granted");
	bad = good;
	bad.sector_number = front->sectors - 1;
	refuse_list(front, &bad, "list beyond the end");
	list_of(list)[15].first_sect = 9;
	refuse_list(front, &good, "bad segment in a list");
	list_of(list)[15] = (struct blkif_request_segment){ .gref = UINT32_MAX, .last_sect = 7 };
	refuse_list(front, &good, "segment of a list that is not granted");
	memset(list->mem, 0xff, PAGE_BYTES);
	refuse_list(front, &good, "list of garbage");
	pages_revoke(front, data);
	pages_revoke(front, list);
}

/*
 * Where a request goes is changed as soon as it may have been seen, to one of
 * two places that are both allowed. The first 16 bytes are left: the answer stands there.
 */
static void entries_overwritten(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 2, true);
	struct blkif_request request = request_of(BLKIF_OP_WRITE, AREA_SCENARIO, data, 8);
	blkif_response_t response;

	for (unsigned int round = 0; round < 300; round++) {
		volatile struct blkif_request *slot =
			RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt);
		uint64_t id = ring_put(front, &request, sizeof(request));

		ring_push(front);
		for (unsigned int i = 0; i < 100; i++) {
			slot->sector_number = i & 1 ? AREA_SCENARIO : UINT64_MAX;
			slot->seg[i % 8].gref = i & 2 ? data->gref[1] : UINT32_MAX;
			slot->seg[i % 8].last_sect = (uint8_t)(i * 5);
		}
		if (!ring_next(front, &response, 60000))
			die("a request that was overwritten is not answered");
		if (response.id != id || response.operation != BLKIF_OP_WRITE ||
		    response.status < BLKIF_RSP_ERROR || response.status > BLKIF_RSP_OKAY)
			die("the answer to a request that was overwritten makes no sense");
	}
	pages_revoke(front, data);
}

/* No answer comes, whatever is asked. */
static void must_be_halted(struct front *front, const char *what)
{
	struct blkif_request flush = { .operation = BLKIF_OP_FLUSH_DISKCACHE };
	blkif_response_t response;

	ring_put(front, &flush, sizeof(flush));
	ring_push(front);
	notify(front);
	if (ring_next(front, &response, 2000))
		die("%s: the ring is still served", what);
}

static void index_far_ahead(struct front *front)
{
	front->ring.sring->req_prod += 1000;
	notify(front);
	sleep(1);
	must_be_halted(front, "an index far ahead");
}

static void index_moves_back(struct front *front)
{
	front->ring.sring->req_prod -= 3;
	notify(front);
	sleep(1);
	must_be_halted(front, "an index that moved back");
}

/* What is ours to read is written by us. */
static void backend_indices_overwritten(struct front *front)
{
	static const RING_IDX any[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
	RING_IDX right = front->ring.rsp_cons;

	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
		front->ring.sring->rsp_prod = any[i];
		front->ring.sring->req_event = any[i];
		front->ring.sring->rsp_event = any[i];
		notify(front);
		usleep(100000);
	}
	front->ring.sring->rsp_prod = right;
	front->ring.sring->req_event = right + 1;
}

/* Written from it is what stands there. Read into it, the ring is lost. */
static void ring_is_data(struct front *front)
{
	struct blkif_request request = request_of(BLKIF_OP_WRITE, AREA_SCENARIO, front->page, 11);

	accept(front, &request, "write from the ring's own page");
	request = request_of(BLKIF_OP_READ, AREA_SCENARIO, front->page, 11);
	ring_put(front, &request, sizeof(request));
	ring_push(front);
	notify(front);
	sleep(1);
	memset(front->page->mem, 0xff, PAGE_BYTES);
	notify(front);
	sleep(1);
}

static void storm_of_events(struct front *front)
{
	for (unsigned int i = 0; i < 20000; i++)
		notify(front);
}

/* Anything at all, but nothing that would be written where nobody may. */
static void entries_of_garbage(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	union {
		struct blkif_request request;
		uint8_t bytes[sizeof(struct blkif_request)];
	} any;
	blkif_response_t response;

	for (unsigned int round = 0; round < 500; round++) {
		for (size_t i = 0; i < sizeof(any.bytes); i++)
			any.bytes[i] = (uint8_t)random();
		any.request.operation %= 8;
		if (any.request.operation == BLKIF_OP_DISCARD)
			any.request.sector_number |= 1ull << 40;
		ring_put(front, &any.request, sizeof(any.request));
		ring_push(front);
		if (!ring_next(front, &response, 60000))
			die("garbage is not answered");
	}
	pages_revoke(front, data);
}

const struct scenario request_scenarios[] = {
	{ "unknown_operations", "17 18", unknown_operations, SERVED },
	{ "bad_segments", "19 21 33 34", bad_segments, SERVED },
	{ "out_of_range", "39 40 41 42", out_of_range, SERVED },
	{ "one_page_everywhere", "48", one_page_everywhere, SERVED },
	{ "bad_lists", "74 75 76 77", bad_lists, SERVED },
	{ "entries_overwritten", "10 11", entries_overwritten, SERVED },
	{ "entries_of_garbage", "17 74", entries_of_garbage, SERVED },
	{ "backend_indices_overwritten", "6 7 8 9", backend_indices_overwritten, SERVED },
	{ "storm_of_events", "93", storm_of_events, SERVED },
	{ "index_far_ahead", "1", index_far_ahead, SPOILT },
	{ "index_moves_back", "2", index_moves_back, SPOILT },
	{ "ring_is_data", "16", ring_is_data, SPOILT },
	{ 0 }
};
