// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads with a worker each and one store of larger blocks below them all.
 * Each sector belongs to one thread, which compares it with what it wrote last;
 * but a block has sectors of several, so that each write is in somebody's way.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fake/bottom.h"
#include "store/rmw.h"

#define BLOCK		4096u
#define SECTOR		512u
#define THREADS		4u
#define DEPTH		24u
#define EXTENTS		160u		/* of random length, owners in turn */
#define EXTENT_SECTORS	40u		/* at most */
#define IOS		6000u		/* of each thread */
#define SECTORS_MAX	24u		/* of one I/O */

struct extent {
	uint64_t start, sectors;
};

struct slot {
	struct io io;
	struct iovec iov[2];
	struct thread *thread;
	struct extent *extent;
	uint8_t *memory;
	bool busy;
};

struct thread {
	pthread_t id;			/* for who started it */
	pthread_t self;			/* for itself */
	struct loop loop;
	struct worker worker;
	struct layer *top;
	unsigned int number;
	unsigned int seed;
	unsigned int left;
	unsigned int in_flight;
	struct slot slots[DEPTH];
	uint8_t *model;			/* of the whole disk; ours of it counts */
	uint8_t *busy;			/* one for each sector */
	unsigned int bad;
};

static struct extent extents[EXTENTS];
static uint64_t disk_sectors;

static void make_extents(unsigned int *seed)
{
	unsigned int i;

	disk_sectors = 0;
	for (i = 0; i < EXTENTS; i++) {
		extents[i].start = disk_sectors;
		extents[i].sectors = 1 + (unsigned int)rand_r(seed) % EXTENT_SECTORS;
		disk_sectors += extents[i].sectors;
	}
	disk_sectors = (disk_sectors + 7) / 8 * 8;
}

static unsigned int dice(struct thread *thread, unsigned int n)
{
	return (unsigned int)rand_r(&thread->seed) % n;
}

static bool claim(struct thread *thread, uint64_t start, uint64_t sectors)
{
	uint64_t i;

	for (i = 0; i < sectors; i++)
		if (thread->busy[start + i])
			return false;
	memset(thread->busy + start, 1, sectors);
	return true;
}

static void check(struct slot *slot)
{
	struct thread *thread = slot->thread;
	uint8_t *model = thread->model + slot->io.offset;

	if (slot->io.op == IO_READ && memcmp(slot->memory, model, slot->io.bytes) != 0)
		thread->bad++;
}

static void ended(struct io *io, int error)
{
	struct slot *slot = (struct slot *)((char *)io - offsetof(struct slot, io));
	struct thread *thread = slot->thread;

	if (!pthread_equal(pthread_self(), thread->self) || error)
		thread->bad++;
	check(slot);
	memset(thread->busy + io->offset / SECTOR, 0, io->bytes / SECTOR);
	slot->busy = false;
	thread->in_flight--;
}

/* Any place within one of the thread's own extents. */
static void start(struct thread *thread, struct slot *slot)
{
	const struct extent *extent =
		&extents[dice(thread, EXTENTS / THREADS) * THREADS + thread->number];
	uint64_t first = dice(thread, (unsigned int)extent->sectors);
	uint64_t sectors = 1 + dice(thread, (unsigned int)(extent->sectors - first));
	uint64_t cut;

	if (sectors > SECTORS_MAX)
		sectors = SECTORS_MAX;
	if (!claim(thread, extent->start + first, sectors))
		return;
	cut = 1 + dice(thread, (unsigned int)sectors);
	slot->io = (struct io){
		.op = dice(thread, 2) ? IO_READ : IO_WRITE,
		.offset = (extent->start + first) * SECTOR,
		.bytes = sectors * SECTOR,
		.iov = slot->iov,
		.nr_iov = cut == sectors ? 1 : 2,
		.worker = &thread->worker,
		.done = ended,
	};
	slot->iov[0] = (struct iovec){ slot->memory, cut * SECTOR };
	slot->iov[1] = (struct iovec){ slot->memory + cut * SECTOR, (sectors - cut) * SECTOR };
	if (slot->io.op == IO_WRITE) {
		memset(slot->memory, (int)dice(thread, 256), slot->io.bytes);
		memcpy(thread->model + slot->io.offset, slot->memory, slot->io.bytes);
	}
	slot->busy = true;
	thread->in_flight++;
	thread->left--;
	layer_submit(thread->top, &slot->io);
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
	return NULL;
}

static void thread_init(struct thread *thread, unsigned int number, unsigned int seed,
			struct layer *top)
{
	unsigned int i;

	*thread = (struct thread){
		.number = number, .seed = seed + number, .left = IOS, .top = top,
		.model = calloc(disk_sectors, SECTOR), .busy = calloc(disk_sectors, 1),
	};
	assert_int_equal(loop_init(&thread->loop), 0);
	assert_int_equal(worker_init(&thread->worker, &thread->loop, 8), 0);
	for (i = 0; i < DEPTH; i++) {
		thread->slots[i].thread = thread;
		thread->slots[i].memory = aligned_alloc(BLOCK, SECTORS_MAX * SECTOR);
	}
}

/* What the thread wrote last is on the disk, sector by sector. */
static void compare(const struct thread *thread, const struct bottom *bottom)
{
	unsigned int i;

	for (i = thread->number; i < EXTENTS; i += THREADS)
		assert_memory_equal(bottom->data + extents[i].start * SECTOR,
				    thread->model + extents[i].start * SECTOR,
				    extents[i].sectors * SECTOR);
}

static void thread_uninit(struct thread *thread)
{
	unsigned int i;

	worker_uninit(&thread->worker);
	loop_uninit(&thread->loop);
	for (i = 0; i < DEPTH; i++)
		free(thread->slots[i].memory);
	free(thread->model);
	free(thread->busy);
}

static void nobody_loses_a_sector(void **state)
{
	struct thread *threads = calloc(THREADS, sizeof(*threads));
	struct bottom *bottom = calloc(1, sizeof(*bottom));
	unsigned int seed = (unsigned int)time(NULL);
	struct layer *top;
	unsigned int i;

	(void)state;
	print_message("seed %u\n", seed);
	make_extents(&seed);
	bottom_init(bottom, disk_sectors * SECTOR, BLOCK);
	assert_int_equal(rmw_create(&bottom->layer, BLOCK, &top), 0);
	for (i = 0; i < THREADS; i++) {
		thread_init(&threads[i], i, seed, top);
		bottom_add_worker(bottom, &threads[i].worker);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
	assert_int_equal(atomic_load(&bottom->refused), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(threads[i].bad, 0);
		compare(&threads[i], bottom);
		thread_uninit(&threads[i]);
	}
	top->ops->destroy(top);
	bottom_uninit(bottom);
	free(bottom);
	free(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_loses_a_sector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
