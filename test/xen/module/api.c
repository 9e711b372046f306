// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The interface for other kernel modules, through test/kmod: look-ups, holds,
 * and what remains when somebody unmaps a grant behind the module's back. The
 * last three lose a page each, which stay in quarantine until the module goes.
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
#include <unistd.h>

#include "../../kmod/xentap_test.h"
#include "harness.h"

#define NO_MFN	0xfffffffffull

static int test_open(void)
{
	int fd = open("/dev/xentap-test", O_RDWR | O_CLOEXEC);

	expect(fd >= 0);
	return fd;
}

/* The call must work; what it found is in the answer's result. */
static struct xt_lookup call(int fd, unsigned long command, uint64_t key, uint32_t place)
{
	struct xt_lookup lookup = { .key = key, .place = place, .nr = XT_GRANTS, .result = 1 };

	if (ioctl(fd, command, &lookup))
		fail("call %#lx of the test module", command);
	return lookup;
}

static uint64_t mfn_of(const struct arena *arena, uint32_t slot)
{
	struct xentap_query_addr entry = { .addr = (uintptr_t)slot_page(arena, slot) };
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };

	expect_eq(ioctl(arena->fd, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, 0);
	return entry.mfn;
}

static void frames_and_pages_are_found(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	int fd = test_open();
	struct xt_lookup by_mfn, by_page;
	unsigned int i;

	map_all(&arena, 0);
	for (i = 0; i < GRANTS; i++) {
		by_mfn = call(fd, XT_MFN_GRANTS, mfn_of(&arena, i), 0);
		expect_eq(by_mfn.nr, 1);
		expect_eq(by_mfn.grants[0].gref, gref[i]);
		expect_eq(by_mfn.grants[0].domid, owner);
		expect_eq(by_mfn.grants[0].rdonly, 0);
		by_page = call(fd, XT_PAGE_GRANT, (uintptr_t)slot_page(&arena, i), 0);
		expect_eq(by_page.result, 0);
		expect_eq(memcmp(by_page.grants, by_mfn.grants, sizeof(by_page.grants[0])), 0);
	}
	expect_eq(map_one(&rdonly, 5, gref[3]), 0);
	by_mfn = call(fd, XT_MFN_GRANTS, mfn_of(&arena, 3), 0);
	expect_eq(by_mfn.nr, 2);
	expect(by_mfn.grants[0].rdonly + by_mfn.grants[1].rdonly == 1);
	expect(by_mfn.grants[0].pfn != by_mfn.grants[1].pfn);
	expect_eq(unmap_one(&rdonly, 5), 0);
	unmap_all(&arena, 0);
	arena_end(&arena);
	arena_end(&rdonly);
	close(fd);
}

/* What is no grant of ours is nobody's, by frame as by page. */
static void others_are_not_found(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	uint8_t *own = aligned_alloc(PAGE, PAGE);
	int fd = test_open();
	uint64_t mfn;

	own[0] = 1;
	expect_eq(call(fd, XT_MFN_GRANTS, NO_MFN, 0).nr, 0);
	expect_eq(call(fd, XT_MFN_GET, NO_MFN, 0).result, -ENOENT);
	expect_eq(call(fd, XT_PAGE_GRANT, (uintptr_t)own, 0).result, -ENOENT);
	expect_eq(call(fd, XT_PAGE_GET, (uintptr_t)own, 0).result, -ENOENT);
	/* An answer from before is stale now. */
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	mfn = mfn_of(&arena, 0);
	expect_eq(call(fd, XT_MFN_GRANTS, mfn, 0).nr, 1);
	expect_eq(unmap_one(&arena, 0), 0);
	expect_eq(call(fd, XT_MFN_GRANTS, mfn, 0).nr, 0);
	expect_eq(call(fd, XT_MFN_GET, mfn, 0).result, -ENOENT);
	arena_end(&arena);
	free(own);
	close(fd);
}

static void frames_fall_through_to_the_global_table(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = test_open();
	struct xt_lookup own = call(fd, XT_GRANT_TWICE, 0, 0);
	struct xt_lookup page;
	uint64_t mfn;

	expect_eq(map_one(&arena, 0, gref[0]), 0);
	mfn = mfn_of(&arena, 0);
	page = call(fd, XT_MFN_TO_PAGE, mfn, 0);
	expect_eq(page.nr, 1);
	expect_eq(page.grants[0].pfn,
		  call(fd, XT_PAGE_GRANT, (uintptr_t)slot_page(&arena, 0), 0).grants[0].pfn);
	expect_eq(call(fd, XT_MFN_TO_PAGE, NO_MFN, 0).nr, 0);
	expect_eq(unmap_one(&arena, 0), 0);
	page = call(fd, XT_MFN_TO_PAGE, mfn, 0);
	if (auto_translated || owner) {
		/* No table, or not this domain's frame. */
		expect_eq(page.nr, 0);
	} else {
		expect_eq(page.nr, 1);
	}
	if (!auto_translated) {
		page = call(fd, XT_MFN_TO_PAGE, own.grants[0].mfn, 0);
		expect_eq(page.nr, 1);
		expect_eq(page.grants[0].pfn, own.grants[0].pfn);
	}
	arena_end(&arena);
	close(fd);
}

/* A hold by either call keeps the page mapped, its slot draining. */
static void hold_and_put(const struct arena *arena, int fd, unsigned long get, uint64_t key)
{
	*slot_page(arena, 7) = 0xd7;
	expect_eq(call(fd, get, key, 0).result, 0);
	expect_eq(call(fd, XT_MFN_GET, mfn_of(arena, 7), 1).result, 0);
	expect_eq(unmap_one(arena, 7), -EINPROGRESS);
	expect_eq(counter("draining"), 1);
	expect_eq(touch(slot_page(arena, 7)), SIGBUS);
	expect_eq(map_one(arena, 7, gref[7]), -EBUSY);
	expect_eq(call(fd, XT_PEEK, 0, 0).byte, 0xd7);
	call(fd, XT_PUT, 0, 0);
	usleep(300000);
	expect_eq(counter("draining"), 1);
	expect_eq(call(fd, XT_PEEK, 0, 1).byte, 0xd7);
	call(fd, XT_PUT, 0, 1);
	wait_drained(arena, 1);
	expect_eq(map_one(arena, 7, gref[7]), 0);
}

static void held_until_put(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = test_open();
	uint64_t mfn;

	expect_eq(map_one(&arena, 7, gref[7]), 0);
	mfn = mfn_of(&arena, 7);
	hold_and_put(&arena, fd, XT_MFN_GET, mfn);
	hold_and_put(&arena, fd, XT_PAGE_GET, (uintptr_t)slot_page(&arena, 7));
	/* A slot that drains is found no more. */
	expect_eq(call(fd, XT_MFN_GET, mfn, 0).result, 0);
	expect_eq(unmap_one(&arena, 7), -EINPROGRESS);
	expect_eq(call(fd, XT_MFN_GRANTS, mfn, 0).nr, 0);
	expect_eq(call(fd, XT_MFN_GET, mfn, 1).result, -ENOENT);
	call(fd, XT_PUT, 0, 0);
	wait_drained(&arena, 1);
	expect_eq(unmap_one(&arena, 7), -ENOENT);
	arena_end(&arena);
	close(fd);
}

static void held_beyond_its_process(void)
{
	struct gate ready = gate_make();
	int fd = test_open();
	struct arena arena;
	uint64_t mfn;
	pid_t child = child_start();

	if (!child) {
		arena = arena_make(SLOTS, 0);
		map_all(&arena, 0);
		*slot_page(&arena, 2) = 0x9d;
		mfn = mfn_of(&arena, 2);
		expect_eq(write(ready.ends[1], &mfn, sizeof(mfn)), sizeof(mfn));
		pause();
	}
	expect_eq(read(ready.ends[0], &mfn, sizeof(mfn)), sizeof(mfn));
	expect_eq(call(fd, XT_MFN_GET, mfn, 0).result, 0);
	child_kill(child);
	wait_counter("mapped", 1);
	expect_user_ptes(0);
	usleep(200000);
	expect_eq(counter("draining"), 1);
	expect_eq(call(fd, XT_PEEK, 0, 0).byte, 0x9d);
	call(fd, XT_PUT, 0, 0);
	wait_nothing_mapped();
	close(fd);
}

/* One frame, two grant references: two answers, each with its own. */
static void two_grants_of_one_frame(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = test_open();
	struct xt_lookup own = call(fd, XT_GRANT_TWICE, 0, 0);
	struct xt_lookup found;
	uint64_t mfn;

	expect_eq(own.nr, 2);
	expect(own.grants[0].gref != own.grants[1].gref);
	expect_eq(map_of(&arena, 0, 0, own.grants[0].gref), 0);
	expect_eq(map_of(&arena, 1, 0, own.grants[1].gref), 0);
	expect_eq(*slot_page(&arena, 0), 0x6b);
	*slot_page(&arena, 0) = 0x6c;
	expect_eq(*slot_page(&arena, 1), 0x6c);
	mfn = mfn_of(&arena, 0);
	expect_eq(mfn_of(&arena, 1), mfn);
	found = call(fd, XT_MFN_GRANTS, mfn, 0);
	expect_eq(found.nr, 2);
	expect_eq(found.grants[0].gref + found.grants[1].gref,
		  own.grants[0].gref + own.grants[1].gref);
	expect(found.grants[0].gref != found.grants[1].gref);
	/* Each slot answers for its own grant only. */
	found = call(fd, XT_PAGE_GRANT, (uintptr_t)slot_page(&arena, 0), 0);
	expect_eq(found.grants[0].gref, own.grants[0].gref);
	found = call(fd, XT_PAGE_GRANT, (uintptr_t)slot_page(&arena, 1), 0);
	expect_eq(found.grants[0].gref, own.grants[1].gref);
	expect_eq(unmap_one(&arena, 0), 0);
	found = call(fd, XT_MFN_GRANTS, mfn, 0);
	expect_eq(found.nr, 1);
	expect_eq(found.grants[0].gref, own.grants[1].gref);
	expect_eq(unmap_one(&arena, 1), 0);
	arena_end(&arena);
	close(fd);
}

/* ---- look-ups from interrupts, while the grant comes and goes */

static struct xt_storm storm;

static void *run_storm(void *context)
{
	int fd = test_open();

	expect_eq(ioctl(fd, XT_STORM, &storm), 0);
	close(fd);
	return NULL;
}

static void looked_up_from_interrupts(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	double end = now() + 5;
	unsigned int rounds = 0;
	pthread_t thread;

	expect_eq(map_one(&arena, 0, gref[0]), 0);
	storm = (struct xt_storm){ .mfn = mfn_of(&arena, 0), .ms = 5000 };
	expect_eq(unmap_one(&arena, 0), 0);
	expect_eq(pthread_create(&thread, NULL, run_storm, NULL), 0);
	while (now() < end) {
		map_all(&arena, 0);
		wait_drained(&arena, unmap_some(&arena, 0, GRANTS));
		rounds++;
	}
	pthread_join(thread, NULL);
	printf("   %u rounds; %u found, %u not\n", rounds, storm.found, storm.missed);
	expect(rounds > 3 && storm.found > 0 && storm.missed > 0);
	expect_eq(storm.wrong, 0);
	arena_end(&arena);
}

/* ---- a page fault that finds an entry which was not there when it began */

static volatile bool writing;

static void *write_repeatedly(void *context)
{
	while (writing)
		scribble(context, 0x5f);
	return NULL;
}

/* The handler must not write the entry: Xen may have cleared it by then. */
static void faults_leave_entries_alone(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	double end = now() + 20;
	struct xt_faults faults;
	int fd = test_open();
	unsigned int i;
	pthread_t thread;

	writing = true;
	expect_eq(pthread_create(&thread, NULL, write_repeatedly, slot_page(&arena, 0)), 0);
	expect_eq(ioctl(fd, XT_FAULTS_BEGIN), 0);
	for (i = 0; i < 400 && now() < end; i++) {
		expect_eq(map_one(&arena, 0, gref[0]), 0);
		usleep(i % 8 * 1000);
		wait_drained(&arena, unmap_some(&arena, 0, 1));
		usleep(2000);
	}
	expect_eq(ioctl(fd, XT_FAULTS_END, &faults), 0);
	writing = false;
	pthread_join(thread, NULL);
	printf("   %u rounds; %u faults found an entry\n", i, faults.looked);
	expect(faults.looked > 0);
	expect_eq(faults.wrote, 0);
	arena_end(&arena);
	close(fd);
}

/* ---- sabotage */

static void sabotage(const struct arena *arena, int fd, uint32_t slot)
{
	expect_eq(call(fd, XT_MFN_GET, mfn_of(arena, slot), 0).result, 0);
	expect_eq(call(fd, XT_RAW_UNMAP, 0, 0).result, 0);
	call(fd, XT_PUT, 0, 0);
}

static void unmapped_behind_its_back(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[4];
	struct xentap_map maps[4];
	long before = counter("quarantined");
	int fd = test_open();
	unsigned int i;

	for (i = 0; i < 4; i++) {
		unmaps[i] = (struct xentap_unmap){ .slot = i };
		maps[i] = (struct xentap_map){ .slot = i, .gref = gref[i], .domid = owner };
	}
	expect_eq(batch(&arena, NULL, 0, maps, 4), 0);
	sabotage(&arena, fd, 1);
	/* The slot is lost, its neighbours are not. */
	expect_eq(batch(&arena, unmaps, 4, NULL, 0), 0);
	for (i = 0; i < 4; i++)
		expect_eq(unmaps[i].status, i == 1 ? -EIO : 0);
	expect_eq(counter("quarantined"), before + 1);
	expect_eq(counter("mapped"), 0);
	expect_eq(counter("draining"), 0);
	/* And never used again. */
	expect_eq(unmap_one(&arena, 1), -EIO);
	expect_eq(map_one(&arena, 1, gref[1]), -EBUSY);
	expect_eq(touch(slot_page(&arena, 1)), SIGBUS);
	expect_eq(map_one(&arena, 2, gref[1]), 0);
	expect_eq(touch(slot_page(&arena, 2)), 0);
	expect_eq(unmap_one(&arena, 2), 0);
	arena_end(&arena);
	wait_counter("arenas", 0);
	close(fd);
}

/* Lost while it drains: read() says so. */
static void lost_while_draining(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct pollfd ready = { .fd = arena.fd, .events = POLLIN };
	struct xentap_drained record;
	long before = counter("quarantined");
	int fd = test_open();

	expect_eq(map_one(&arena, 9, gref[0]), 0);
	expect_eq(call(fd, XT_MFN_GET, mfn_of(&arena, 9), 0).result, 0);
	expect_eq(unmap_one(&arena, 9), -EINPROGRESS);
	expect_eq(call(fd, XT_RAW_UNMAP, 0, 0).result, 0);
	call(fd, XT_PUT, 0, 0);
	expect_eq(poll(&ready, 1, 10000), 1);
	expect_eq(read(arena.fd, &record, sizeof(record)), sizeof(record));
	expect_eq(record.slot, 9);
	expect_eq(record.status, -EIO);
	expect_eq(counter("quarantined"), before + 1);
	expect_eq(map_one(&arena, 9, gref[0]), -EBUSY);
	arena_end(&arena);
	close(fd);
}

/* Lost when its process has died: nobody to tell, only the counter. */
static void lost_after_death(void)
{
	long before = counter("quarantined");
	struct gate ready = gate_make();
	int fd = test_open();
	pid_t child = child_start();
	uint64_t mfn;

	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);

		map_all(&arena, 0);
		mfn = mfn_of(&arena, 5);
		expect_eq(write(ready.ends[1], &mfn, sizeof(mfn)), sizeof(mfn));
		pause();
	}
	expect_eq(read(ready.ends[0], &mfn, sizeof(mfn)), sizeof(mfn));
	expect_eq(call(fd, XT_MFN_GET, mfn, 0).result, 0);
	expect_eq(call(fd, XT_RAW_UNMAP, 0, 0).result, 0);
	child_kill(child);
	call(fd, XT_PUT, 0, 0);
	wait_counter("quarantined", before + 1);
	wait_nothing_mapped();
	wait_counter("arenas", 0);
	close(fd);
}

const struct check checks[] = {
	CHECK(frames_and_pages_are_found),
	CHECK(others_are_not_found),
	CHECK(frames_fall_through_to_the_global_table),
	CHECK(held_until_put),
	CHECK(held_beyond_its_process),
	CHECK(two_grants_of_one_frame),
	CHECK(looked_up_from_interrupts),
	CHECK(faults_leave_entries_alone),
	CHECK_LOSING(unmapped_behind_its_back),
	CHECK_LOSING(lost_while_draining),
	CHECK_LOSING(lost_after_death),
	{ 0 }
};
