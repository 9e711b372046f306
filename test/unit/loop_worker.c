// SPDX-License-Identifier: GPL-2.0-or-later
/* A worker's timers and inbox. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "loop/worker.h"

#define SENDERS	4u
#define NOTES	2000u

static struct loop loop;
static struct worker worker;
static int order[16];
static int nr_ran;

struct numbered {
	struct timer timer;
	int number;
	int again;
};

static int setup(void **state)
{
	(void)state;
	nr_ran = 0;
	return loop_init(&loop) || worker_init(&worker, &loop, 1);
}

static int teardown(void **state)
{
	(void)state;
	worker_uninit(&worker);
	loop_uninit(&loop);
	return 0;
}

static void ran(struct timer *timer)
{
	struct numbered *numbered = (struct numbered *)timer;

	assert_true(clock_ns() >= timer->due_ns);
	order[nr_ran++] = numbered->number;
	if (numbered->again-- > 0)
		timer_start(&worker.timers, timer, clock_ns() + 1000000);
}

static void wait_for_ran(int nr)
{
	uint64_t deadline = clock_ms() + 10000;

	while (nr_ran < nr && clock_ms() < deadline)
		assert_int_equal(loop_once(&loop, 100), 0);
	assert_int_equal(nr_ran, nr);
}

static void timers_run_in_order(void **state)
{
	static const uint64_t after_ms[] = { 30, 10, 20, 10, 40, 0 };
	static const int expected[] = { 5, 1, 3, 2, 0, 4 };
	struct numbered timers[6];
	uint64_t now = clock_ns();
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		timers[i] = (struct numbered){ { .run = ran }, i, 0 };
		timer_start(&worker.timers, &timers[i].timer, now + after_ms[i] * 1000000);
	}
	wait_for_ran(6);
	for (i = 0; i < 6; i++)
		assert_int_equal(order[i], expected[i]);
	assert_null(worker.timers.first);
	assert_null(worker.timers.last);
}

static void stopped_ones_do_not_run(void **state)
{
	struct numbered timers[4];
	uint64_t now = clock_ns();
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		timers[i] = (struct numbered){ { .run = ran }, i, 0 };
		timer_start(&worker.timers, &timers[i].timer, now + (uint64_t)i * 10000000);
	}
	/* The first, one between, the last. */
	timer_stop(&worker.timers, &timers[0].timer);
	timer_stop(&worker.timers, &timers[0].timer);
	timer_stop(&worker.timers, &timers[1].timer);
	timer_stop(&worker.timers, &timers[3].timer);
	wait_for_ran(1);
	assert_int_equal(order[0], 2);
	/* None is left to wake anybody. */
	assert_int_equal(loop_once(&loop, 30), 0);
	assert_int_equal(nr_ran, 1);
}

static void one_may_start_itself(void **state)
{
	struct numbered timer = { { .run = ran }, 7, 4 };

	(void)state;
	/* A time that is over counts as well, 0 too. */
	timer_start(&worker.timers, &timer.timer, 0);
	wait_for_ran(5);
}

struct sender {
	pthread_t thread;
	struct numbered_note {
		struct note note;
		unsigned int number;
		struct sender *sender;
	} notes[NOTES];
	unsigned int next;		/* expected */
};

static unsigned int nr_notes;

static void note_ran(struct note *note)
{
	struct numbered_note *numbered = (struct numbered_note *)note;

	assert_int_equal(numbered->number, numbered->sender->next++);
	nr_notes++;
}

static void *send_notes(void *context)
{
	struct sender *sender = context;
	unsigned int i;

	for (i = 0; i < NOTES; i++) {
		sender->notes[i] = (struct numbered_note){ { .run = note_ran }, i, sender };
		worker_send(&worker, &sender->notes[i].note);
	}
	return NULL;
}

static void notes_arrive_in_order(void **state)
{
	struct sender *senders = calloc(SENDERS, sizeof(*senders));
	uint64_t deadline = clock_ms() + 20000;
	unsigned int i;

	(void)state;
	nr_notes = 0;
	for (i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_notes,
						&senders[i]), 0);
	while (nr_notes < SENDERS * NOTES && clock_ms() < deadline)
		assert_int_equal(loop_once(&loop, 100), 0);
	for (i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
	assert_int_equal(nr_notes, SENDERS * NOTES);
	free(senders);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_run_in_order),
		TEST(stopped_ones_do_not_run),
		TEST(one_may_start_itself),
		TEST(notes_arrive_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
