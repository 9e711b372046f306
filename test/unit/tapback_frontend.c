// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest may write about its ring, and what makes tapback refuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tapback/frontend.h"

/* Nodes as name, value, ..., NULL; value NULL: it holds a NUL byte. */
struct guest {
	const char *const *nodes;
	int error;	/* of xenstore itself */
};

static int read_node(void *context, const char *name, char **text)
{
	const struct guest *guest = context;
	size_t i;

	if (guest->error)
		return guest->error;
	for (i = 0; guest->nodes[i]; i += 2) {
		if (strcmp(guest->nodes[i], name))
			continue;
		if (!guest->nodes[i + 1])
			return -EINVAL;
		*text = strdup(guest->nodes[i + 1]);
		return 0;
	}
	return -ENOENT;
}

static int parse(const char *const *nodes, struct frontend_ring *ring)
{
	struct guest guest = { .nodes = nodes };
	char why[256] = "";
	int err = frontend_read_ring(read_node, &guest, 4, ring, why, sizeof(why));

	if (err)
		assert_true(strlen(why) > 10);
	return err;
}

#define NODES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define MINIMAL	"ring-ref", "8", "event-channel", "15"

static void one_page_without_any_extra(void **state)
{
	struct frontend_ring ring;

	(void)state;
	assert_int_equal(parse(NODES(MINIMAL), &ring), 0);
	assert_int_equal(ring.nr_grefs, 1);
	assert_int_equal(ring.queues[0].grefs[0], 8);
	assert_int_equal(ring.queues[0].port, 15);
	assert_string_equal(ring.protocol, "x86_32");
}

static void several_pages(void **state)
{
	struct frontend_ring ring;
	char names[16][24], grefs[16][16];
	const char *nodes[64] = { "event-channel", "1", "ring-page-order", "4",
				  "protocol", "x86_64-abi" };
	int i;

	(void)state;
	for (i = 0; i < 16; i++) {
		snprintf(names[i], sizeof(names[i]), "ring-ref%d", i);
		snprintf(grefs[i], 16, "%u", i ? 100u + (unsigned int)i : UINT32_MAX);
		nodes[6 + 2 * i] = names[i];
		nodes[7 + 2 * i] = grefs[i];
	}
	assert_int_equal(parse(nodes, &ring), 0);
	assert_int_equal(ring.nr_grefs, 16);
	assert_int_equal(ring.queues[0].grefs[0], UINT32_MAX);
	assert_int_equal(ring.queues[0].grefs[15], 115);
	assert_string_equal(ring.protocol, "x86_64");
	/* One page missing. */
	nodes[6 + 2 * 15] = NULL;
	assert_int_equal(parse(nodes, &ring), -EINVAL);
}

static void the_order_decides_over_older_names(void **state)
{
	struct frontend_ring ring;

	(void)state;
	/* Order 0 is numbered; the plain name is another page. */
	assert_int_equal(parse(NODES("ring-page-order", "0", "ring-ref0", "5", MINIMAL), &ring), 0);
	assert_int_equal(ring.queues[0].grefs[0], 5);
	assert_int_equal(parse(NODES("ring-page-order", "0", MINIMAL), &ring), -EINVAL);
	assert_int_equal(parse(NODES("ring-page-order", "1", "num-ring-pages", "1",
				     "ring-ref0", "5", "ring-ref1", "6", MINIMAL), &ring), 0);
	assert_int_equal(ring.nr_grefs, 2);
	/* The older count alone. */
	assert_int_equal(parse(NODES("num-ring-pages", "2", "ring-ref0", "5", "ring-ref1", "6",
				     MINIMAL), &ring), 0);
	assert_int_equal(ring.nr_grefs, 2);
	assert_int_equal(parse(NODES("num-ring-pages", "1", MINIMAL), &ring), 0);
	assert_int_equal(ring.queues[0].grefs[0], 8);
}

static void bad_ring_sizes(void **state)
{
	static const char *const orders[] = {
		"5", "31", "32", "64", "255", "-1", "", "x", "4294967296", "0x1", " 0", NULL
	};
	static const char *const counts[] = { "0", "3", "5", "17", "32", "-2", "two" };
	struct frontend_ring ring;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (parse((const char *const[]){ "ring-page-order", orders[i], MINIMAL, NULL },
			  &ring) != -EINVAL)
			fail_msg("order taken: %s", orders[i]);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (parse(NODES("num-ring-pages", counts[i], MINIMAL), &ring) != -EINVAL)
			fail_msg("count taken: %s", counts[i]);
}

static void bad_numbers(void **state)
{
	static const char *const bad[] = {
		"", "abc", " 1", "1 ", "0x10", "-1", "+1", "4294967296",
		"18446744073709551616", "1\n",
	};
	struct frontend_ring ring;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(NODES("ring-ref", bad[i], "event-channel", "1"), &ring) != -EINVAL)
			fail_msg("ring-ref taken: %s", bad[i]);
		if (parse(NODES("ring-ref", "1", "event-channel", bad[i]), &ring) != -EINVAL)
			fail_msg("event-channel taken: %s", bad[i]);
	}
	assert_int_equal(parse(NODES("ring-ref", "1"), &ring), -EINVAL);
	assert_int_equal(parse(NODES("event-channel", "1"), &ring), -EINVAL);
	assert_int_equal(parse(NODES("ring-ref", "1", "event-channel", "0"), &ring), -EINVAL);
	assert_int_equal(parse(NODES("ring-ref", "1", "event-channel", "131072"), &ring), -EINVAL);
	assert_int_equal(parse(NODES("ring-ref", "1", "event-channel", "131071"), &ring), 0);
}

static void one_page_named_twice(void **state)
{
	struct frontend_ring ring;

	(void)state;
	assert_int_equal(parse(NODES("ring-page-order", "1", "ring-ref0", "5", "ring-ref1", "5",
				     MINIMAL), &ring), -EINVAL);
}

static void protocols(void **state)
{
	struct frontend_ring ring;

	(void)state;
	assert_int_equal(parse(NODES("protocol", "x86_32-abi", MINIMAL), &ring), 0);
	assert_string_equal(ring.protocol, "x86_32");
	assert_int_equal(parse(NODES("protocol", "", MINIMAL), &ring), -EINVAL);
	assert_int_equal(parse(NODES("protocol", "arm-abi", MINIMAL), &ring), -EINVAL);
	assert_int_equal(parse(NODES("protocol", "x86_64-abi ", MINIMAL), &ring), -EINVAL);
	assert_int_equal(parse((const char *const[]){ "protocol", NULL, MINIMAL, NULL }, &ring),
			 -EINVAL);
}

static void one_queue_in_either_layout(void **state)
{
	struct frontend_ring ring;

	(void)state;
	assert_int_equal(parse(NODES("multi-queue-num-queues", "1", MINIMAL), &ring), 0);
	assert_int_equal(ring.nr_queues, 1);
	assert_int_equal(ring.queues[0].grefs[0], 8);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "1", "queue-0/ring-ref", "9",
				     "queue-0/event-channel", "16"), &ring), 0);
	assert_int_equal(ring.nr_queues, 1);
	assert_int_equal(ring.queues[0].grefs[0], 9);
	assert_int_equal(ring.queues[0].port, 16);
	/* Without the count it is nobody's. */
	assert_int_equal(parse(NODES("queue-0/ring-ref", "9", "queue-0/event-channel", "16"),
			       &ring), -EINVAL);
}

#define QUEUE(n, ref, port) \
	"queue-" n "/ring-ref", ref, "queue-" n "/event-channel", port
#define QUEUE2(n, ref0, ref1, port) \
	"queue-" n "/ring-ref0", ref0, "queue-" n "/ring-ref1", ref1, \
	"queue-" n "/event-channel", port

static void several_queues(void **state)
{
	struct frontend_ring ring;

	(void)state;
	/* What stands at the old place as well is ignored. */
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", QUEUE("0", "5", "6"),
				     QUEUE("1", "7", "9"), MINIMAL), &ring), 0);
	assert_int_equal(ring.nr_queues, 2);
	assert_int_equal(ring.queues[0].grefs[0], 5);
	assert_int_equal(ring.queues[1].grefs[0], 7);
	assert_int_equal(ring.queues[1].port, 9);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", "ring-page-order", "1",
				     QUEUE2("0", "1", "2", "6"), QUEUE2("1", "3", "4", "7")),
			       &ring), 0);
	assert_int_equal(ring.nr_grefs, 2);
	assert_int_equal(ring.queues[1].grefs[1], 4);
	/* A queue that is missing, or only half there. */
	assert_int_equal(parse(NODES("multi-queue-num-queues", "3", QUEUE("0", "5", "6"),
				     QUEUE("1", "7", "9"), MINIMAL), &ring), -EINVAL);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", QUEUE("0", "5", "6"),
				     "queue-1/ring-ref", "7"), &ring), -EINVAL);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", "ring-page-order", "1",
				     QUEUE2("0", "1", "2", "6"), QUEUE("1", "3", "7")),
			       &ring), -EINVAL);
}

static void bad_numbers_of_queues(void **state)
{
	static const char *const counts[] = {
		"0", "5", "-1", "many", "", "4294967295", "4294967296", "0x2", " 1"
	};
	struct frontend_ring ring;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		assert_int_equal(parse(NODES("multi-queue-num-queues", counts[i],
					     QUEUE("0", "5", "6"), QUEUE("1", "7", "9"), MINIMAL),
				       &ring), -EINVAL);
}

static void queues_share_neither_pages_nor_ports(void **state)
{
	struct frontend_ring ring;

	(void)state;
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", QUEUE("0", "5", "6"),
				     QUEUE("1", "5", "9")), &ring), -EINVAL);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", QUEUE("0", "5", "6"),
				     QUEUE("1", "7", "6")), &ring), -EINVAL);
	assert_int_equal(parse(NODES("multi-queue-num-queues", "2", "ring-page-order", "1",
				     QUEUE2("0", "1", "2", "6"), QUEUE2("1", "3", "1", "7")),
			       &ring), -EINVAL);
}

static void a_promise_to_keep_grants(void **state)
{
	static const char *const no[] = { "0", "2", "yes", "", "01", "1 ", NULL };
	struct frontend_ring ring;
	size_t i;

	(void)state;
	assert_int_equal(parse(NODES("feature-persistent", "1", MINIMAL), &ring), 0);
	assert_true(ring.persistent);
	assert_int_equal(parse(NODES(MINIMAL), &ring), 0);
	assert_false(ring.persistent);
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		assert_int_equal(parse((const char *const[]){ "feature-persistent", no[i], MINIMAL,
							      NULL }, &ring), 0);
		assert_false(ring.persistent);
	}
}

static void errors_of_xenstore_are_not_the_guests(void **state)
{
	struct guest guest = { .nodes = NODES(MINIMAL), .error = -EIO };
	struct frontend_ring ring;
	char why[64];

	(void)state;
	assert_int_equal(frontend_read_ring(read_node, &guest, 4, &ring, why, sizeof(why)), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_page_without_any_extra),
		cmocka_unit_test(several_pages),
		cmocka_unit_test(the_order_decides_over_older_names),
		cmocka_unit_test(bad_ring_sizes),
		cmocka_unit_test(bad_numbers),
		cmocka_unit_test(one_page_named_twice),
		cmocka_unit_test(protocols),
		cmocka_unit_test(one_queue_in_either_layout),
		cmocka_unit_test(several_queues),
		cmocka_unit_test(bad_numbers_of_queues),
		cmocka_unit_test(queues_share_neither_pages_nor_ports),
		cmocka_unit_test(a_promise_to_keep_grants),
		cmocka_unit_test(errors_of_xenstore_are_not_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
