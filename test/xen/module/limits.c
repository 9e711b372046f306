// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's limits: module-limits.sh has loaded it with small ones, for a
 * domain smaller than GRANTS, in total smaller than twice that.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness.h"

static unsigned int limit_domid, limit_total, limit_slots;

static void limits_are_told(void)
{
	struct xentap_info info;
	int fd = tap_open();

	expect_eq(ioctl(fd, XENTAP_IOC_GET_INFO, &info), 0);
	close(fd);
	limit_domid = info.max_grants_domid;
	limit_total = info.max_grants;
	limit_slots = info.max_slots;
	expect(limit_domid < GRANTS);
	expect(limit_total > limit_domid && limit_total < 2 * limit_domid);
}

static void slots_of_one_arena(void)
{
	struct xentap_arena_create create = { .nr_slots = limit_slots + 1 };
	struct arena arena;
	int fd = tap_open();

	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EINVAL);
	close(fd);
	arena = arena_make(limit_slots, 0);
	arena_end(&arena);
}

/* Asks for all grants; how many were mapped, all others refused by a limit. */
static unsigned int map_to_the_limit(const struct arena *arena, uint32_t first, uint32_t domid,
				     const uint32_t *refs)
{
	struct xentap_map maps[GRANTS];
	unsigned int done = 0;
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){ .slot = first + i, .gref = refs[i], .domid = domid };
	expect_eq(batch(arena, NULL, 0, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++) {
		if (maps[i].status)
			expect_eq(maps[i].status, -EDQUOT);
		else
			done++;
	}
	return done;
}

static void unmap_first(const struct arena *arena, uint32_t first, uint32_t nr)
{
	expect_eq(unmap_some(arena, first, nr), 0);
}

static void one_domain_has_its_limit(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena other = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);

	expect_eq(map_to_the_limit(&arena, 0, owner, gref), limit_domid);
	expect_eq(counter("mapped"), limit_domid);
	/* Another arena does not help. */
	expect_eq(map_to_the_limit(&other, 0, owner, gref), 0);
	unmap_first(&arena, 0, 5);
	expect_eq(map_to_the_limit(&other, 0, owner, gref), 5);
	arena_end(&arena);
	arena_end(&other);
}

static void all_domains_share_the_total(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct grants *own = grants_make(0, GRANTS, true);

	expect_eq(map_to_the_limit(&arena, 0, owner, gref), limit_domid);
	expect_eq(map_to_the_limit(&arena, GRANTS, 0, own->ref), limit_total - limit_domid);
	/* It is not the domain's own limit that holds here. */
	unmap_first(&arena, 0, 3);
	expect_eq(map_to_the_limit(&arena, 2 * GRANTS, 0, own->ref), 3);
	arena_end(&arena);
	grants_end(own);
}

/* What is refused for another reason does not count, however often. */
static void failures_cost_nothing(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	unsigned int i;

	for (i = 0; i < limit_total + 10; i++) {
		expect_eq(map_one(&arena, 0, 0x7fffffff), -ENOENT);
		expect_eq(map_of(&arena, 0, 4321, 1), -ESRCH);
		expect_eq(map_of(&arena, 0, 0x7ff0, 1), -ESRCH);
		expect_eq(map_one(&arena, SLOTS, gref[0]), -EINVAL);
	}
	expect_eq(map_to_the_limit(&arena, 0, owner, gref), limit_domid);
	arena_end(&arena);
}

/* A guest's page that I/O holds is still mapped, so it counts. */
static void draining_slots_count(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int ends[2];

	expect_eq(pipe(ends), 0);
	expect_eq(map_to_the_limit(&arena, 0, owner, gref), limit_domid);
	expect_eq(vmsplice(ends[1], &(struct iovec){ slot_page(&arena, 0), 2 * PAGE }, 1, 0),
		  2 * PAGE);
	expect_eq(unmap_some(&arena, 0, 2), 2);
	expect_eq(map_one(&arena, GRANTS, gref[0]), -EDQUOT);
	close(ends[0]);
	close(ends[1]);
	wait_drained(&arena, 2);
	expect_eq(map_one(&arena, GRANTS, gref[0]), 0);
	arena_end(&arena);
}

static void the_dead_give_back(void)
{
	struct arena arena;
	int round;

	for (round = 0; round < 3; round++) {
		pid_t child = child_start();

		if (!child) {
			arena = arena_make(SLOTS, 0);
			map_to_the_limit(&arena, 0, owner, gref);
			kill(getpid(), SIGKILL);
		}
		child_wait_killed(child);
		wait_nothing_mapped();
	}
	arena = arena_make(SLOTS, 0);
	expect_eq(map_to_the_limit(&arena, 0, owner, gref), limit_domid);
	arena_end(&arena);
}

const struct check checks[] = {
	CHECK(limits_are_told),
	CHECK(slots_of_one_arena),
	CHECK(one_domain_has_its_limit),
	CHECK_GUEST(all_domains_share_the_total),
	CHECK(failures_cost_nothing),
	CHECK(draining_slots_count),
	CHECK(the_dead_give_back),
	{ 0 }
};
