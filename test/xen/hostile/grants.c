// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Grants that are none, are not what they should be, or end. Requests up to 128 KiB are
 * copied by Xen, larger ones are mapped; both are tried.
 */
#include <stdio.h>
#include <unistd.h>

#include "scenarios.h"

#define MAPPED 64u	/* pages of a request that is mapped */

/* One page, and then many by a list, one of which is @gref: both must have that status. */
static void both_ways(struct front *front, uint8_t op, uint32_t gref, int status, const char *what)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct pages *list = pages_grant(front, DOM0, 1, false);
	struct blkif_request one = request_of(op, AREA_SCENARIO, data, 2);
	struct blkif_request_indirect many = request_by_list(op, AREA_SCENARIO, data, MAPPED, list);

	one.seg[1].gref = gref;
	ring_expect(front, &one, sizeof(one), status, what);
	list_of(list)[MAPPED / 2].gref = gref;
	ring_expect(front, &many, sizeof(many), status, what);
	pages_revoke(front, data);
	pages_revoke(front, list);
}

static void refused_both_ways(struct front *front, uint32_t gref, const char *what)
{
	both_ways(front, BLKIF_OP_READ, gref, BLKIF_RSP_ERROR, what);
	both_ways(front, BLKIF_OP_WRITE, gref, BLKIF_RSP_ERROR, what);
}

/* The kernel hands out the grants that ended last; the first of many stays unused. */
static void not_granted(struct front *front)
{
	static const uint32_t none[] = { 100000, 0x7fffffff, 0x80000000, UINT32_MAX };
	struct pages *gone = pages_grant(front, DOM0, 64, true);
	uint32_t ended = gone->gref[0];

	pages_revoke(front, gone);
	refused_both_ways(front, ended, "a grant that has ended");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		refused_both_ways(front, none[i], "a grant beyond the table");
}

static void read_only(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, false);

	both_ways(front, BLKIF_OP_READ, data->gref[0], BLKIF_RSP_ERROR,
		  "read into a read-only grant");
	both_ways(front, BLKIF_OP_WRITE, data->gref[0], BLKIF_RSP_OKAY,
		  "write from a read-only grant");
	pages_revoke(front, data);
}

static void granted_to_another(struct front *front)
{
	struct pages *data = pages_grant(front, 4242, 1, true);

	refused_both_ways(front, data->gref[0], "a grant to another domain");
	pages_revoke(front, data);
}

/*
 * dom0 takes a read, and its page's grant ends before the data is copied. Of a write
 * it was copied before.
 */
static void ends_before_it_is_copied(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct blkif_request request = request_of(BLKIF_OP_READ, AREA_SLOW, data, 1);
	blkif_response_t response;

	ring_put(front, &request, sizeof(request));
	ring_push(front);
	ring_wait_taken(front);
	pages_revoke(front, data);
	if (!ring_next(front, &response, 60000))
		die("a read whose grant has ended is not answered");
	if (response.status != BLKIF_RSP_ERROR)
		die("a read whose grant has ended was answered %d", response.status);
}

/* Mapped as they are, they are in use until the answer. */
static void ends_while_it_is_mapped(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, MAPPED, true);
	struct pages *list = pages_grant(front, DOM0, 1, true);
	struct blkif_request_indirect request =
		request_by_list(BLKIF_OP_READ, AREA_SLOW, data, MAPPED, list);
	unsigned int before = grants_found_in_use();
	blkif_response_t response;

	ring_put(front, &request, sizeof(request));
	ring_push(front);
	ring_wait_taken(front);
	usleep(300000);
	pages_revoke(front, data);
	if (grants_found_in_use() < before + MAPPED)
		die("only %u of %u grants were mapped", grants_found_in_use() - before, MAPPED);
	if (!ring_next(front, &response, 60000))
		die("a read whose grants end is not answered");
	if (response.status != BLKIF_RSP_OKAY)
		die("a read whose grants end was answered %d", response.status);
	pages_revoke(front, list);
}

/* With the answer the guest has its pages back: nobody has them mapped any more. */
static void ends_right_after_the_answer(struct front *front)
{
	unsigned int before = grants_found_in_use();

	for (unsigned int round = 0; round < 40; round++) {
		struct pages *data = pages_grant(front, DOM0, MAPPED, true);
		struct pages *list = pages_grant(front, DOM0, 1, true);
		uint8_t op = round & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
		struct blkif_request_indirect many =
			request_by_list(op, AREA_SCENARIO, data, MAPPED, list);

		ring_expect(front, &many, sizeof(many), BLKIF_RSP_OKAY, "a large request");
		pages_revoke(front, data);
		pages_revoke(front, list);
	}
	if (grants_found_in_use() != before)
		die("%u grants were mapped after the answer", grants_found_in_use() - before);
}

/* A list changes after the kick, between what is good and what is not. */
static void list_overwritten(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, LIST_MAX, true);
	struct pages *list = pages_grant(front, DOM0, 1, true);
	struct blkif_request_indirect request =
		request_by_list(BLKIF_OP_READ, AREA_SCENARIO, data, LIST_MAX, list);
	volatile struct blkif_request_segment *segments = list_of(list);
	blkif_response_t response;

	for (unsigned int round = 0; round < 100; round++) {
		ring_put(front, &request, sizeof(request));
		ring_push(front);
		for (unsigned int i = 0; i < 20 * LIST_MAX; i++) {
			segments[i % LIST_MAX].gref = i & 1 ? data->gref[0] : UINT32_MAX;
			segments[i % LIST_MAX].last_sect = i & 2 ? 7 : 200;
		}
		if (!ring_next(front, &response, 60000))
			die("a request whose list changed is not answered");
		request_by_list(BLKIF_OP_READ, AREA_SCENARIO, data, LIST_MAX, list);
	}
	ring_expect(front, &request, sizeof(request), BLKIF_RSP_OKAY, "a list that stands still");
	pages_revoke(front, data);
	pages_revoke(front, list);
}

/*
 * One page in all segments of a large request. A grant may have 128 mappings, and dom0
 * makes two for each segment: with more than 64 of those the request fails.
 */
static void one_page_mapped_often(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, 1, true);
	struct pages *list = pages_grant(front, DOM0, 1, false);
	struct blkif_request_indirect request;

	for (unsigned int round = 0; round < 8; round++) {
		request = request_by_list(BLKIF_OP_READ, AREA_SCENARIO, data, LIST_MAX, list);
		ring_do(front, &request, sizeof(request));
		request = request_by_list(BLKIF_OP_READ, AREA_SCENARIO, data, 60, list);
		ring_expect(front, &request, sizeof(request), BLKIF_RSP_OKAY,
			    "one page sixty times");
	}
	pages_revoke(front, data);
	pages_revoke(front, list);
}

const struct scenario grant_scenarios[] = {
	{ "not_granted", "50 51 61", not_granted, SERVED },
	{ "read_only", "52 53 81", read_only, SERVED },
	{ "one_page_mapped_often", "48", one_page_mapped_often, SERVED },
	{ "granted_to_another", "54", granted_to_another, SERVED },
	{ "ends_before_it_is_copied", "59", ends_before_it_is_copied, SERVED },
	{ "ends_while_it_is_mapped", "58", ends_while_it_is_mapped, SERVED },
	{ "ends_right_after_the_answer", "58", ends_right_after_the_answer, SERVED },
	{ "list_overwritten", "78", list_overwritten, SERVED },
	{ 0 }
};
