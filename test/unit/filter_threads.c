// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All filters at once, used by four threads, while the limit is changed: under
 * ThreadSanitizer. Each I/O ends once, on its own thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake/bottom.h"
#include "filter/limit.h"
#include "filter/trace.h"
#include "store/rmw.h"

#define THREADS		4u
#define DEPTH		16u
#define IOS		3000u
#define DISK_BYTES	(1u << 20)

struct slot {
	struct io io;
	struct iovec iov;
	struct thread *thread;
	bool busy;
};

struct thread {
	pthread_t id;
	pthread_t self;
	struct loop loop;
	struct worker worker;
	struct store *store;
	struct io_source source;
	struct slot slots[DEPTH];
	unsigned int seed, left, in_flight, ended, failed, bad;
	atomic_bool over;
};

static void ended(struct io *io, int error)
{
	struct slot *slot = (struct slot *)((char *)io - offsetof(struct slot, io));
	struct thread *thread = slot->thread;

	if (!slot->busy || !pthread_equal(thread->self, pthread_self()))
		thread->bad++;
	slot->busy = false;
	thread->in_flight--;
	thread->ended++;
	thread->failed += error == -EIO;
	thread->bad += error && error != -EIO;
}

static void start(struct thread *thread, struct slot *slot)
{
	uint64_t sectors = 1 + (uint64_t)rand_r(&thread->seed) % 16;

	slot->iov.iov_len = sectors * 512;
	slot->io = (struct io){
		.op = (enum io_op)(rand_r(&thread->seed) % IO_NR_OPS),
		.offset = (uint64_t)rand_r(&thread->seed) % (DISK_BYTES / 512 - sectors) * 512,
		.bytes = sectors * 512, .iov = &slot->iov, .nr_iov = 1,
		.worker = &thread->worker, .source = &thread->source, .done = ended,
	};
	if (slot->io.op == IO_FLUSH)
		slot->io.bytes = slot->io.offset = 0;
	if (slot->io.op == IO_FLUSH || slot->io.op == IO_DISCARD)
		slot->io.nr_iov = 0;
	slot->busy = true;
	thread->in_flight++;
	thread->left--;
	store_submit(thread->store, &slot->io);
}

static void *thread_run(void *context)
{
	struct thread *thread = context;
	unsigned int i;

	thread->self = pthread_self();
	while (thread->left || thread->in_flight) {
		for (i = 0; i < DEPTH && thread->left; i++)
			if (!thread->slots[i].busy)
				start(thread, &thread->slots[i]);
		if (loop_once(&thread->loop, 1000))
			thread->bad++;
	}
	atomic_store(&thread->over, true);
	return NULL;
}

static void thread_init(struct thread *thread, uint32_t number, struct store *store)
{
	unsigned int i;

	*thread = (struct thread){
		.seed = number, .left = IOS, .store = store, .source = { NULL, number % 2, 0 },
	};
	assert_int_equal(loop_init(&thread->loop), 0);
	assert_int_equal(worker_init(&thread->worker, &thread->loop, 8), 0);
	for (i = 0; i < DEPTH; i++) {
		thread->slots[i].thread = thread;
		thread->slots[i].iov.iov_base = aligned_alloc(4096, 16 * 512);
	}
}

static void thread_uninit(struct thread *thread)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++)
		free(thread->slots[i].iov.iov_base);
	worker_uninit(&thread->worker);
	loop_uninit(&thread->loop);
}

static void push_all(struct store *store, struct worker *home)
{
	static const char *const specs[] = {
		"trace:fd=0", "latency", "limit:iops=20000,burst_ms=5",
		"fault:error=EIO,percent=5", "fault:delay_ms=2,percent=3",
	};
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct filter_context context = { home, &fd, 1 };
	char why[256];

	if (filters_push(store, specs, 5, &context, why, sizeof(why)))
		fail_msg("%s", why);
	close(fd);
}

static bool all_over(struct thread *threads)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		if (!atomic_load(&threads[i].over))
			return false;
	return true;
}

/* The home worker's thread is this one: it pumps, and meddles. */
static void meddle(struct thread *threads, struct loop *loop, struct store *store)
{
	static const char *const settings[] = { "iops=30000", "bps=200M", "iops=15000,bps=0" };
	unsigned int turn = 0;
	int pipe_fds[2];
	char why[256];

	while (!all_over(threads)) {
		assert_int_equal(loop_once(loop, 1), 0);
		if (++turn % 16)
			continue;
		/* A watcher who does not read, and goes when the next one comes. */
		assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
		assert_int_equal(trace_watch(store, pipe_fds[1], why, sizeof(why)), 0);
		close(pipe_fds[0]);
		assert_int_equal(limit_change(store, settings[turn / 16 % 3], why, sizeof(why)), 0);
		json_object_put(filters_stats(store));
	}
}

static void every_io_ends_once(void **state)
{
	struct thread *threads = calloc(THREADS, sizeof(*threads));
	struct bottom *bottom = calloc(1, sizeof(*bottom));
	struct store store = { .top = NULL };
	struct layer *top = NULL;
	struct worker home;
	struct loop loop;
	unsigned int i, failed = 0;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(worker_init(&home, &loop, 1), 0);
	bottom_init(bottom, DISK_BYTES, 4096);
	assert_int_equal(rmw_create(&bottom->layer, 4096, &top), 0);
	store.top = top;
	push_all(&store, &home);
	for (i = 0; i < THREADS; i++) {
		thread_init(&threads[i], i, &store);
		bottom_add_worker(bottom, &threads[i].worker);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
	meddle(threads, &loop, &store);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
		assert_int_equal(threads[i].bad, 0);
		assert_int_equal(threads[i].ended, IOS);
		failed += threads[i].failed;
		thread_uninit(&threads[i]);
	}
	/* 5 % of 12000. */
	assert_in_range(failed, 400, 800);
	assert_int_equal(atomic_load(&bottom->refused), 0);
	store_close(&store);
	worker_uninit(&home);
	loop_uninit(&loop);
	bottom_uninit(bottom);
	free(bottom);
	free(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_io_ends_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
