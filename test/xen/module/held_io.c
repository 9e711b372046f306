// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that I/O still holds while their slots, their mapping, their file or
 * their process goes away: by a device that holds requests back (held.h), by
 * pipes, and by buffers registered for long.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libaio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "held.h"
#include "uring.h"

#define HELD	8u			/* pages held in each direction */
#define READ_AT	0			/* on the device: what reads find, */
#define WRITE_AT (1 << 20)		/* and where writes go */
#define ROUNDS	200

enum engine { BY_AIO, BY_URING, BY_FIXED, ENGINES };
enum end { END_UNMAP, END_MUNMAP, END_CLOSE_FIRST, END_MUNMAP_FIRST, END_EXIT, END_EXEC, END_KILL,
	   ENDS };

static const char *const engine_names[] = { "libaio", "io_uring", "registered buffers" };
static const char *const end_names[] = {
	"unmap", "munmap", "close, munmap", "munmap, close", "exit", "exec", "SIGKILL",
};

/* The arenas of a victim; what is written comes from @from. */
struct victim {
	struct arena arena, from;
	enum engine engine;
	int fd;
};

static uint8_t *pattern(uint8_t seed)
{
	static uint8_t *bytes;
	size_t i;

	if (!bytes)
		bytes = aligned_alloc(PAGE, HELD * PAGE);
	for (i = 0; i < HELD * PAGE; i++)
		bytes[i] = (uint8_t)(i * 13 + i / PAGE + seed);
	return bytes;
}

/* ---- submission */

static void submit_aio(const struct victim *v)
{
	static struct iocb iocbs[2 * HELD];
	struct iocb *list[2 * HELD];
	io_context_t context = NULL;
	unsigned int i;

	for (i = 0; i < HELD; i++) {
		io_prep_pread(&iocbs[2 * i], v->fd, slot_page(&v->arena, i), PAGE,
			      READ_AT + i * PAGE);
		io_prep_pwrite(&iocbs[2 * i + 1], v->fd, slot_page(&v->from, i), PAGE,
			       WRITE_AT + i * PAGE);
		list[2 * i] = &iocbs[2 * i];
		list[2 * i + 1] = &iocbs[2 * i + 1];
	}
	expect_eq(io_setup(2 * HELD, &context), 0);
	expect_eq(io_submit(context, 2 * HELD, list), 2 * HELD);
}

static void submit_uring(const struct victim *v)
{
	static struct uring ring;
	struct iovec buffers[2] = {
		{ v->arena.base, HELD * PAGE },
		{ v->from.base, HELD * PAGE },
	};
	bool fixed = v->engine == BY_FIXED;
	unsigned int i;

	expect_eq(uring_open(&ring, 2 * HELD), 0);
	if (fixed)
		expect_eq(uring_register(&ring, buffers, 2), 0);
	for (i = 0; i < HELD; i++) {
		uring_rw(&ring, 0, v->fd, slot_page(&v->arena, i), PAGE, READ_AT + i * PAGE,
			 fixed ? 0 : URING_NOT_FIXED);
		uring_rw(&ring, 1, v->fd, slot_page(&v->from, i), PAGE, WRITE_AT + i * PAGE,
			 fixed ? 1 : URING_NOT_FIXED);
	}
	expect_eq(uring_submit(&ring, 2 * HELD), 0);
}

/*
 * io_uring may hand a request over to a thread of the kernel, which takes the
 * pages later. The device counts the requests that reached it.
 */
static void wait_submitted(void)
{
	unsigned int tries = 500;

	while (held_waiting() != 2 * HELD && tries--)
		usleep(10000);
	expect_eq(held_waiting(), 2 * HELD);
}

/* ---- the ends */

static void end_by_unmap(const struct victim *v)
{
	expect_eq(unmap_some(&v->arena, 0, GRANTS), HELD);
	expect_eq(unmap_some(&v->from, 0, GRANTS), HELD);
	expect_eq(touch(slot_page(&v->arena, 0)), SIGBUS);
	expect_eq(map_one(&v->arena, 0, gref[0]), -EBUSY);
	expect_eq(unmap_one(&v->arena, 0), -EINPROGRESS);
}

static void end_by(struct victim *v, enum end end)
{
	switch (end) {
	case END_UNMAP:
		end_by_unmap(v);
		break;
	case END_MUNMAP:
		expect_eq(munmap(v->arena.base, arena_bytes(&v->arena)), 0);
		expect_eq(munmap(v->from.base, arena_bytes(&v->from)), 0);
		break;
	case END_CLOSE_FIRST:
		close(v->arena.fd);
		close(v->from.fd);
		expect_eq(munmap(v->arena.base, arena_bytes(&v->arena)), 0);
		expect_eq(munmap(v->from.base, arena_bytes(&v->from)), 0);
		break;
	case END_MUNMAP_FIRST:
		arena_end(&v->arena);
		arena_end(&v->from);
		break;
	case END_EXIT:
		_exit(0);
	case END_EXEC:
		execl("/bin/true", "true", NULL);
		break;
	default:
		kill(getpid(), SIGKILL);
	}
}

static bool process_lives_on(enum end end)
{
	return end <= END_MUNMAP_FIRST;
}

/* The kernel has a process wait for its I/O before its memory goes. */
static bool end_waits_for_io(enum engine engine, enum end end)
{
	return end == END_EXEC || (engine == BY_AIO && (end == END_EXIT || end == END_KILL));
}

static void victim_run(enum engine engine, enum end end, const struct gate *done,
		       const struct gate *leave)
{
	struct victim v = {
		.arena = arena_make(SLOTS, 0),
		/* Registration wants to write, whatever the requests do later. */
		.from = arena_make(SLOTS, engine == BY_FIXED ? 0 : XENTAP_ARENA_F_RDONLY),
		.engine = engine,
		.fd = open_direct(HELD_PATH),
	};

	map_all(&v.arena, 0);
	map_all(&v.from, 0);
	if (engine == BY_AIO)
		submit_aio(&v);
	else
		submit_uring(&v);
	wait_submitted();
	if (!process_lives_on(end))
		gate_open(done);
	end_by(&v, end);
	gate_open(done);
	gate_wait(leave);
	_exit(0);
}

/* ---- one case, seen from outside */

static void device_prepare(void)
{
	int fd = open_direct(HELD_BELOW);

	expect_eq(pwrite(fd, pattern(1), HELD * PAGE, READ_AT), HELD * PAGE);
	expect_eq(pwrite(fd, pattern(99), HELD * PAGE, WRITE_AT), HELD * PAGE);
	close(fd);
	if (granted)
		memset(granted, 0xee, GRANTS * PAGE);
}

/*
 * Both directions have gone on with the guest's page, as if nothing had been.
 * Reads and writes went through the same grants at once, so that each page
 * holds what was read, and the device what was there before or after.
 */
static void data_arrived(void)
{
	uint8_t *found = aligned_alloc(PAGE, HELD * PAGE);
	const uint8_t *read_bytes = pattern(1);
	int fd = open_direct(HELD_BELOW);
	unsigned int i;

	expect_eq(memcmp(granted, read_bytes, HELD * PAGE), 0);
	expect_eq(granted[HELD * PAGE], 0xee);
	expect_eq(pread(fd, found, HELD * PAGE, WRITE_AT), HELD * PAGE);
	for (i = 0; i < HELD * PAGE; i++)
		expect(found[i] == 0xee || found[i] == read_bytes[i]);
	close(fd);
	free(found);
}

static void expect_held(enum engine engine, enum end end)
{
	if (end_waits_for_io(engine, end)) {
		/* Nothing the device works on is gone. */
		usleep(200000);
		expect(counter("mapped") >= 2 * HELD);
		return;
	}
	wait_counter("draining", 2 * HELD);
	wait_counter("mapped", 2 * HELD);
	expect_user_ptes(0);
	usleep(200000);
	expect_eq(counter("draining"), 2 * HELD);
}

static void hold_case(enum engine engine, enum end end)
{
	struct gate done = gate_make();
	struct gate leave = gate_make();
	double begin = now();
	pid_t child;
	int status;

	device_prepare();
	child = child_start();
	if (!child)
		victim_run(engine, end, &done, &leave);
	gate_wait(&done);
	expect_held(engine, end);
	if (end_waits_for_io(engine, end))
		expect_eq(waitpid(child, &status, WNOHANG), 0);
	expect_eq(held_release(), 0);
	/* A registered buffer holds its pages until the ring is gone. */
	if (engine == BY_FIXED && process_lives_on(end)) {
		usleep(300000);
		expect_eq(counter("draining"), 2 * HELD);
		gate_open(&leave);
	}
	wait_nothing_mapped();
	if (process_lives_on(end) && engine != BY_FIXED)
		gate_open(&leave);
	if (end == END_KILL)
		child_wait_killed(child);
	else
		child_end(child);
	if (granted)
		data_arrived();
	printf("   %s, %s (%.1f s)\n", engine_names[engine], end_names[end], now() - begin);
	fflush(stdout);
}

/* Older kernels' io_uring, as that of Linux 6.1, refuses the memory of any file. */
static bool registration_works(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct uring ring;
	int err;

	expect_eq(map_one(&arena, 0, gref[0]), 0);
	expect_eq(uring_open(&ring, 4), 0);
	err = uring_register(&ring, &(struct iovec){ arena.base, PAGE }, 1);
	if (!err)
		expect_eq(uring_unregister(&ring), 0);
	arena_end(&arena);
	close(ring.fd);
	if (err == -EOPNOTSUPP) {
		printf("   this kernel does not register the memory of files\n");
		return false;
	}
	expect_eq(err, 0);
	return true;
}

static void held_io_ends_in_every_way(void)
{
	int engine;
	int end;

	for (engine = 0; engine < ENGINES; engine++) {
		if (engine == BY_FIXED && !registration_works())
			continue;
		for (end = 0; end < ENDS; end++)
			hold_case(engine, end);
	}
}

/* Held back one by one: each slot is told of when it drained. */
static void slots_drain_one_by_one(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_drained records[4];
	uint8_t sink[PAGE];
	int ends[4][2];
	unsigned int i;

	map_all(&arena, 0);
	for (i = 0; i < 4; i++) {
		expect_eq(pipe(ends[i]), 0);
		expect_eq(vmsplice(ends[i][1], &(struct iovec){ slot_page(&arena, i), PAGE }, 1, 0),
			  PAGE);
	}
	expect_eq(unmap_some(&arena, 0, GRANTS), 4);
	for (i = 4; i-- > 0;) {
		struct pollfd ready = { .fd = arena.fd, .events = POLLIN };

		expect_eq(poll(&ready, 1, 150), 0);
		expect_eq(read(ends[i][0], sink, PAGE), PAGE);
		expect_eq(poll(&ready, 1, 10000), 1);
		expect_eq(read(arena.fd, records, sizeof(records)), sizeof(records[0]));
		expect_eq(records[0].slot, i);
		expect_eq(records[0].status, 0);
		close(ends[i][0]);
		close(ends[i][1]);
	}
	arena_end(&arena);
}

/* A page in a pipe is held by reference, as by a network card. */
static void busy_page_drains_alone(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[4];
	uint8_t before[PAGE];
	uint8_t sink[PAGE];
	int ends[2];
	unsigned int i;

	map_all(&arena, 0);
	memset(slot_page(&arena, 2), 0x5c, PAGE);
	memcpy(before, slot_page(&arena, 2), PAGE);
	expect_eq(pipe(ends), 0);
	expect_eq(vmsplice(ends[1], &(struct iovec){ slot_page(&arena, 2), PAGE }, 1, 0), PAGE);
	for (i = 0; i < 4; i++)
		unmaps[i] = (struct xentap_unmap){ .slot = i };
	expect_eq(batch(&arena, unmaps, 4, NULL, 0), 0);
	for (i = 0; i < 4; i++)
		expect_eq(unmaps[i].status, i == 2 ? -EINPROGRESS : 0);
	expect_eq(counter("draining"), 1);
	expect_eq(map_one(&arena, 2, gref[5]), -EBUSY);
	expect_eq(unmap_one(&arena, 2), -EINPROGRESS);
	expect_eq(touch(slot_page(&arena, 2)), SIGBUS);

	/* Its holder sees the guest's bytes still. */
	expect_eq(read(ends[0], sink, PAGE), PAGE);
	expect_eq(memcmp(sink, before, PAGE), 0);
	wait_drained(&arena, 1);
	expect_eq(counter("draining"), 0);
	expect_eq(map_one(&arena, 2, gref[5]), 0);
	close(ends[0]);
	close(ends[1]);
	arena_end(&arena);
}

static void busy_page_outlives_its_process(void)
{
	int ends[2];

	child_leaves_page(ends);
	/* All but the one that the pipe holds. */
	wait_counter("mapped", 1);
	expect_eq(counter("draining"), 1);
	expect_user_ptes(0);
	close(ends[1]);
	close(ends[0]);
}

/* The same page is in two slots, and held through one of them only. */
static void one_grant_held_through_one_slot(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int ends[2];

	expect_eq(map_one(&arena, 0, gref[0]), 0);
	expect_eq(map_one(&arena, 1, gref[0]), 0);
	expect_eq(pipe(ends), 0);
	expect_eq(vmsplice(ends[1], &(struct iovec){ slot_page(&arena, 1), PAGE }, 1, 0), PAGE);
	expect_eq(unmap_one(&arena, 0), 0);
	expect_eq(unmap_one(&arena, 1), -EINPROGRESS);
	/* The grant itself is free to be mapped again meanwhile. */
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	close(ends[0]);
	close(ends[1]);
	wait_drained(&arena, 1);
	arena_end(&arena);
}

/* Registered once, used often; the slots are the ring's until it lets go. */
static void registered_buffers_hold_their_slots(void)
{
	struct arena arena, rdonly;
	struct uring ring;
	int fd, got;

	if (!registration_works())
		return;
	arena = arena_make(SLOTS, 0);
	rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	fd = open_direct(data_file);
	map_all(&arena, 0);
	map_all(&rdonly, 0);
	expect_eq(uring_open(&ring, 4), 0);
	expect_eq(uring_register(&ring, &(struct iovec){ rdonly.base, PAGE }, 1), -EFAULT);
	expect_eq(uring_register(&ring, &(struct iovec){ slot_page(&arena, GRANTS), PAGE }, 1),
		  -EFAULT);
	expect_eq(uring_register(&ring, &(struct iovec){ arena.base, HELD * PAGE }, 1), 0);
	memset(arena.base, 0x2b, HELD * PAGE);
	uring_rw(&ring, 1, fd, arena.base, HELD * PAGE, 0, 0);
	expect_eq(uring_submit(&ring, 1), 0);
	expect_eq(uring_wait(&ring, &got), 0);
	expect_eq(got, HELD * PAGE);
	memset(arena.base, 0, HELD * PAGE);
	uring_rw(&ring, 0, fd, arena.base, HELD * PAGE, 0, 0);
	expect_eq(uring_submit(&ring, 1), 0);
	expect_eq(uring_wait(&ring, &got), 0);
	expect_eq(got, HELD * PAGE);
	expect_eq(arena.base[HELD * PAGE - 1], 0x2b);

	expect_eq(unmap_some(&arena, 0, GRANTS), HELD);
	usleep(300000);
	expect_eq(counter("draining"), HELD);
	/* The ring still reaches the pages, and they are still the guest's. */
	uring_rw(&ring, 0, fd, arena.base, HELD * PAGE, 0, 0);
	expect_eq(uring_submit(&ring, 1), 0);
	expect_eq(uring_wait(&ring, &got), 0);
	expect_eq(got, HELD * PAGE);
	expect_eq(uring_unregister(&ring), 0);
	wait_drained(&arena, HELD);
	unmap_all(&rdonly, 0);
	arena_end(&arena);
	arena_end(&rdonly);
	close(ring.fd);
	close(fd);
}

/* ---- races */

/* A child that keeps direct I/O in flight until it is killed. */
static void keep_reading(enum engine engine)
{
	struct victim v = { .arena = arena_make(SLOTS, 0), .fd = open_data(GRANTS) };
	struct iocb iocbs[GRANTS];
	struct iocb *list[GRANTS];
	struct io_event events[GRANTS];
	io_context_t context = NULL;
	struct uring ring;
	unsigned int i;
	int got;

	map_all(&v.arena, 0);
	expect_eq(io_setup(GRANTS, &context), 0);
	expect_eq(uring_open(&ring, GRANTS), 0);
	for (;;) {
		for (i = 0; i < GRANTS; i++) {
			io_prep_pread(&iocbs[i], v.fd, slot_page(&v.arena, i), PAGE, i * PAGE);
			list[i] = &iocbs[i];
			if (engine == BY_URING)
				uring_rw(&ring, 0, v.fd, slot_page(&v.arena, i), PAGE, i * PAGE,
					 URING_NOT_FIXED);
		}
		if (engine == BY_AIO) {
			expect_eq(io_submit(context, GRANTS, list), GRANTS);
			expect_eq(io_getevents(context, GRANTS, GRANTS, events, NULL), GRANTS);
			continue;
		}
		expect_eq(uring_submit(&ring, GRANTS), 0);
		for (i = 0; i < GRANTS; i++)
			expect_eq(uring_wait(&ring, &got), 0);
	}
}

static void killed_under_direct_io(void)
{
	unsigned int round;

	for (round = 0; round < 10; round++) {
		pid_t child = child_start();

		if (!child)
			keep_reading(round % 2 ? BY_URING : BY_AIO);
		usleep(60000 + 7000 * round);
		child_kill(child);
		wait_nothing_mapped();
	}
}

static volatile bool racing;
static volatile unsigned int reads_done;

static void *race_reader(void *context)
{
	const struct arena *arena = context;
	int fd = open_direct(data_file);
	unsigned int i = 0;

	while (racing) {
		ssize_t got = pread(fd, slot_page(arena, i++ % GRANTS), PAGE, 0);

		if (got == PAGE)
			reads_done++;
		else if (errno != EFAULT)
			fail("a racing read gave %zd", got);
	}
	close(fd);
	return NULL;
}

/* Two threads take pages by I/O while another takes their slots away. */
static void unmap_races_with_io(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = open_data(1);
	pthread_t readers[2];
	int round;

	racing = true;
	expect_eq(pthread_create(&readers[0], NULL, race_reader, &arena), 0);
	expect_eq(pthread_create(&readers[1], NULL, race_reader, &arena), 0);
	for (round = 0; round < ROUNDS; round++) {
		map_all(&arena, 0);
		wait_drained(&arena, unmap_some(&arena, 0, GRANTS));
	}
	racing = false;
	pthread_join(readers[0], NULL);
	pthread_join(readers[1], NULL);
	expect(reads_done > 0);
	arena_end(&arena);
	close(fd);
}

const struct check checks[] = {
	CHECK(busy_page_drains_alone),
	CHECK(slots_drain_one_by_one),
	CHECK(busy_page_outlives_its_process),
	CHECK(one_grant_held_through_one_slot),
	CHECK(registered_buffers_hold_their_slots),
	CHECK(held_io_ends_in_every_way),
	CHECK(killed_under_direct_io),
	CHECK(unmap_races_with_io),
	{ 0 }
};
