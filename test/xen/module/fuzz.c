// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls at random, by processes that have the file and no rights: what the
 * answers are does not matter, only that nothing is left behind. $FUZZ_SEED
 * repeats a run, $FUZZ_SECONDS is its length.
 */
#define _GNU_SOURCE
#include <fcntl.h>
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

#define FILES	4u
#define POOL	16u			/* pages of each file's pool */
#define GUARD	16u			/* pages; more than the longest list takes */

static unsigned int seed;

/* One thread's dice. */
struct dice {
	uint64_t state;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
	dice->state = dice->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(dice->state >> 33) % sides;
}

static bool chance(struct dice *dice, uint32_t one_in)
{
	return roll(dice, one_in) == 0;
}

static uint64_t any_number(struct dice *dice)
{
	static const uint64_t odd[] = {
		0, 1, 2, 7, 8, 0x7f, 0xff, 0x3ff, 0x400, 0x401, 0x7fef, 0x7ff0, 0x7fff, 0xffff,
		0x10000, 0x1ffff, 0x20000, 0x20001, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
		0xffffffffffffffff,
	};

	return odd[roll(dice, sizeof(odd) / sizeof(odd[0]))] + roll(dice, 3) - 1;
}

/* Mostly a number that makes sense, or nothing interesting happens. */
static uint64_t mostly(struct dice *dice, uint64_t sensible)
{
	return chance(dice, 12) ? any_number(dice) : sensible;
}

/* Memory of the caller: plain, unmapped, read-only, or the arena itself. */
struct player {
	struct dice dice;
	int fd[FILES];
	uint8_t *base[FILES];
	uint8_t *plain;
	uint8_t *rdonly;
};

static uint64_t any_place(struct player *p)
{
	uint8_t *arena = p->base[roll(&p->dice, FILES)];

	switch (roll(&p->dice, 16)) {
	case 0:
		return any_number(&p->dice);
	case 1:
		return (uintptr_t)p->rdonly + roll(&p->dice, PAGE);
	case 2:
		return (uintptr_t)arena + roll(&p->dice, SLOTS * PAGE);
	default:
		return (uintptr_t)p->plain + roll(&p->dice, 4 * PAGE);
	}
}

static void fill_lists(struct player *p)
{
	struct xentap_unmap *unmaps = (void *)p->plain;
	struct xentap_map *maps = (void *)(p->plain + 16 * PAGE);
	unsigned int i;

	for (i = 0; i < 128; i++) {
		unmaps[i].slot = (uint32_t)mostly(&p->dice, roll(&p->dice, SLOTS));
		maps[i] = (struct xentap_map){
			.slot = (uint32_t)mostly(&p->dice, roll(&p->dice, SLOTS)),
			.gref = (uint32_t)mostly(&p->dice, gref[roll(&p->dice, GRANTS)]),
			.domid = (uint32_t)mostly(&p->dice, owner),
		};
	}
}

static void play_batch(struct player *p, int fd)
{
	struct xentap_batch b = {
		.unmaps = chance(&p->dice, 10) ? any_place(p) : (uintptr_t)p->plain,
		.maps = chance(&p->dice, 10) ? any_place(p) : (uintptr_t)p->plain + 16 * PAGE,
		.nr_unmaps = (uint32_t)mostly(&p->dice, roll(&p->dice, 128)),
		.nr_maps = (uint32_t)mostly(&p->dice, roll(&p->dice, 128)),
		.flags = chance(&p->dice, 30) ? (uint32_t)any_number(&p->dice) : 0,
		.reserved = chance(&p->dice, 30) ? (uint32_t)any_number(&p->dice) : 0,
	};

	fill_lists(p);
	ioctl(fd, XENTAP_IOC_BATCH, &b);
}

static void play_query(struct player *p, int fd)
{
	struct xentap_query query = {
		.entries = any_place(p),
		.nr = (uint32_t)mostly(&p->dice, roll(&p->dice, 64)),
	};
	struct xentap_query_mfn by_mfn = {
		.mfn = any_number(&p->dice), .grants = any_place(p),
		.nr = (uint32_t)mostly(&p->dice, 4),
	};

	ioctl(fd, XENTAP_IOC_QUERY, &query);
	ioctl(fd, XENTAP_IOC_QUERY_MFN, &by_mfn);
}

static void play_copy(struct player *p, int fd)
{
	struct xentap_copy *copies = (void *)(p->plain + 24 * PAGE);
	struct xentap_copy_list list = {
		.entries = chance(&p->dice, 10) ? any_place(p) : (uintptr_t)copies,
		.nr = (uint32_t)mostly(&p->dice, roll(&p->dice, 64)),
	};
	unsigned int i;

	for (i = 0; i < 64; i++)
		copies[i] = (struct xentap_copy){
			.page = (uint32_t)mostly(&p->dice, roll(&p->dice, POOL)),
			.gref = (uint32_t)mostly(&p->dice, gref[roll(&p->dice, GRANTS)]),
			.domid = (uint32_t)mostly(&p->dice, owner),
			.page_offset = (uint16_t)mostly(&p->dice, 0),
			.gref_offset = (uint16_t)mostly(&p->dice, 0),
			.len = (uint16_t)mostly(&p->dice, 1 + roll(&p->dice, PAGE)),
			.flags = (uint16_t)mostly(&p->dice, roll(&p->dice, 2)),
		};
	ioctl(fd, XENTAP_IOC_COPY, &list);
}

static void play_pool(struct player *p, int fd)
{
	off_t offset = (off_t)(XENTAP_POOL_OFFSET + mostly(&p->dice, roll(&p->dice, POOL)) * PAGE);
	size_t bytes = (size_t)(1 + roll(&p->dice, 4)) * PAGE;
	uint8_t *pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     chance(&p->dice, 8) ? MAP_PRIVATE : MAP_SHARED, fd, offset);

	if (pool == MAP_FAILED)
		return;
	scribble(pool, 1);
	/* Some stay mapped, to be found by the end of the process. */
	if (!chance(&p->dice, 8))
		munmap(pool, bytes);
}

/* Any number of this module's range, with any argument. */
static void play_ioctl(struct player *p, int fd)
{
	unsigned long command = _IOC(roll(&p->dice, 4), XENTAP_IOC_MAGIC, roll(&p->dice, 16),
				     (unsigned long)mostly(&p->dice, 8 * (1 + roll(&p->dice, 4))));
	uint64_t *words = (void *)p->plain;
	unsigned int i;

	/* One that restricts a file to a domain ends its use for this test. */
	if (_IOC_NR(command) == _IOC_NR(XENTAP_IOC_RESTRICT) && !chance(&p->dice, 200))
		return;
	for (i = 0; i < 8; i++)
		words[i] = any_number(&p->dice);
	ioctl(fd, command, chance(&p->dice, 4) ? any_place(p) : (uintptr_t)words);
}

static void play_memory(struct player *p, unsigned int file)
{
	static const int advices[] = { MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_FREE, MADV_REMOVE,
				       MADV_DOFORK, MADV_DONTFORK, 22, 23, 24 };
	uint32_t slot = roll(&p->dice, SLOTS), left = SLOTS - slot;
	uint8_t *at = p->base[file] + (size_t)slot * PAGE;
	/* Never past the arena: a thread's stack may be what comes next. */
	size_t bytes = (size_t)(1 + roll(&p->dice, left < 8 ? left : 8)) * PAGE;

	switch (roll(&p->dice, 6)) {
	case 0:
		munmap(at, bytes);
		break;
	case 1:
		mprotect(at, bytes, (int)roll(&p->dice, 8));
		break;
	case 2:
		touch(at);
		break;
	default:
		madvise(at, bytes, advices[roll(&p->dice, 10)]);
	}
}

static void play_file(struct player *p, int fd)
{
	struct pollfd ready = { .fd = fd, .events = (short)roll(&p->dice, 0x8000) };
	uint8_t sink[64];

	poll(&ready, 1, 0);
	if (chance(&p->dice, 20))
		lseek(fd, (off_t)any_number(&p->dice), (int)roll(&p->dice, 3));
	if (read(fd, chance(&p->dice, 10) ? (void *)(uintptr_t)any_place(p) : p->plain,
		 (size_t)mostly(&p->dice, 64) % 4096) < 0)
		errno = 0;
	if (chance(&p->dice, 20) && write(fd, sink, sizeof(sink)) < 0)
		errno = 0;
}

static void play(struct player *p, unsigned int moves)
{
	while (moves--) {
		unsigned int file = roll(&p->dice, FILES);
		int fd = p->fd[file];

		switch (roll(&p->dice, 10)) {
		case 0:
			play_query(p, fd);
			break;
		case 1:
			play_ioctl(p, fd);
			break;
		case 2:
			play_memory(p, file);
			break;
		case 3:
			play_file(p, fd);
			break;
		case 4:
			play_copy(p, fd);
			break;
		case 5:
			play_pool(p, fd);
			break;
		default:
			play_batch(p, fd);
		}
	}
}

static void *play_thread(void *context)
{
	play(context, 1u << 30);
	return NULL;
}

/*
 * Memory with room behind it that nothing can be written to. Answers to a list
 * are written where the list is, however long it was said to be, and what lies
 * there must not be a stack of this process.
 */
static uint8_t *memory(unsigned int pages, int protection)
{
	uint8_t *mem = mmap(NULL, (size_t)(pages + GUARD) * PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(mem != MAP_FAILED);
	expect_eq(mprotect(mem, (size_t)pages * PAGE, protection), 0);
	return mem;
}

/* A process that plays with files of its own until it is killed, or done. */
static void player_run(const int *fds, uint64_t dice)
{
	struct player p = {
		.dice = { dice }, .plain = memory(32, PROT_READ | PROT_WRITE),
		.rdonly = memory(1, PROT_READ),
	};
	static struct player second;
	pthread_t thread;
	unsigned int i;

	drop_rights();
	for (i = 0; i < FILES; i++) {
		struct xentap_arena_create create = { .nr_slots = SLOTS, .flags = i % 2 };
		struct xentap_pool_create pool = { .nr_pages = POOL };

		expect_eq(ioctl(fds[i], XENTAP_IOC_POOL_CREATE, &pool), 0);
		p.fd[i] = fds[i];
		expect_eq(ioctl(fds[i], XENTAP_IOC_ARENA_CREATE, &create), 0);
		p.base[i] = mmap(memory(SLOTS, PROT_NONE), SLOTS * PAGE,
				 i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, fds[i], 0);
		expect(p.base[i] != MAP_FAILED);
	}
	second = p;
	second.dice.state ^= 0x5555;
	second.plain = memory(32, PROT_READ | PROT_WRITE);
	expect_eq(pthread_create(&thread, NULL, play_thread, &second), 0);
	play(&p, 300 + roll(&p.dice, 2000));
	_exit(0);
}

static void round_of_play(unsigned int round)
{
	struct dice dice = { seed + round };
	pid_t players[2];
	unsigned int i, k;

	for (i = 0; i < 2; i++) {
		int fds[FILES];

		for (k = 0; k < FILES; k++)
			fds[k] = tap_open();
		players[i] = child_start();
		if (!players[i])
			player_run(fds, seed + 1000 * round + i);
		for (k = 0; k < FILES; k++)
			close(fds[k]);
	}
	usleep(200000 + roll(&dice, 800000));
	for (i = 0; i < 2; i++) {
		int status;

		kill(players[i], SIGKILL);
		expect_eq(waitpid(players[i], &status, 0), players[i]);
		/* One that broke itself played no longer. */
		expect(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
	wait_nothing_mapped();
	wait_counter("arenas", 0);
	expect_eq(counter("quarantined"), 0);
}

static void random_calls_leave_nothing(void)
{
	const char *seconds = getenv("FUZZ_SECONDS");
	const char *fixed = getenv("FUZZ_SEED");
	double end = now() + (seconds ? atoi(seconds) : 15);
	long before = counter("maps");
	unsigned int round = 0;

	seed = fixed ? (unsigned int)atoi(fixed) : (unsigned int)getpid() * 7919u + (unsigned int)now();
	printf("   FUZZ_SEED=%u\n", seed);
	fflush(stdout);
	while (now() < end)
		round_of_play(round++);
	/* It was no use if nothing was ever mapped. */
	printf("   %u rounds, %ld grants mapped\n", round, counter("maps") - before);
	expect(counter("maps") - before > 100);
}

const struct check checks[] = {
	CHECK(random_calls_leave_nothing),
	{ 0 }
};
