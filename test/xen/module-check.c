// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module under test: grants are mapped through /dev/xen/tap, and the mapping
 * suffers whatever a process can do to it. The grants are
 *
 *	module-check FILE			dom0's own, made by gntalloc
 *	module-check FILE DOMID GREF...		64 of a guest
 *
 * Both matter: Xen lets dom0 touch entries of its own pages in ways that it
 * refuses for those of a guest. FILE is on a file system with O_DIRECT and may
 * be overwritten. Prints "ok: NAME" for each check; the first failure ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/gntalloc.h>

#include "../../include/uapi/xentap.h"

#define PAGE		XENTAP_SLOT_BYTES
#define GRANTS		64u
#define SLOTS		256u
#define ROUNDS		200

static const char *file_name;
static const char *check_name = "start";
static uint8_t *granted;		/* page i is what gref[i] grants; NULL: a guest's */
static uint32_t gref[GRANTS];
static uint32_t owner;			/* domain that grants */

__attribute__((noreturn, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "FAIL: %s: ", check_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (errno %d: %s)\n", errno, strerror(errno));
	exit(1);
}

#define expect(condition) \
	do { if (!(condition)) fail("line %d: not so: %s", __LINE__, #condition); } while (0)

#define expect_eq(a, b) \
	do { \
		long long a_ = (long long)(a), b_ = (long long)(b); \
		if (a_ != b_) \
			fail("line %d: %s is %lld, not %lld", __LINE__, #a, a_, b_); \
	} while (0)

/* ---- the granting side ---- */

static void grant_pages(void)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + GRANTS * sizeof(uint32_t);
	struct ioctl_gntalloc_alloc_gref *request = calloc(1, size);
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	unsigned int i;

	expect(fd >= 0 && request);
	request->domid = 0;
	request->flags = GNTALLOC_FLAG_WRITABLE;
	request->count = GRANTS;
	expect_eq(ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, request), 0);
	granted = mmap(NULL, GRANTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       (off_t)request->index);
	expect(granted != MAP_FAILED);
	for (i = 0; i < GRANTS; i++)
		gref[i] = request->gref_ids[i];
	free(request);
}

static void paint(void)
{
	unsigned int i;

	for (i = 0; i < GRANTS * PAGE; i++)
		granted[i] = (uint8_t)(i * 31 + i / PAGE);
}

/* ---- the arena ---- */

struct arena {
	int fd;
	uint8_t *base;
	uint32_t slots;
};

static int tap_open(void)
{
	int fd = open("/dev/xen/tap", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	expect(fd >= 0);
	return fd;
}

static struct arena arena_make(uint32_t slots, uint32_t flags)
{
	struct xentap_arena_create create = { .nr_slots = slots, .flags = flags };
	struct arena arena = { .fd = tap_open(), .slots = slots };
	int protection = flags & XENTAP_ARENA_F_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;

	expect_eq(ioctl(arena.fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	arena.base = mmap(NULL, (size_t)slots * PAGE, protection, MAP_SHARED, arena.fd, 0);
	expect(arena.base != MAP_FAILED);
	return arena;
}

static void arena_end(struct arena *arena)
{
	munmap(arena->base, (size_t)arena->slots * PAGE);
	close(arena->fd);
}

static uint8_t *slot_page(const struct arena *arena, uint32_t slot)
{
	return arena->base + (size_t)slot * PAGE;
}

static int batch(const struct arena *arena, struct xentap_unmap *unmaps, uint32_t nr_unmaps,
		 struct xentap_map *maps, uint32_t nr_maps)
{
	struct xentap_batch b = {
		.unmaps = (uintptr_t)unmaps, .nr_unmaps = nr_unmaps,
		.maps = (uintptr_t)maps, .nr_maps = nr_maps,
	};

	return ioctl(arena->fd, XENTAP_IOC_BATCH, &b) ? -errno : 0;
}

static int map_one(const struct arena *arena, uint32_t slot, uint32_t ref)
{
	struct xentap_map map = { .slot = slot, .gref = ref, .domid = owner, .status = 99 };
	int err = batch(arena, NULL, 0, &map, 1);

	return err ? err : map.status;
}

static int unmap_one(const struct arena *arena, uint32_t slot)
{
	struct xentap_unmap unmap = { .slot = slot, .status = 99 };
	int err = batch(arena, &unmap, 1, NULL, 0);

	return err ? err : unmap.status;
}

/* All grants, grant i in slot @first + i. */
static void map_all(const struct arena *arena, uint32_t first)
{
	struct xentap_map maps[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){ .slot = first + i, .gref = gref[i], .domid = owner };
	expect_eq(batch(arena, NULL, 0, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++)
		expect_eq(maps[i].status, 0);
}

static void unmap_all(const struct arena *arena, uint32_t first)
{
	struct xentap_unmap unmaps[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		unmaps[i] = (struct xentap_unmap){ .slot = first + i, .status = 99 };
	expect_eq(batch(arena, unmaps, GRANTS, NULL, 0), 0);
	for (i = 0; i < GRANTS; i++)
		expect_eq(unmaps[i].status, 0);
}

static long counter(const char *name)
{
	FILE *file = fopen("/sys/kernel/debug/xentap/counters", "re");
	char word[32];
	long value;

	expect(file);
	while (fscanf(file, "%31s %ld", word, &value) == 2) {
		if (strcmp(word, name) == 0) {
			fclose(file);
			return value;
		}
	}
	fail("no counter %s", name);
}

static void wait_counter(const char *name, long value)
{
	int tries = 500;

	while (counter(name) != value && tries--)
		usleep(20000);
	expect_eq(counter(name), value);
}

/* ---- touching memory that may not be there ---- */

static sigjmp_buf fault;

static void on_fault(int signo)
{
	siglongjmp(fault, signo);
}

/* 0, or the signal that reading @p raises. */
static int touch(const volatile uint8_t *p)
{
	struct sigaction action = { .sa_handler = on_fault };
	int signo;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	signo = sigsetjmp(fault, 1);
	if (!signo)
		(void)*p;
	action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	return signo;
}

static int open_direct(void)
{
	int fd = open(file_name, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	expect(fd >= 0);
	return fd;
}

/* ---- checks ---- */

static void arguments(void)
{
	struct xentap_arena_create create = { .nr_slots = 16 };
	struct xentap_restrict to = { .domid = 5 };
	struct xentap_info info;
	struct xentap_batch b = { 0 };
	int fd = tap_open();
	void *base;

	expect_eq(ioctl(fd, XENTAP_IOC_GET_INFO, &info), 0);
	expect_eq(info.abi_version, XENTAP_ABI_VERSION);
	expect(ioctl(fd, _IO('x', 0x77)) == -1 && errno == ENOTTY);
	expect(ioctl(fd, XENTAP_IOC_BATCH, &b) == -1 && errno == ENXIO);
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENXIO);
	create.flags = 2;
	expect(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create) == -1 && errno == EINVAL);
	create = (struct xentap_arena_create){ .nr_slots = 16, .reserved = 1 };
	expect(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create) == -1 && errno == EINVAL);
	create = (struct xentap_arena_create){ .nr_slots = 0 };
	expect(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create) == -1 && errno == EINVAL);
	create.nr_slots = info.max_slots + 1;
	expect(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create) == -1 && errno == EINVAL);
	create.nr_slots = 16;
	expect_eq(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	expect(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create) == -1 && errno == EBUSY);
	b.nr_maps = info.max_batch + 1;
	expect(ioctl(fd, XENTAP_IOC_BATCH, &b) == -1 && errno == EINVAL);

	/* Only the whole, shared, once, and with the arena's own protection. */
	expect(mmap(NULL, 15 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	expect(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	expect(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE) == MAP_FAILED);
	expect(mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	base = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	expect(base != MAP_FAILED);
	expect(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
	       errno == EBUSY);

	expect_eq(ioctl(fd, XENTAP_IOC_RESTRICT, &to), 0);
	expect_eq(ioctl(fd, XENTAP_IOC_RESTRICT, &to), 0);
	to.domid = 6;
	expect(ioctl(fd, XENTAP_IOC_RESTRICT, &to) == -1 && errno == EPERM);
	to.domid = 0x7ff0;
	expect(ioctl(fd, XENTAP_IOC_RESTRICT, &to) == -1 && errno == EINVAL);
	munmap(base, 16 * PAGE);
	close(fd);
}

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

static void entries_fail_alone(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_map maps[] = {
		{ .slot = 0, .gref = gref[0], .domid = owner },
		{ .slot = 1, .gref = 0x7fffffff, .domid = owner },
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
	wait_counter("mapped", 0);
}

static void restriction_holds(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_restrict to = { .domid = 5 };

	expect_eq(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), 0);
	expect_eq(map_one(&arena, 0, gref[0]), -EPERM);
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
	unmap_all(&arena, 100);
	by_mfn.nr = 8;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	expect_eq(by_mfn.total, 1);
	arena_end(&arena);
}

static void direct_io_is_zero_copy(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	int fd = open_direct();

	paint();
	map_all(&rdonly, 0);
	map_all(&arena, 0);
	expect_eq(pwrite(fd, rdonly.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	memset(granted, 0, GRANTS * PAGE);
	/* Read-only mappings are no target of a read. */
	expect(pread(fd, rdonly.base, PAGE, 0) == -1 && errno == EFAULT);
	expect_eq(granted[33], 0);
	expect_eq(pread(fd, arena.base, GRANTS * PAGE, 0), GRANTS * PAGE);
	expect_eq(granted[PAGE * 3 + 33], (uint8_t)((PAGE * 3 + 33) * 31 + 3));
	expect_eq(touch(slot_page(&arena, GRANTS)), SIGBUS);
	expect(pread(fd, slot_page(&arena, GRANTS), PAGE, 0) == -1 && errno == EFAULT);
	unmap_all(&arena, 0);
	unmap_all(&rdonly, 0);
	arena_end(&arena);
	arena_end(&rdonly);
	close(fd);
}

static void parts_cannot_be_changed(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	expect(munmap(slot_page(&arena, 4), PAGE) == -1);
	expect(munmap(arena.base, PAGE) == -1);
	expect(mprotect(arena.base, arena.slots * PAGE, PROT_READ) == -1);
	expect(mprotect(slot_page(&arena, 3), PAGE, PROT_NONE) == -1);
	expect(mremap(arena.base, arena.slots * PAGE, arena.slots * PAGE + PAGE,
		      MREMAP_MAYMOVE) == MAP_FAILED);
	expect_eq(touch(slot_page(&arena, 5)), 0);
	expect_eq(counter("user_ptes"), GRANTS);
	arena_end(&arena);
	wait_counter("mapped", 0);
}

/* Moving is refused, too, but only after mm/ took the entries away. */
static void moving_loses_the_view_only(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	void *elsewhere = mmap(NULL, arena.slots * PAGE, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	map_all(&arena, 0);
	expect(mremap(arena.base, arena.slots * PAGE, arena.slots * PAGE,
		      MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == MAP_FAILED);
	unmap_all(&arena, 0);
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	arena_end(&arena);
	wait_counter("mapped", 0);
}

static void madvise_is_survived(void)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
		MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP,
		MADV_COLD, MADV_PAGEOUT, MADV_WIPEONFORK, MADV_KEEPONFORK,
	};
	unsigned int i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		struct arena arena = arena_make(SLOTS, 0);

		map_all(&arena, 0);
		/* Some are refused; none may do harm. */
		madvise(arena.base, arena.slots * PAGE, advices[i]);
		touch(slot_page(&arena, 1));
		madvise(slot_page(&arena, 1), PAGE, advices[i]);
		touch(slot_page(&arena, 1));
		unmap_all(&arena, 0);
		map_all(&arena, 0);
		expect_eq(touch(slot_page(&arena, 1)), 0);
		arena_end(&arena);
	}
	wait_counter("mapped", 0);
}

static void clear_refs_is_survived(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	map_all(&arena, 0);
	expect_eq(write(fd, "1", 1), 1);
	expect_eq(write(fd, "3", 1), 1);
	expect_eq(touch(slot_page(&arena, 1)), 0);
	/* This one announces itself; it may take the view away. */
	expect_eq(write(fd, "4", 1), 1);
	touch(slot_page(&arena, 1));
	unmap_all(&arena, 0);
	arena_end(&arena);
	close(fd);
}

static void child_of(const struct arena *arena, int signo)
{
	int status;
	pid_t child = fork();

	if (!child) {
		/* No page, and no say over the parent's. */
		if (touch(slot_page(arena, 0)) != signo || unmap_one(arena, 0) != -EPERM)
			_exit(1);
		_exit(0);
	}
	expect_eq(waitpid(child, &status, 0), child);
	expect_eq(status, 0);
}

static void child_inherits_nothing(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	child_of(&arena, SIGSEGV);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	unmap_all(&arena, 0);
	arena_end(&arena);
	wait_counter("arenas", 0);
}

/* The address range can be inherited, if the owner insists; pages cannot. */
static void child_by_dofork_inherits_no_page(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	expect_eq(madvise(arena.base, arena.slots * PAGE, MADV_DOFORK), 0);
	child_of(&arena, SIGBUS);
	expect_eq(counter("user_ptes"), 0);
	unmap_all(&arena, 0);
	map_all(&arena, 0);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	arena_end(&arena);
	wait_counter("arenas", 0);
}

static void slot_named_twice(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[2] = { { .slot = 3 }, { .slot = 3 } };

	map_all(&arena, 0);
	expect_eq(batch(&arena, unmaps, 2, NULL, 0), 0);
	expect_eq(unmaps[0].status, 0);
	expect_eq(unmaps[1].status, 0);
	arena_end(&arena);
}

static void closing_in_any_order(void)
{
	struct arena arena;

	arena = arena_make(SLOTS, 0);
	map_all(&arena, 0);
	close(arena.fd);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	munmap(arena.base, arena.slots * PAGE);
	wait_counter("mapped", 0);

	arena = arena_make(SLOTS, 0);
	map_all(&arena, 0);
	munmap(arena.base, arena.slots * PAGE);
	wait_counter("mapped", 0);
	expect_eq(map_one(&arena, 0, gref[0]), -ESHUTDOWN);
	close(arena.fd);
	wait_counter("arenas", 0);
}

/* A page in a pipe is held by reference, as by a network card. */
static void busy_page_drains_alone(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[4];
	struct xentap_drained record;
	struct pollfd ready = { .fd = arena.fd, .events = POLLIN };
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
	expect(read(arena.fd, &record, sizeof(record)) == -1 && errno == EAGAIN);

	/* Its holder sees the guest's bytes still. */
	expect_eq(read(ends[0], sink, PAGE), PAGE);
	expect_eq(memcmp(sink, before, PAGE), 0);
	expect_eq(poll(&ready, 1, 5000), 1);
	expect_eq(read(arena.fd, &record, sizeof(record)), sizeof(record));
	expect_eq(record.slot, 2);
	expect_eq(record.status, 0);
	expect_eq(counter("draining"), 0);
	expect_eq(map_one(&arena, 2, gref[5]), 0);
	close(ends[0]);
	close(ends[1]);
	arena_end(&arena);
	wait_counter("mapped", 0);
}

static void busy_page_outlives_its_process(void)
{
	int ends[2];
	int status;
	pid_t child;

	expect_eq(pipe(ends), 0);
	child = fork();
	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);

		map_all(&arena, 0);
		if (vmsplice(ends[1], &(struct iovec){ slot_page(&arena, 3), PAGE }, 1, 0) != PAGE)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	expect_eq(waitpid(child, &status, 0), child);
	expect(WIFSIGNALED(status));
	/* All but the one that the pipe holds. */
	wait_counter("mapped", 1);
	expect_eq(counter("draining"), 1);
	expect_eq(counter("user_ptes"), 0);
	close(ends[1]);
	close(ends[0]);
	wait_counter("mapped", 0);
	wait_counter("arenas", 0);
}

/* A child that keeps direct I/O in flight until it is killed. */
static void keep_reading(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct iocb iocbs[GRANTS];
	struct iocb *list[GRANTS];
	struct io_event events[GRANTS];
	io_context_t context = NULL;
	int fd = open_direct();
	unsigned int i;

	map_all(&arena, 0);
	if (io_setup(GRANTS, &context))
		_exit(1);
	for (;;) {
		for (i = 0; i < GRANTS; i++) {
			io_prep_pread(&iocbs[i], fd, slot_page(&arena, i), PAGE, i * PAGE);
			list[i] = &iocbs[i];
		}
		if (io_submit(context, GRANTS, list) != GRANTS ||
		    io_getevents(context, GRANTS / 2, GRANTS, events, NULL) < 1)
			_exit(1);
		io_getevents(context, GRANTS / 2, GRANTS, events, NULL);
	}
}

static void killed_under_direct_io(void)
{
	int round;

	for (round = 0; round < 10; round++) {
		pid_t child = fork();
		int status;

		if (!child)
			keep_reading();
		usleep(30000 + 7000 * (unsigned int)round);
		kill(child, SIGKILL);
		expect_eq(waitpid(child, &status, 0), child);
		expect(WIFSIGNALED(status));
		wait_counter("mapped", 0);
	}
	wait_counter("arenas", 0);
}

/* One thread takes pages by I/O while another takes their slots away. */
static volatile bool racing;

static void *race_reader(void *context)
{
	const struct arena *arena = context;
	int fd = open_direct();
	unsigned int i = 0;

	while (racing) {
		ssize_t got = pread(fd, slot_page(arena, i++ % GRANTS), PAGE, 0);

		/* EEXIST: the page-table entry is there, its slot is not LIVE. */
		if (got != PAGE && errno != EFAULT && errno != EEXIST)
			fail("a racing read gave %zd", got);
	}
	close(fd);
	return NULL;
}

static void finish_drains(const struct arena *arena, unsigned int busy)
{
	struct xentap_drained record;
	struct pollfd ready = { .fd = arena->fd, .events = POLLIN };

	while (busy--) {
		expect_eq(poll(&ready, 1, 10000), 1);
		expect_eq(read(arena->fd, &record, sizeof(record)), sizeof(record));
		expect_eq(record.status, 0);
	}
}

static void unmap_races_with_io(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap unmaps[GRANTS];
	pthread_t reader;
	int round;
	unsigned int i;

	racing = true;
	expect_eq(pthread_create(&reader, NULL, race_reader, &arena), 0);
	for (round = 0; round < ROUNDS; round++) {
		unsigned int busy = 0;

		map_all(&arena, 0);
		for (i = 0; i < GRANTS; i++)
			unmaps[i].slot = i;
		expect_eq(batch(&arena, unmaps, GRANTS, NULL, 0), 0);
		for (i = 0; i < GRANTS; i++) {
			expect(unmaps[i].status == 0 || unmaps[i].status == -EINPROGRESS);
			busy += unmaps[i].status != 0;
		}
		finish_drains(&arena, busy);
	}
	racing = false;
	pthread_join(reader, NULL);
	arena_end(&arena);
	wait_counter("mapped", 0);
}

static void run(const char *name, void (*check)(void))
{
	check_name = name;
	check();
	/* A closed arena drains by a work queue: the next check counts anew. */
	wait_counter("mapped", 0);
	expect_eq(counter("quarantined"), 0);
	printf("ok: %s\n", name);
	fflush(stdout);
}

#define RUN(check) run(#check, check)

/* Checks that also look at the page from its owner's side. */
static void run_own(void)
{
	RUN(arguments);
	RUN(same_bytes_both_ways);
	RUN(direct_io_is_zero_copy);
}

static void run_any(void)
{
	RUN(entries_fail_alone);
	RUN(slot_named_twice);
	RUN(restriction_holds);
	RUN(queries_tell_the_grant);
	RUN(parts_cannot_be_changed);
	RUN(moving_loses_the_view_only);
	RUN(madvise_is_survived);
	RUN(clear_refs_is_survived);
	RUN(child_inherits_nothing);
	RUN(child_by_dofork_inherits_no_page);
	RUN(closing_in_any_order);
	RUN(busy_page_drains_alone);
	RUN(busy_page_outlives_its_process);
	RUN(killed_under_direct_io);
	RUN(unmap_races_with_io);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 2 && argc != 3 + (int)GRANTS) {
		fprintf(stderr, "usage: module-check FILE [DOMID GREF (%u of them)]\n", GRANTS);
		return 2;
	}
	file_name = argv[1];
	if (argc == 2) {
		grant_pages();
		run_own();
	} else {
		owner = (uint32_t)strtoul(argv[2], NULL, 0);
		for (i = 0; i < GRANTS; i++)
			gref[i] = (uint32_t)strtoul(argv[3 + i], NULL, 0);
	}
	run_any();
	return 0;
}
