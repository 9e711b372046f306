// SPDX-License-Identifier: GPL-2.0-or-later
/* When a queue looks again at once, and when it waits to be woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vbd/poller.h"

#define US	1000u
#define MAX_NS	(50u * US)

static struct poller poller;
static uint64_t now;
static long preemptions;

static long count(void)
{
	return preemptions;
}

static int setup(void **state)
{
	(void)state;
	poller_init(&poller, MAX_NS);
	poller.preempted = count;
	now = 1000000000;
	return 0;
}

/* Work every @gap ns, @nr times; how many of the passes between were made by polling. */
static unsigned int work(uint64_t gap, unsigned int nr)
{
	unsigned int polls = 0;
	uint64_t next;
	bool again;

	while (nr--) {
		next = now + gap;
		for (again = poller_again(&poller, true, now); again && now < next; now += US) {
			polls++;
			again = poller_again(&poller, false, now);
		}
		now = next;
	}
	return polls;
}

static void never_unless_asked(void **state)
{
	(void)state;
	poller_init(&poller, 0);
	assert_false(poller_again(&poller, true, now));
	assert_int_equal(work(US, 10), 0);
}

static void not_before_there_was_work(void **state)
{
	(void)state;
	assert_false(poller_again(&poller, false, now));
}

static void for_a_while(void **state)
{
	(void)state;
	assert_true(poller_again(&poller, true, now));
	assert_true(poller_again(&poller, false, now + MAX_NS - 1));
	assert_false(poller_again(&poller, false, now + MAX_NS));
}

static void where_work_comes_soon(void **state)
{
	(void)state;
	/* All of the time between. */
	assert_in_range(work(20 * US, 100), 1900, 2100);
	/* It gives up after a few, and does not begin again by itself. */
	assert_in_range(work(500 * US, 100), 1, 500);
	assert_int_equal(work(500 * US, 100), 0);
	/* And learns that work comes soon again. */
	work(20 * US, 100);
	assert_in_range(work(20 * US, 100), 1900, 2100);
	/* One long pause is no rule. */
	now += 3600ull * 1000000000;
	work(20 * US, 30);
	assert_in_range(work(20 * US, 100), 1900, 2100);
}

static void not_where_the_processor_is_wanted(void **state)
{
	(void)state;
	assert_in_range(work(20 * US, 100), 1900, 2100);
	preemptions++;
	/* Noticed within a millisecond; then nothing for a tenth of a second. */
	assert_in_range(work(20 * US, 5000), 0, 1100);
	assert_in_range(work(20 * US, 100), 1900, 2100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(never_unless_asked, setup),
		cmocka_unit_test_setup(not_before_there_was_work, setup),
		cmocka_unit_test_setup(for_a_while, setup),
		cmocka_unit_test_setup(where_work_comes_soon, setup),
		cmocka_unit_test_setup(not_where_the_processor_is_wanted, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
