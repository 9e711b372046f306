// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel kills a process for its memory while its arena is in use. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define GROUP		"/sys/fs/cgroup/xentap-oom"
#define GROUP_BYTES	"33554432"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("%s cannot be set to %s", path, text);
	close(fd);
}

static long oom_kills(void)
{
	FILE *file = fopen(GROUP "/memory.events", "re");
	char word[32];
	long value;
	long kills = -1;

	expect(file);
	while (fscanf(file, "%31s %ld", word, &value) == 2)
		if (!strcmp(word, "oom_kill"))
			kills = value;
	fclose(file);
	return kills;
}

static void *read_forever(void *context)
{
	const struct arena *arena = context;
	int fd = open_direct(data_file);

	for (;;)
		expect_eq(pread(fd, arena->base, 16 * PAGE, 0), 16 * PAGE);
}

static void use_too_much(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	pthread_t thread;
	uint8_t *memory;
	size_t i;

	map_all(&arena, 0);
	map_all(&rdonly, 0);
	expect_eq(pthread_create(&thread, NULL, read_forever, &arena), 0);
	memory = mmap(NULL, 1u << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < 1u << 28; i += PAGE)
		memory[i] = 1;
	_exit(0);
}

static void killed_for_its_memory(void)
{
	long before;
	int round;

	close(open_data(16));
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	expect(!mkdir(GROUP, 0700) || errno == EEXIST);
	put(GROUP "/memory.max", GROUP_BYTES);
	if (!access(GROUP "/memory.swap.max", F_OK))
		put(GROUP "/memory.swap.max", "0");
	for (round = 0; round < 2; round++) {
		pid_t child;

		before = oom_kills();
		child = child_start();
		if (!child) {
			put(GROUP "/cgroup.procs", "0");
			use_too_much();
		}
		child_wait_killed(child);
		expect_eq(oom_kills(), before + 1);
		wait_nothing_mapped();
		wait_counter("arenas", 0);
	}
	expect_eq(rmdir(GROUP), 0);
}

const struct check checks[] = {
	CHECK(killed_for_its_memory),
	{ 0 }
};
