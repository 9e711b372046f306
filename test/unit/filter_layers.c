// SPDX-License-Identifier: GPL-2.0-or-later
/* What each filter does to I/O, above a disk in memory. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "fake/bottom.h"
#include "fake/submit.h"
#include "filter/limit.h"
#include "filter/trace.h"

#define DISK_BYTES	(1u << 20)
#define MANY		100u

static struct loop loop;
static struct worker worker;
static struct bottom bottom;
static struct store store;
static uint8_t *memory;
static char why[512];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(worker_init(&worker, &loop, 8), 0);
	bottom_init(&bottom, DISK_BYTES, 512);
	bottom_add_worker(&bottom, &worker);
	store.top = &bottom.layer;
	memory = aligned_alloc(4096, DISK_BYTES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(&store);
	bottom_uninit(&bottom);
	worker_uninit(&worker);
	loop_uninit(&loop);
	free(memory);
	return 0;
}

static void push_with(const struct filter_context *context, const char *one, const char *two)
{
	const char *specs[] = { one, two };

	if (filters_push(&store, specs, two ? 2 : 1, context, why, sizeof(why)))
		fail_msg("%s", why);
}

static void push(const char *one, const char *two)
{
	const struct filter_context context = { .home = &worker };

	push_with(&context, one, two);
}

static int run(enum io_op op, uint64_t offset, uint64_t bytes)
{
	return submit_io(&worker, store.top, op, offset,
			 op == IO_READ || op == IO_WRITE ? memory : NULL, bytes);
}

/* A number of the filter at place @i: what it tells under @name. */
static int64_t told(size_t i, const char *name)
{
	struct json_object *array = filters_stats(&store);
	struct json_object *number;
	int64_t value;

	assert_true(json_object_object_get_ex(json_object_array_get_idx(array, i), name, &number));
	value = json_object_get_int64(number);
	json_object_put(array);
	return value;
}

/* ---- the stack ---- */

static void first_given_is_first_asked(void **state)
{
	(void)state;
	push("fault:error=EIO,op=read", "fault:error=ENOSPC");
	assert_int_equal(run(IO_READ, 0, 4096), -EIO);
	assert_int_equal(run(IO_WRITE, 0, 4096), -ENOSPC);
	assert_int_equal(told(0, "hit"), 1);
	assert_int_equal(told(1, "hit"), 1);
	assert_int_equal(atomic_load(&bottom.ops[IO_READ]) + atomic_load(&bottom.ops[IO_WRITE]), 0);
}

static void one_bad_filter_leaves_none(void **state)
{
	const struct filter_context context = { .home = &worker };
	const char *specs[] = { "limit:iops=x", "latency" };

	(void)state;
	assert_int_equal(filters_push(&store, specs, 2, &context, why, sizeof(why)), -EINVAL);
	assert_ptr_equal(store.top, &bottom.layer);
}

/* ---- fault ---- */

/* One character for each of @MANY reads. */
static void draw(const char *spec, char *fates)
{
	unsigned int i;

	push(spec, NULL);
	for (i = 0; i < MANY; i++)
		fates[i] = run(IO_READ, 0, 512) ? 'x' : '.';
	fates[MANY] = '\0';
	store_close(&store);
	store.top = &bottom.layer;
}

static void seed_decides(void **state)
{
	char a[MANY + 1], b[MANY + 1], c[MANY + 1];
	unsigned int i, hits = 0;

	(void)state;
	draw("fault:error=EIO,percent=30,seed=7", a);
	draw("fault:error=EIO,percent=30,seed=7", b);
	draw("fault:error=EIO,percent=30,seed=8", c);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	for (i = 0; i < MANY; i++)
		hits += a[i] == 'x';
	assert_in_range(hits, 15, 45);
	draw("fault:error=EIO,percent=0", a);
	assert_null(strchr(a, 'x'));
	draw("fault:error=EIO", a);
	assert_null(strchr(a, '.'));
	draw("fault:error=EIO,count=3", a);
	assert_memory_equal(a, "xxx....", 7);
}

static void operation_and_place_decide(void **state)
{
	(void)state;
	push("fault:error=EIO,op=write+discard,start=16,sectors=8", NULL);
	assert_int_equal(run(IO_READ, 16 * 512, 512), 0);
	assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	assert_int_equal(run(IO_WRITE, 15 * 512, 512), 0);
	assert_int_equal(run(IO_WRITE, 15 * 512, 1024), -EIO);
	assert_int_equal(run(IO_WRITE, 23 * 512, 512), -EIO);
	assert_int_equal(run(IO_DISCARD, 0, 4096 * 8), -EIO);
	assert_int_equal(run(IO_WRITE, 24 * 512, 512), 0);
	assert_int_equal(told(0, "eligible"), 3);
}

static void short_moves_half(void **state)
{
	unsigned int i;

	(void)state;
	memset(bottom.data, 1, DISK_BYTES);
	push("fault:short=1", NULL);
	memset(memory, 2, 8192);
	assert_int_equal(run(IO_WRITE, 0, 8192), -EIO);
	for (i = 0; i < 8192; i++)
		assert_int_equal(bottom.data[i], i < 4096 ? 2 : 1);
	memset(memory, 3, 8192);
	assert_int_equal(run(IO_READ, 8192, 1536), -EIO);
	assert_int_equal(memory[511], 1);
	assert_int_equal(memory[512], 3);
	assert_int_equal(run(IO_WRITE, 8192, 512), -EIO);
	assert_int_equal(bottom.data[8192], 1);
	assert_int_equal(run(IO_FLUSH, 0, 0), -EIO);
	assert_int_equal(atomic_load(&bottom.refused), 0);
}

static void delay_is_at_least_that(void **state)
{
	uint64_t start = clock_ms();
	struct submit one, two;

	(void)state;
	push("fault:delay_ms=60,op=read", NULL);
	submit_start(&one, &worker, store.top, IO_READ, 0, memory, 512);
	submit_start(&two, &worker, store.top, IO_READ, 0, memory, 512);
	assert_int_equal(run(IO_WRITE, 4096, 512), 0);
	assert_int_equal(one.error, SUBMIT_UNENDED);
	assert_int_equal(submit_wait(&one), 0);
	assert_int_equal(submit_wait(&two), 0);
	assert_in_range(clock_ms() - start, 60, 9000);
}

/* ---- limit ---- */

static void start_many(struct submit *asked, unsigned int nr, uint64_t bytes,
		       const struct io_source *source)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		asked[i] = (struct submit){ .error = SUBMIT_UNENDED, .iov = { memory, bytes } };
		submit_start(&asked[i], &worker, &bottom.layer, IO_FLUSH, 0, NULL, 0);
		assert_int_equal(submit_wait(&asked[i]), 0);
		asked[i].error = SUBMIT_UNENDED;
		asked[i].iov = (struct iovec){ memory, bytes };
		asked[i].io.op = IO_READ;
		asked[i].io.bytes = bytes;
		asked[i].io.iov = &asked[i].iov;
		asked[i].io.nr_iov = 1;
		asked[i].io.source = source;
	}
	for (i = 0; i < nr; i++)
		layer_submit(store.top, &asked[i].io);
}

static void wait_many(struct submit *asked, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		assert_int_equal(submit_wait(&asked[i]), 0);
}

static uint64_t took_ms(const char *spec, unsigned int nr, uint64_t bytes)
{
	struct submit asked[MANY];
	uint64_t start;

	push(spec, NULL);
	start = clock_ms();
	start_many(asked, nr, bytes, NULL);
	wait_many(asked, nr);
	assert_int_equal(told(0, "passed"), nr);
	assert_int_equal(told(0, "waiting"), 0);
	return clock_ms() - start;
}

static void rate_of_io_is_kept(void **state)
{
	(void)state;
	/* The first is free: 49 times 5 ms. */
	assert_in_range(took_ms("limit:iops=200,burst_ms=0", 50, 512), 244, 9000);
	assert_in_range(told(0, "delayed"), 40, 49);
}

static void rate_of_bytes_is_kept(void **state)
{
	(void)state;
	/* 64 KiB in 62 ms each. */
	assert_in_range(took_ms("limit:bps=1M,burst_ms=0", 5, 65536), 249, 9000);
}

static void burst_is_free(void **state)
{
	(void)state;
	took_ms("limit:iops=10,burst_ms=5000", 40, 512);
	assert_int_equal(told(0, "delayed"), 0);
}

static void no_limit_delays_nobody(void **state)
{
	(void)state;
	took_ms("limit", MANY, 4096);
	assert_int_equal(told(0, "delayed"), 0);
}

static void change_takes_effect_at_once(void **state)
{
	struct submit asked[MANY];
	uint64_t start = clock_ms();

	(void)state;
	/* A hundred seconds' worth. */
	push("limit:iops=1,burst_ms=0", NULL);
	start_many(asked, MANY, 512, NULL);
	assert_int_equal(told(0, "waiting"), MANY - 1);
	assert_int_equal(limit_change(&store, "iops=1,bogus=2", why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "no option bogus"));
	assert_int_equal(limit_change(&store, "", why, sizeof(why)), -EINVAL);
	assert_int_equal(told(0, "iops"), 1);
	/* What waits must wait still: the pump may not have run yet. */
	assert_int_equal(limit_change(&store, "burst_ms=1", why, sizeof(why)), 0);
	assert_int_equal(loop_once(&loop, 10), 0);
	assert_in_range(told(0, "waiting"), MANY - 4, MANY - 1);
	assert_int_equal(limit_change(&store, "iops=0", why, sizeof(why)), 0);
	wait_many(asked, MANY);
	assert_in_range(clock_ms() - start, 0, 20000);
	assert_int_equal(told(0, "burst_ms"), 1);

	store_close(&store);
	store.top = &bottom.layer;
	assert_int_equal(limit_change(&store, "iops=0", why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "no filter \"limit\""));
}

static unsigned int ended_of(const struct submit *asked, unsigned int nr)
{
	unsigned int i, ended = 0;

	for (i = 0; i < nr; i++)
		ended += asked[i].error != SUBMIT_UNENDED;
	return ended;
}

static void modest_guest_does_not_wait_for_greedy(void **state)
{
	const struct io_source greedy = { .domid = 5 }, modest = { .domid = 6 };
	struct submit many[MANY], one[1];
	unsigned int round, before;

	(void)state;
	push("limit:iops=200,burst_ms=0", NULL);
	start_many(many, MANY, 512, &greedy);
	for (round = 0; round < 5; round++) {
		before = ended_of(many, MANY);
		start_many(one, 1, 512, &modest);
		wait_many(one, 1);
		/* It takes turns with the other, whatever that has waiting. */
		assert_in_range(ended_of(many, MANY) - before, 0, 8);
	}
	wait_many(many, MANY);
}

/* ---- latency ---- */

static void latency_counts_each(void **state)
{
	struct json_object *stats, *read, *array;
	int64_t sum = 0;
	size_t i;

	(void)state;
	push("latency", "fault:delay_ms=30,op=read");
	assert_int_equal(run(IO_READ, 0, 4096), 0);
	assert_int_equal(run(IO_READ, 0, 512), 0);
	assert_int_equal(run(IO_READ, 0, 65536), 0);
	stats = filters_stats(&store);
	assert_true(json_object_object_get_ex(json_object_array_get_idx(stats, 0), "read", &read));
	assert_true(json_object_object_get_ex(read, "4k", &array));
	for (i = 0; i < json_object_array_length(array); i++) {
		int64_t count = json_object_get_int64(json_object_array_get_idx(array, i));

		/* Bucket 14 ends at 16.4 ms. */
		if (i <= 14)
			assert_int_equal(count, 0);
		sum += count;
	}
	assert_int_equal(sum, 2);
	assert_true(json_object_object_get_ex(read, "64k", &array));
	assert_false(json_object_object_get_ex(read, "16k", &array));
	json_object_put(stats);
}

/* ---- trace ---- */

/* Grants as if @memory's page N were grant 1000 + N. */
static int page_grants(const struct io_source *source, const void *const *addresses,
		       unsigned int nr, struct io_grant *grants)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		grants[i] = (struct io_grant){
			.domid = source->domid,
			.gref = 1000 + (uint32_t)((const uint8_t *)addresses[i] - memory) / 4096,
			.mfn = i ? ~0ull : 77,
		};
	return 0;
}

static const struct io_source_ops page_ops = { page_grants };

static int64_t number_in(struct json_object *object, const char *name)
{
	struct json_object *number;

	assert_true(json_object_object_get_ex(object, name, &number));
	return json_object_get_int64(number);
}

static void line_says_all(void **state)
{
	const struct io_source source = { &page_ops, 9, 51712 };
	struct filter_context context = { .home = &worker };
	struct json_object *line, *vectors, *vector, *mfn;
	struct submit asked;
	char text[4096] = "";
	int fds[2];
	ssize_t got;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	context.fds = &fds[1];
	context.nr_fds = 1;
	push_with(&context, "trace:fd=0", NULL);
	start_many(&asked, 1, 8192, &source);
	asked.error = SUBMIT_UNENDED;
	assert_int_equal(submit_wait(&asked), 0);
	/* Not at a page's begin: three pages. */
	asked.iov.iov_base = memory + 512;
	asked.error = SUBMIT_UNENDED;
	layer_submit(store.top, &asked.io);
	assert_int_equal(submit_wait(&asked), 0);
	store_close(&store);
	store.top = &bottom.layer;
	close(fds[1]);
	got = read(fds[0], text, sizeof(text) - 1);
	assert_true(got > 0);
	close(fds[0]);

	assert_non_null(strchr(text, '\n'));
	line = json_tokener_parse(strchr(text, '\n') + 1);
	assert_non_null(line);
	assert_int_equal(number_in(line, "domid"), 9);
	assert_int_equal(number_in(line, "devid"), 51712);
	assert_int_equal(number_in(line, "offset"), 0);
	assert_int_equal(number_in(line, "bytes"), 8192);
	assert_int_equal(number_in(line, "error"), 0);
	assert_true(json_object_object_get_ex(line, "vectors", &vectors));
	assert_int_equal(json_object_array_length(vectors), 3);
	vector = json_object_array_get_idx(vectors, 0);
	assert_int_equal(number_in(vector, "bytes"), 3584);
	assert_int_equal(number_in(vector, "gref"), 1000);
	assert_int_equal(number_in(vector, "mfn"), 77);
	vector = json_object_array_get_idx(vectors, 2);
	assert_int_equal(number_in(vector, "bytes"), 512);
	assert_int_equal(number_in(vector, "gref"), 1002);
	assert_true(json_object_object_get_ex(vector, "mfn", &mfn));
	assert_null(mfn);
	json_object_put(line);
}

static void slow_reader_costs_lines_only(void **state)
{
	struct filter_context context = { .home = &worker };
	uint64_t start;
	unsigned int i;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	context.fds = &fds[1];
	context.nr_fds = 1;
	push_with(&context, "trace:fd=0", NULL);
	/*
	 * At least 1.2 MB of lines, however few digits times have; a pipe takes
	 * 64 KiB, the ring 1 MiB.
	 */
	for (i = 0; i < 14000; i++)
		assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	assert_int_equal(told(0, "lines") + told(0, "dropped"), 14000);
	assert_in_range(told(0, "dropped"), 1, 6000);
	start = clock_ms();
	store_close(&store);
	store.top = &bottom.layer;
	assert_in_range(clock_ms() - start, 0, 9000);
	close(fds[0]);
	close(fds[1]);
}

static void reader_that_is_gone_does_no_harm(void **state)
{
	struct filter_context context = { .home = &worker };
	unsigned int i;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	context.fds = &fds[1];
	context.nr_fds = 1;
	push_with(&context, "trace:fd=0", NULL);
	close(fds[0]);
	close(fds[1]);
	for (i = 0; i < 3000 && !told(0, "dropped"); i++)
		assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	assert_in_range(told(0, "dropped"), 1, 3000);
}

static void file_has_an_end(void **state)
{
	char path[] = "filter-layers.XXXXXX";
	struct filter_context context = { .home = &worker };
	int fd = mkstemp(path);
	unsigned int i;

	(void)state;
	context.fds = &fd;
	context.nr_fds = 1;
	push_with(&context, "trace:fd=0,max=1K", NULL);
	for (i = 0; i < 50; i++)
		assert_int_equal(run(IO_READ, 0, 4096), 0);
	assert_in_range(told(0, "lines"), 1, 20);
	assert_int_equal(told(0, "lines") + told(0, "dropped"), 50);
	store_close(&store);
	store.top = &bottom.layer;
	assert_in_range(lseek(fd, 0, SEEK_END), 100, 1024);
	close(fd);
	unlink(path);
}

/* The next line at @fd. */
static void assert_traced(int fd, const char *op)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char text[4096] = "";

	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, op));
	/* One, and no more. */
	assert_int_equal(strchr(text, '\n') - text, strlen(text) - 1);
}

static void watched_for_a_while(void **state)
{
	int one[2], two[2], round;

	(void)state;
	assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	for (round = 0; round < 3; round++) {
		assert_int_equal(pipe2(one, O_CLOEXEC), 0);
		assert_int_equal(trace_watch(&store, one[1], why, sizeof(why)), 0);
		assert_int_equal(run(IO_READ, 0, 4096), 0);
		assert_traced(one[0], "read");
		/* One watcher at a time. */
		assert_int_equal(pipe2(two, O_CLOEXEC), 0);
		assert_int_equal(trace_watch(&store, two[1], why, sizeof(why)), -EBUSY);
		close(two[0]);
		close(two[1]);
		assert_int_equal(run(IO_WRITE, 0, 4096), 0);
		assert_traced(one[0], "write");
		close(one[0]);
		/* Whether or not tapdisk has noticed. */
		if (round == 1)
			assert_int_equal(run(IO_READ, 0, 4096), 0);
	}
	/* No trace of it but the layer. */
	assert_ptr_equal(store.top->below, &bottom.layer);
}

static void watched_through_pipes_only(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(trace_watch(&store, fd, why, sizeof(why)), -EINVAL);
	assert_int_equal(trace_watch(&store, -1, why, sizeof(why)), -EINVAL);
	assert_ptr_equal(store.top, &bottom.layer);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_given_is_first_asked),
		TEST(one_bad_filter_leaves_none),
		TEST(seed_decides),
		TEST(operation_and_place_decide),
		TEST(short_moves_half),
		TEST(delay_is_at_least_that),
		TEST(rate_of_io_is_kept),
		TEST(rate_of_bytes_is_kept),
		TEST(burst_is_free),
		TEST(no_limit_delays_nobody),
		TEST(change_takes_effect_at_once),
		TEST(modest_guest_does_not_wait_for_greedy),
		TEST(latency_counts_each),
		TEST(line_says_all),
		TEST(slow_reader_costs_lines_only),
		TEST(reader_that_is_gone_does_no_harm),
		TEST(file_has_an_end),
		TEST(watched_for_a_while),
		TEST(watched_through_pipes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
