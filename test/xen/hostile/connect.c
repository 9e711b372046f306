// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What stands in xenstore: rings and ports that are none, text in place of numbers,
 * states in any order.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "scenarios.h"

static void ring_not_granted(struct front *front)
{
	static const uint32_t none[] = { 100000, 0x7fffffff, 0x80000000, UINT32_MAX };
	struct pages *read_only = pages_grant(front, DOM0, 1, false);
	struct pages *another = pages_grant(front, 4242, 1, true);

	front_start(front);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		front_offer(front);
		node_print(front, "ring-ref", "%u", none[i]);
		front_must_be_refused(front, "a ring that is not granted");
	}
	front_offer(front);
	node_print(front, "ring-ref", "%u", read_only->gref[0]);
	front_must_be_refused(front, "a read-only ring");
	front_offer(front);
	node_print(front, "ring-ref", "%u", another->gref[0]);
	front_must_be_refused(front, "a ring granted to another domain");
	pages_revoke(front, read_only);
	pages_revoke(front, another);
}

/* One page twice; a second page that is not granted. */
static void rings_of_several_pages(struct front *front)
{
	front_start(front);
	for (uint32_t second = 0; second < 2; second++) {
		front_offer(front);
		node_print(front, "ring-page-order", "1");
		node_print(front, "ring-ref0", "%u", front->page->gref[0]);
		node_print(front, "ring-ref1", "%u", second ? UINT32_MAX : front->page->gref[0]);
		front_must_be_refused(front, "a ring whose second page is none");
		node_remove(front, "ring-ref1");
	}
}

/* None, dom0's already (xenstore and console have the first ones), nobody's. */
static void wrong_ports(struct front *front)
{
	static const unsigned int wrong[] = { 0, 1, 2, 900, 131071, 131072, UINT32_MAX };

	front_start(front);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		front_offer(front);
		node_print(front, "event-channel", "%u", wrong[i]);
		front_must_be_refused(front, "a wrong event channel");
	}
}

static void nodes_changed_in_use(struct front *front)
{
	static const struct { const char *node, *text; } changes[] = {
		{ "ring-ref", "4294967295" }, { "ring-ref", "" }, { "event-channel", "1" },
		{ "event-channel", "junk" }, { "protocol", "x86_32-abi" }, { "protocol", "none" },
		{ "ring-page-order", "4" }, { "num-ring-pages", "16" },
		{ "multi-queue-num-queues", "8" }, { "feature-persistent", "1" },
		{ "backend-id", "4242" }, { "backend", "/local/domain/0/backend/vbd/0/0" },
		{ "state", "3" }, { "state", "4" }, { "state", "99" }, { "state", "4" },
		{ "state", "junk" }, { "state", "4" }, { "state", "1" }, { "state", "4" },
	};
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		/* What a guest may not write it may not; that is not ours to test. */
		node_write(front, changes[i].node, changes[i].text, strlen(changes[i].text));
		front_baseline(front, changes[i].node);
	}
	node_remove(front, "ring-ref");
	node_remove(front, "event-channel");
	front_baseline(front, "nodes removed in use");
	/* For whoever comes later. */
	node_print(front, "backend", "%s", front->backend);
	node_print(front, "backend-id", "%u", DOM0);
}

/* The largest text that xenstored takes from a guest. */
static size_t longest(char text[2048])
{
	memset(text, '9', 2048);
	return 2048;
}

static void garbage_in_nodes(struct front *front)
{
	static const char *const nodes[] = {
		"ring-ref", "event-channel", "protocol", "ring-page-order", "num-ring-pages",
		"multi-queue-num-queues",
	};
	static const struct { const char *text; size_t len; } texts[] = {
		{ "", 0 }, { "-1", 2 }, { " 1", 2 }, { "1 ", 2 }, { "0x10", 4 }, { "1\0", 2 },
		{ "99999999999999999999", 20 }, { "\033[2J\033]0;owned\007", 15 },
		{ "%s%n%n%n", 8 }, { "../../0/name", 12 }, { "\xff\xfe\n<0>x", 7 },
	};
	const size_t nr_texts = sizeof(texts) / sizeof(texts[0]);
	char text[2048];

	front_start(front);
	for (size_t n = 0; n < sizeof(nodes) / sizeof(nodes[0]); n++)
		for (size_t i = 0; i <= nr_texts; i++) {
			front_offer(front);
			if (i < nr_texts)
				node_write(front, nodes[n], texts[i].text, texts[i].len);
			else
				node_write(front, nodes[n], text, longest(text));
			front_must_be_refused(front, nodes[n]);
		}
}

/* As fast as xenstored takes them. */
static void states_flap(struct front *front)
{
	static const char *const states[] = {
		"1", "3", "4", "5", "6", "99", "4", "6", "3", "1", "5", "0", "2", "7", "8", "junk",
		"", "4294967297", "-1", "4", "6",
	};
	time_t end = time(NULL) + 10;
	size_t i;

	front_start(front);
	front_offer(front);
	while (time(NULL) < end)
		for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
			node_write(front, "state", states[i], strlen(states[i]));
	for (end = time(NULL) + 5; time(NULL) < end;)
		for (i = 1; i <= 6; i++)
			set_state(front, (unsigned int)i);
}

/* What is in flight ends first, and then every page is free. */
static void closed_with_io(struct front *front)
{
	struct pages *data = pages_grant(front, DOM0, LIST_MAX, true);
	struct pages *list = pages_grant(front, DOM0, 1, true);
	unsigned int before = grants_found_in_use();

	for (unsigned int i = 0; i < 24; i++) {
		uint8_t op = i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
		struct blkif_request_indirect large =
			request_by_list(op, AREA_SLOW + 2048 * (i % 4), data, LIST_MAX, list);
		struct blkif_request small = request_of(op, AREA_SLOW, data, DIRECT_MAX);

		if (i % 3)
			ring_put(front, &large, sizeof(large));
		else
			ring_put(front, &small, sizeof(small));
	}
	ring_push(front);
	usleep(500000);
	front_start(front);
	pages_revoke(front, data);
	pages_revoke(front, list);
	if (grants_found_in_use() != before)
		die("%u grants were mapped after Closed", grants_found_in_use() - before);
}

static void closed_and_connected_at_once(struct front *front)
{
	set_state(front, XenbusStateClosed);
	set_state(front, XenbusStateConnected);
	sleep(2);
}

const struct scenario connect_scenarios[] = {
	{ "ring_not_granted", "50 51 52 54", ring_not_granted, UNCONNECTED },
	{ "rings_of_several_pages", "105", rings_of_several_pages, UNCONNECTED },
	{ "wrong_ports", "96", wrong_ports, UNCONNECTED },
	{ "garbage_in_nodes", "101 102 107 111 126 127", garbage_in_nodes, UNCONNECTED },
	{ "states_flap", "115 116", states_flap, UNCONNECTED },
	{ "nodes_changed_in_use", "69 112 113 118", nodes_changed_in_use, SPOILT },
	{ "closed_and_connected_at_once", "120", closed_and_connected_at_once, SPOILT },
	{ "closed_with_io", "60 119", closed_with_io, SPOILT },
	{ 0 }
};
