// SPDX-License-Identifier: GPL-2.0-or-later
/* Flushes that share one: which are covered by it, and what an error means to each. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "store/flusher.h"

#define THREADS		4u
#define DEPTH		6u
#define FLUSHES		4000u		/* of each thread */
#define UNENDED		1		/* no -errno */

struct flush {
	struct io io;
	uint64_t written;		/* what had been when it came */
	int error;
};

struct thread {
	pthread_t id;
	struct loop loop;
	struct worker worker;
	struct flush flushes[DEPTH];
	unsigned int left, bad, refused;
};

static struct flusher flusher;
static atomic_uint begun, active;
/* Writes that have ended; that the flush under way is for; that are durable. */
static _Atomic uint64_t writes, meant, durable;

static struct io *io_of(struct note *note)
{
	return (struct io *)((char *)note - offsetof(struct io, note));
}

/* ---- one thread: the test ends each flush itself ---- */

static struct io *under_way;

static void begin_and_wait(struct note *note)
{
	assert_null(under_way);
	under_way = io_of(note);
	begun++;
}

static void end_under_way(int error)
{
	struct io *io = under_way;

	assert_non_null(io);
	under_way = NULL;
	flusher_ended(&flusher, io, error);
}

static void note_end(struct io *io, int error)
{
	((struct flush *)io)->error = error;
}

static void submit(struct flush *flush, struct worker *worker)
{
	*flush = (struct flush){ .error = UNENDED };
	flush->io.op = IO_FLUSH;
	flush->io.worker = worker;
	flush->io.done = note_end;
	flusher_submit(&flusher, &flush->io);
}

struct single {
	struct loop loop;
	struct worker worker;
	struct flush flushes[8];
};

static int setup(void **state)
{
	struct single *single = calloc(1, sizeof(*single));

	*state = single;
	under_way = NULL;
	begun = 0;
	flusher_init(&flusher, begin_and_wait);
	return loop_init(&single->loop) || worker_init(&single->worker, &single->loop, 8);
}

static int teardown(void **state)
{
	struct single *single = *state;

	worker_uninit(&single->worker);
	loop_uninit(&single->loop);
	flusher_uninit(&flusher);
	free(single);
	return 0;
}

static void those_that_wait_share_the_next(void **state)
{
	struct single *single = *state;
	unsigned int i;

	for (i = 0; i < 6; i++)
		submit(&single->flushes[i], &single->worker);
	assert_int_equal(begun, 1);
	end_under_way(0);
	assert_int_equal(single->flushes[0].error, 0);
	loop_once(&single->loop, 0);
	assert_int_equal(begun, 2);
	/* What came after it began is not covered by it. */
	submit(&single->flushes[6], &single->worker);
	assert_int_equal(single->flushes[5].error, UNENDED);
	end_under_way(0);
	for (i = 1; i < 6; i++)
		assert_int_equal(single->flushes[i].error, 0);
	assert_int_equal(single->flushes[6].error, UNENDED);
	loop_once(&single->loop, 0);
	end_under_way(0);
	assert_int_equal(single->flushes[6].error, 0);
	assert_int_equal(begun, 3);
}

static void an_error_is_the_error_of_all_that_follow(void **state)
{
	struct single *single = *state;
	unsigned int i;

	for (i = 0; i < 4; i++)
		submit(&single->flushes[i], &single->worker);
	end_under_way(-EIO);
	for (i = 0; i < 4; i++)
		assert_int_equal(single->flushes[i].error, -EIO);
	submit(&single->flushes[4], &single->worker);
	assert_int_equal(single->flushes[4].error, -EIO);
	assert_int_equal(begun, 1);
}

/* ---- threads ---- */

static void finish(struct note *note)
{
	struct io *io = io_of(note);
	/* One of them finds that something was lost. */
	int error = atomic_load(&begun) == 800 ? -EIO : 0;

	if (!error)
		atomic_store(&durable, atomic_load(&meant));
	atomic_fetch_sub(&active, 1);
	flusher_ended(&flusher, io, error);
}

static void begin_on_thread(struct note *note)
{
	struct io *io = io_of(note);

	if (atomic_fetch_add(&active, 1))
		abort();
	atomic_fetch_add(&begun, 1);
	atomic_store(&meant, atomic_load(&writes));
	/* Later, from the loop, as libaio does it. */
	note->run = finish;
	worker_send(io->worker, note);
}

static void ended_on_thread(struct io *io, int error)
{
	struct thread *thread = (struct thread *)((char *)io->worker - offsetof(struct thread, worker));
	struct flush *flush = (struct flush *)io;

	thread->refused += error == -EIO;
	if (error ? error != -EIO : atomic_load(&durable) < flush->written)
		thread->bad++;
	flush->error = error;
}

static void submit_next(struct thread *thread, struct flush *flush)
{
	thread->left--;
	*flush = (struct flush){ .error = UNENDED };
	flush->written = atomic_fetch_add(&writes, 1) + 1;
	flush->io.op = IO_FLUSH;
	flush->io.worker = &thread->worker;
	flush->io.done = ended_on_thread;
	flusher_submit(&flusher, &flush->io);
}

static void *thread_run(void *context)
{
	struct thread *thread = context;
	bool idle = false;
	unsigned int i;

	while (!idle) {
		idle = true;
		for (i = 0; i < DEPTH; i++) {
			if (thread->flushes[i].error == UNENDED)
				idle = false;
			else if (thread->left)
				submit_next(thread, &thread->flushes[i]);
		}
		idle = idle && !thread->left;
		loop_once(&thread->loop, idle ? 0 : 1);
	}
	return NULL;
}

static void covered_on_all_threads(void **state)
{
	struct thread *threads = calloc(THREADS, sizeof(*threads));
	unsigned int i, refused = 0;

	(void)state;
	begun = 0;
	flusher_init(&flusher, begin_on_thread);
	for (i = 0; i < THREADS; i++) {
		threads[i].left = FLUSHES;
		assert_int_equal(loop_init(&threads[i].loop), 0);
		assert_int_equal(worker_init(&threads[i].worker, &threads[i].loop, 8), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(threads[i].bad, 0);
		/* From the error on, all. */
		assert_true(threads[i].refused);
		refused += threads[i].refused;
		worker_uninit(&threads[i].worker);
		loop_uninit(&threads[i].loop);
	}
	/* Several shared one; and the last ones are those that were refused. */
	assert_in_range(atomic_load(&begun), 100, THREADS * FLUSHES / 2);
	print_message("%u flushes for %u; %u refused\n", atomic_load(&begun), THREADS * FLUSHES,
		      refused);
	flusher_uninit(&flusher);
	free(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(those_that_wait_share_the_next, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_is_the_error_of_all_that_follow, setup,
						teardown),
		cmocka_unit_test(covered_on_all_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
