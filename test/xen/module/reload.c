// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module is unloaded and loaded many times, $RELOADS, while other processes open, map,
 * do I/O and end in every way. Unloading must fail as long as anything is in
 * use, and succeed when nothing is. $MODULE is the module's file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define USERS	3u

struct tally {
	unsigned int rounds[USERS];	/* each of its own process */
	unsigned int without[USERS];
	volatile bool stop;
};

static struct tally *tally;

/* The arena, or no module at this moment. */
static bool try_open(struct arena *arena)
{
	arena->fd = open("/dev/xen/tap", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (arena->fd >= 0)
		return true;
	expect(errno == ENOENT || errno == ENODEV || errno == ENXIO);
	return false;
}

static void use_once(struct arena *arena, int fd, unsigned int user, unsigned int round)
{
	struct xentap_arena_create create = { .nr_slots = SLOTS };
	uint32_t first = user * GRANTS;

	arena->slots = SLOTS;
	expect_eq(ioctl(arena->fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	arena->base = mmap(NULL, arena_bytes(arena), PROT_READ | PROT_WRITE, MAP_SHARED,
			   arena->fd, 0);
	expect(arena->base != MAP_FAILED);
	map_all(arena, first);
	expect_eq(pread(fd, slot_page(arena, first), 4 * PAGE, 0), 4 * PAGE);
	if (round % 3 == 0)
		unmap_all(arena, first);
	if (round % 2)
		close(arena->fd);
	munmap(arena->base, arena_bytes(arena));
	if (round % 2 == 0)
		close(arena->fd);
}

static void use_until_told(unsigned int user)
{
	int fd = open_direct(data_file);
	struct arena arena;
	unsigned int round = 0;
	double begin;

	while (!tally->stop) {
		begin = now();
		if (try_open(&arena)) {
			use_once(&arena, fd, user, round++);
			tally->rounds[user] = round;
		} else {
			tally->without[user]++;
		}
		/* Rests for twice the time on average, or nobody could ever unload. */
		usleep(1000 + (unsigned int)((now() - begin) * 1e6) * (unsigned int)(random() % 5));
	}
	_exit(0);
}

static void unload(unsigned int *refused)
{
	while (syscall(SYS_delete_module, "xentap", O_NONBLOCK)) {
		expect(errno == EWOULDBLOCK || errno == EBUSY);
		(*refused)++;
		usleep(2000);
	}
}

static void load(int fd)
{
	expect_eq(syscall(SYS_finit_module, fd, "", 0), 0);
}

static void loaded_and_unloaded_under_traffic(void)
{
	const char *path = getenv("MODULE");
	const char *times = getenv("RELOADS");
	unsigned int reloads = times ? (unsigned int)atoi(times) : 200;
	unsigned int refused = 0;
	unsigned int used = 0;
	pid_t users[USERS];
	double begin = now();
	unsigned int i;
	int module;
	int fd = open_data(4);

	module = open(path ? path : "", O_RDONLY | O_CLOEXEC);
	expect(module >= 0);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < USERS; i++) {
		users[i] = child_start();
		if (!users[i])
			use_until_told(i);
	}
	for (i = 0; i < reloads; i++) {
		unload(&refused);
		load(module);
		if (i % 20 == 0)
			printf("   %u of %u after %.0f s\n", i, reloads, now() - begin);
		fflush(stdout);
	}
	tally->stop = true;
	for (i = 0; i < USERS; i++) {
		child_end(users[i]);
		expect(tally->rounds[i] > reloads / 10);
		used += tally->rounds[i];
	}
	printf("   %u times; %u refused, %u uses meanwhile\n", reloads, refused, used);
	expect(refused > 0);
	close(module);
	close(fd);
}

/* A page in a pipe keeps the module, though no process has the arena open. */
static void not_unloaded_while_a_page_is_held(void)
{
	int ends[2];

	child_leaves_page(ends);
	wait_counter("mapped", 1);
	expect_error(syscall(SYS_delete_module, "xentap", O_NONBLOCK), EWOULDBLOCK);
	close(ends[0]);
	close(ends[1]);
}

const struct check checks[] = {
	CHECK(not_unloaded_while_a_page_is_held),
	CHECK(loaded_and_unloaded_under_traffic),
	{ 0 }
};
