// SPDX-License-Identifier: GPL-2.0-or-later
/* Maps and unmaps in lists: each entry for itself, and what the index says. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.h"

#define NO_GREF		0x7fffffffu

static void same_bytes_both_ways(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	paint();
	map_all(&arena, 10);
	expect_eq(memcmp(slot_page(&arena, 10), granted, GRANTS * PAGE), 0);
	memset(slot_page(&arena, 10), 0x77, PAGE);
	expect_eq(granted[100], 0x77);
	unmap_all(&arena, 10);
	expect_eq(touch(slot_page(&arena, 10)), SIGBUS);
	arena_end(&arena);
}

static void direct_io_is_zero_copy(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	int fd = open_direct(data_file);

	paint();
	map_all(&rdonly, 0);
	map_all(&arena, 0);
	expect_eq(pwrite(fd, rdonly.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	memset(granted, 0, GRANTS * PAGE);
	/* Read-only mappings are no target of a read. */
	expect_error(pread(fd, rdonly.base, PAGE, 0), EFAULT);
	expect_eq(granted[33], 0);
	expect_eq(pread(fd, arena.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	expect_eq(granted[PAGE * 3 + 33], painted(PAGE * 3 + 33));
	expect_eq(touch(slot_page(&arena, GRANTS)), SIGBUS);
	expect_error(pread(fd, slot_page(&arena, GRANTS), PAGE, 0), EFAULT);
	unmap_all(&arena, 0);
	unmap_all(&rdonly, 0);
	arena_end(&arena);
	arena_end(&rdonly);
	close(fd);
}

static void entries_fail_alone(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_map maps[] = {
		{ .slot = 0, .gref = gref[0], .domid = owner },
		{ .slot = 1, .gref = NO_GREF, .domid = owner },
		{ .slot = 2, .gref = gref[2], .domid = 4321 },
		{ .slot = 3, .gref = gref[3], .domid = 0x7ff0 },
		{ .slot = 4, .gref = gref[4], .domid = 0x10000 },
		{ .slot = SLOTS, .gref = gref[5], .domid = owner },
		{ .slot = 0, .gref = gref[6], .domid = owner },
		{ .slot = 7, .gref = gref[7], .domid = owner },
		{ .slot = 8, .gref = gref[7], .domid = owner },
	};

	expect_eq(batch(&arena, NULL, 0, maps, 9), 0);
	expect_eq(maps[0].status, 0);
	expect_eq(maps[1].status, -ENOENT);
	expect_eq(maps[2].status, -ESRCH);
	expect_eq(maps[3].status, -ESRCH);
	expect_eq(maps[4].status, -ESRCH);
	expect_eq(maps[5].status, -EINVAL);
	expect_eq(maps[6].status, -EBUSY);
	expect_eq(maps[7].status, 0);
	expect_eq(maps[8].status, 0);
	expect_eq(counter("mapped"), 3);
	expect_eq(unmap_one(&arena, 1), -ENOENT);
	expect_eq(unmap_one(&arena, SLOTS), -EINVAL);
	expect_eq(map_one(&arena, 1, gref[1]), 0);
	arena_end(&arena);
}

/* A batch of all grants whose entry @bad is refused by Xen. */
static void fail_map_at(const struct arena *arena, unsigned int bad)
{
	struct xentap_map maps[GRANTS];
	struct xentap_unmap unmaps[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){
			.slot = 3 * i, .gref = i == bad ? NO_GREF : gref[i], .domid = owner,
		};
	expect_eq(batch(arena, NULL, 0, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++) {
		expect_eq(maps[i].status, i == bad ? -ENOENT : 0);
		expect_eq(touch(slot_page(arena, 3 * i)), i == bad ? SIGBUS : 0);
		unmaps[i] = (struct xentap_unmap){ .slot = 3 * i };
	}
	expect_eq(counter("mapped"), GRANTS - 1);
	expect_user_ptes(GRANTS - 1);
	expect_eq(batch(arena, unmaps, GRANTS, NULL, 0), 0);
	for (i = 0; i < GRANTS; i++)
		expect_eq(unmaps[i].status, i == bad ? -ENOENT : 0);
	expect_eq(counter("mapped"), 0);
}

static void first_middle_last_fails(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	fail_map_at(&arena, 0);
	fail_map_at(&arena, GRANTS / 2);
	fail_map_at(&arena, GRANTS - 1);
	arena_end(&arena);
}

static void all_entries_fail(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_map maps[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){ .slot = i, .gref = NO_GREF, .domid = owner };
	expect_eq(batch(&arena, NULL, 0, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++)
		expect_eq(maps[i].status, -ENOENT);
	expect_eq(counter("mapped"), 0);
	map_all(&arena, 0);
	unmap_all(&arena, 0);
	arena_end(&arena);
}

static void slot_named_twice(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[2] = { { .slot = 3 }, { .slot = 3 } };
	struct xentap_map maps[2] = {
		{ .slot = 5, .gref = gref[0], .domid = owner },
		{ .slot = 5, .gref = gref[1], .domid = owner },
	};

	map_all(&arena, 0);
	expect_eq(batch(&arena, unmaps, 2, NULL, 0), 0);
	expect_eq(unmaps[0].status, 0);
	expect_eq(unmaps[1].status, 0);
	expect_eq(unmap_one(&arena, 5), 0);
	expect_eq(batch(&arena, NULL, 0, maps, 2), 0);
	expect_eq(maps[0].status, 0);
	expect_eq(maps[1].status, -EBUSY);
	arena_end(&arena);
}

/* Unmaps come first, so that one call can put another grant into a slot. */
static void slots_change_hands_in_one_call(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[GRANTS];
	struct xentap_map maps[GRANTS];
	unsigned int i;

	map_all(&arena, 0);
	for (i = 0; i < GRANTS; i++) {
		unmaps[i] = (struct xentap_unmap){ .slot = i };
		maps[i] = (struct xentap_map){
			.slot = i, .gref = gref[GRANTS - 1 - i], .domid = owner,
		};
	}
	expect_eq(batch(&arena, unmaps, GRANTS, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++) {
		expect_eq(unmaps[i].status, 0);
		expect_eq(maps[i].status, 0);
	}
	expect_eq(counter("mapped"), GRANTS);
	if (granted) {
		paint();
		for (i = 0; i < GRANTS; i++)
			expect_eq(*slot_page(&arena, i), painted((size_t)(GRANTS - 1 - i) * PAGE));
	}
	unmap_all(&arena, 0);
	arena_end(&arena);
}

/* The longest list there is, every grant many times over. */
static void one_grant_in_many_slots(void)
{
	enum { MANY = 1024 };
	struct arena arena = arena_make(MANY, 0);
	struct xentap_map *maps = calloc(MANY, sizeof(*maps));
	struct xentap_unmap *unmaps = calloc(MANY, sizeof(*unmaps));
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		maps[i] = (struct xentap_map){
			.slot = i, .gref = gref[i % GRANTS], .domid = owner, .status = 99,
		};
		unmaps[i].slot = MANY - 1 - i;
	}
	expect_eq(batch(&arena, NULL, 0, maps, MANY), 0);
	for (i = 0; i < MANY; i++)
		expect_eq(maps[i].status, 0);
	expect_eq(counter("mapped"), MANY);
	*slot_page(&arena, 7) = 0xa5;
	expect_eq(*slot_page(&arena, 7 + 5 * GRANTS), 0xa5);
	expect_eq(batch(&arena, unmaps, MANY, NULL, 0), 0);
	for (i = 0; i < MANY; i++)
		expect_eq(unmaps[i].status, 0);
	free(maps);
	free(unmaps);
	arena_end(&arena);
}

static void queries_tell_the_grant(void)
{
	struct xentap_query_addr entries[GRANTS + 2] = { 0 };
	struct xentap_query query = { .entries = (uintptr_t)entries, .nr = GRANTS + 2 };
	struct xentap_mfn_grant found[8];
	struct xentap_query_mfn by_mfn = { .grants = (uintptr_t)found, .nr = 8 };
	struct arena arena = arena_make(SLOTS, 0);
	unsigned int i;

	map_all(&arena, 100);
	expect_eq(map_one(&arena, 0, gref[9]), 0);
	for (i = 0; i < GRANTS; i++)
		entries[i].addr = (uintptr_t)slot_page(&arena, 100 + i) + i * 37;
	entries[GRANTS].addr = (uintptr_t)slot_page(&arena, 99);
	entries[GRANTS + 1].addr = (uintptr_t)slot_page(&arena, SLOTS);
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), 0);
	for (i = 0; i < GRANTS; i++) {
		expect_eq(entries[i].status, 0);
		expect_eq(entries[i].gref, gref[i]);
		expect_eq(entries[i].domid, owner);
		expect(entries[i].mfn && entries[i].mfn != XENTAP_MFN_HIDDEN);
	}
	expect_eq(entries[GRANTS].status, -ENOENT);
	expect_eq(entries[GRANTS + 1].status, -EINVAL);

	/* Two slots hold grant 9: one frame, two answers. */
	by_mfn.mfn = entries[9].mfn;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	expect_eq(by_mfn.total, 2);
	expect_eq(found[0].gref, gref[9]);
	expect_eq(found[1].gref, gref[9]);
	expect(found[0].handle != found[1].handle);
	/* Room for one: it says how many there are. */
	by_mfn.nr = 1;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	expect_eq(by_mfn.nr, 1);
	expect_eq(by_mfn.total, 2);
	unmap_all(&arena, 100);
	by_mfn.nr = 8;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	expect_eq(by_mfn.total, 1);
	expect_eq(unmap_one(&arena, 0), 0);
	by_mfn.nr = 8;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	expect_eq(by_mfn.total, 0);
	arena_end(&arena);
}

/* ---- the granting side changes its mind */

static void revoked_before_it_is_mapped(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct grants *grants = grants_make(0, 2, true);
	uint32_t ref = grants->ref[1];

	expect_eq(map_of(&arena, 0, 0, ref), 0);
	expect_eq(unmap_one(&arena, 0), 0);
	grants_end(grants);
	expect_eq(map_of(&arena, 0, 0, ref), -EIO);
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	arena_end(&arena);
}

static void granted_to_another_domain(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct grants *grants = grants_make(4000, 2, true);
	struct xentap_map maps[3] = {
		{ .slot = 0, .gref = gref[0], .domid = owner },
		{ .slot = 1, .gref = grants->ref[0], .domid = 0 },
		{ .slot = 2, .gref = gref[1], .domid = owner },
	};

	expect_eq(batch(&arena, NULL, 0, maps, 3), 0);
	expect_eq(maps[0].status, 0);
	expect_eq(maps[1].status, -EIO);
	expect_eq(maps[2].status, 0);
	arena_end(&arena);
	grants_end(grants);
}

/* Whoever has mapped a page keeps it; the owner waits. */
static void revoked_while_it_is_mapped(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct grants *grants = grants_make(0, 2, true);
	uint32_t ref = grants->ref[0];

	grants->mem[17] = 0x3c;
	expect_eq(map_of(&arena, 0, 0, ref), 0);
	grants_end(grants);
	expect_eq(slot_page(&arena, 0)[17], 0x3c);
	slot_page(&arena, 0)[18] = 1;
	expect_eq(unmap_one(&arena, 0), 0);
	arena_end(&arena);
}

static void rdonly_grant_needs_the_rdonly_arena(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	struct grants *grants = grants_make(0, 1, false);
	struct xentap_map maps[3] = {
		{ .slot = 0, .gref = gref[0], .domid = owner },
		{ .slot = 1, .gref = grants->ref[0], .domid = 0 },
		{ .slot = 2, .gref = gref[1], .domid = owner },
	};
	int fd = open_direct(data_file);

	memset(grants->mem, 0x5a, PAGE);
	expect_eq(batch(&arena, NULL, 0, maps, 3), 0);
	expect_eq(maps[0].status, 0);
	expect_eq(maps[1].status, -EIO);
	expect_eq(maps[2].status, 0);
	expect_eq(map_of(&rdonly, 1, 0, grants->ref[0]), 0);
	expect_eq(slot_page(&rdonly, 1)[5], 0x5a);
	expect_eq(pwrite(fd, slot_page(&rdonly, 1), PAGE, 0), PAGE);
	expect_eq(pwrite(fd, slot_page(&arena, 0), PAGE, 0), PAGE);
	expect_error(pread(fd, slot_page(&rdonly, 1), PAGE, 0), EFAULT);
	expect_eq(scribble(slot_page(&rdonly, 1), 1), SIGSEGV);
	expect_eq(grants->mem[0], 0x5a);
	expect_eq(unmap_one(&rdonly, 1), 0);
	arena_end(&arena);
	arena_end(&rdonly);
	grants_end(grants);
	close(fd);
}

const struct check checks[] = {
	CHECK_OWN(same_bytes_both_ways),
	CHECK_OWN(direct_io_is_zero_copy),
	CHECK(entries_fail_alone),
	CHECK(first_middle_last_fails),
	CHECK(all_entries_fail),
	CHECK(slot_named_twice),
	CHECK(slots_change_hands_in_one_call),
	CHECK(one_grant_in_many_slots),
	CHECK(queries_tell_the_grant),
	CHECK_OWN(granted_to_another_domain),
	CHECK_OWN(revoked_before_it_is_mapped),
	CHECK_OWN(revoked_while_it_is_mapped),
	CHECK_OWN(rdonly_grant_needs_the_rdonly_arena),
	{ 0 }
};
