// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The granting guest changes its mind, or dies: for a guest's grants only, and
 * by name, since a guest dies but once. $GRANTER is the guest, $REVOKE a command
 * that has it end the process that grants.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "held.h"
#include "uring.h"

#define HELD	8u

static void shell(const char *format, const char *word)
{
	char command[600];

	expect(word);
	expect(snprintf(command, sizeof(command), format, word) < (int)sizeof(command));
	if (system(command))
		fail("this failed: %s", command);
}

static void wait_until(const char *command)
{
	int tries = 60;

	while (system(command) && tries--)
		usleep(500000);
	expect_eq(system(command), 0);
}

static void of_another_domain(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	expect_eq(map_of(&arena, 0, owner + 1, gref[0]), -ESRCH);
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	arena_end(&arena);
}

static void revoked_while_mapped(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = open_direct(data_file);

	map_all(&arena, 0);
	memset(arena.base, 0x19, GRANTS * PAGE);
	shell("%s", getenv("REVOKE"));
	/* The guest has to wait; the page is ours until it is unmapped. */
	expect_eq(arena.base[PAGE], 0x19);
	expect_eq(pwrite(fd, arena.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	expect_eq(pread(fd, arena.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	unmap_all(&arena, 0);
	arena_end(&arena);
	close(fd);
}

static void revoked_before_mapped(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int status;
	int tries = 100;

	/* Grants that were mapped a moment ago end when the guest looks again. */
	do {
		status = map_one(&arena, 0, gref[0]);
		if (!status)
			expect_eq(unmap_one(&arena, 0), 0);
		usleep(200000);
	} while (!status && tries--);
	expect_eq(status, -EIO);
	arena_end(&arena);
}

static void hold_reads(const struct arena *arena)
{
	static struct uring ring;
	int fd = open_direct(HELD_PATH);
	int tries = 500;
	unsigned int i;

	expect_eq(uring_open(&ring, HELD), 0);
	for (i = 0; i < HELD; i++)
		uring_rw(&ring, 0, fd, slot_page(arena, i), PAGE, i * PAGE, URING_NOT_FIXED);
	expect_eq(uring_submit(&ring, HELD), 0);
	while (held_waiting() != HELD && tries--)
		usleep(10000);
	expect_eq(held_waiting(), HELD);
}

static void destroyed_while_mapped(void)
{
	struct arena mapped = arena_make(SLOTS, 0);
	int fd = open_direct(data_file);
	int status;

	map_all(&mapped, 0);
	memset(mapped.base, 0x77, GRANTS * PAGE);
	shell("xl destroy %s", getenv("GRANTER"));
	expect_eq(touch(mapped.base), 0);
	expect_eq(mapped.base[GRANTS * PAGE - 1], 0x77);
	expect_eq(pwrite(fd, mapped.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	expect_eq(pread(fd, mapped.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	/* Xen may still map a grant that is mapped already: as good as any other. */
	status = map_one(&mapped, GRANTS, gref[0]);
	printf("   a map from a dying domain gives %d\n", status);
	expect(status <= 0);
	if (!status)
		expect_eq(unmap_one(&mapped, GRANTS), 0);
	expect_eq(counter("mapped"), GRANTS);
	close(fd);
	/* The domain waits for its pages. */
	wait_until("xl list | grep -q -e '(null)' -e ' --.*d'");
	unmap_all(&mapped, 0);
	wait_until("! xl list | grep -q '(null)'");
	expect_eq(map_one(&mapped, 0, gref[0]), -ESRCH);
	arena_end(&mapped);
}

/*
 * The device's reads go into pages of a guest that is gone, whose process on
 * this side is gone as well.
 */
static void destroyed_while_io_is_held(void)
{
	pid_t child = child_start();

	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);

		map_all(&arena, 0);
		hold_reads(&arena);
		kill(getpid(), SIGKILL);
	}
	child_wait_killed(child);
	wait_counter("mapped", HELD);
	shell("xl destroy %s", getenv("GRANTER"));
	usleep(500000);
	expect_eq(counter("draining"), HELD);
	expect_user_ptes(0);
	wait_until("xl list | grep -q '(null)'");
	expect_eq(held_release(), 0);
	wait_nothing_mapped();
	wait_until("! xl list | grep -q '(null)'");
}

const struct check checks[] = {
	CHECK_GUEST(of_another_domain),
	CHECK_GUEST(revoked_while_mapped),
	CHECK_GUEST(revoked_before_mapped),
	CHECK_GUEST(destroyed_while_mapped),
	CHECK_GUEST(destroyed_while_io_is_held),
	{ 0 }
};
