// SPDX-License-Identifier: GPL-2.0-or-later
/* What the calls refuse, who may make them, and what they tell to whom. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness.h"

#define BAD_POINTER	0x10ull

static void created_once_and_right(void)
{
	struct xentap_arena_create create = { .nr_slots = 16 };
	struct xentap_info info;
	int fd = tap_open();

	expect_eq(ioctl(fd, XENTAP_IOC_GET_INFO, &info), 0);
	expect_eq(info.abi_version, XENTAP_ABI_VERSION);
	expect_error(ioctl(fd, XENTAP_IOC_GET_INFO, BAD_POINTER), EFAULT);
	expect_error(ioctl(fd, _IO('x', 0x77)), ENOTTY);
	create.flags = 1u << 31;
	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EINVAL);
	create = (struct xentap_arena_create){ .nr_slots = 16, .reserved = 1 };
	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EINVAL);
	create = (struct xentap_arena_create){ .nr_slots = 0 };
	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EINVAL);
	create.nr_slots = info.max_slots + 1;
	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EINVAL);
	create.nr_slots = 16;
	expect_eq(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	expect_error(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), EBUSY);
	close(fd);
}

/* mmap() that must fail with @error. */
static void expect_no_mmap(int fd, size_t bytes, int protection, int flags, off_t offset, int error)
{
	errno = 0;
	expect(mmap(NULL, bytes, protection, flags, fd, offset) == MAP_FAILED);
	expect_eq(errno, error);
}

static void mapped_once_and_whole(void)
{
	struct xentap_arena_create create = { .nr_slots = 16 };
	const int both = PROT_READ | PROT_WRITE;
	int fd = tap_open();
	void *base;

	expect_no_mmap(fd, PAGE, PROT_READ, MAP_SHARED, 0, ENXIO);
	expect_eq(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	expect_no_mmap(fd, 15 * PAGE, both, MAP_SHARED, 0, EINVAL);
	expect_no_mmap(fd, 17 * PAGE, both, MAP_SHARED, 0, EINVAL);
	expect_no_mmap(fd, 16 * PAGE, both, MAP_PRIVATE, 0, EINVAL);
	expect_no_mmap(fd, 16 * PAGE, both, MAP_SHARED, PAGE, EINVAL);
	expect_no_mmap(fd, 16 * PAGE, PROT_READ, MAP_SHARED, 0, EACCES);
	expect_no_mmap(fd, 16 * PAGE, both | PROT_EXEC, MAP_SHARED, 0, EACCES);
	base = mmap(NULL, 16 * PAGE, both, MAP_SHARED, fd, 0);
	expect(base != MAP_FAILED);
	expect_no_mmap(fd, 16 * PAGE, both, MAP_SHARED, 0, EBUSY);
	munmap(base, 16 * PAGE);
	/* Once means once. */
	expect_no_mmap(fd, 16 * PAGE, both, MAP_SHARED, 0, EBUSY);
	close(fd);
}

static void rdonly_arena_stays_so(void)
{
	struct xentap_arena_create create = { .nr_slots = 16, .flags = XENTAP_ARENA_F_RDONLY };
	int fd = tap_open();
	void *base;

	expect_eq(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	expect_no_mmap(fd, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0, EACCES);
	base = mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	expect(base != MAP_FAILED);
	expect(mprotect(base, 16 * PAGE, PROT_READ | PROT_WRITE) == -1);
	expect_eq(scribble(base, 1), SIGSEGV);
	munmap(base, 16 * PAGE);
	close(fd);
}

static void batches_are_checked_first(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_map map = { .slot = 0, .gref = gref[0], .domid = owner };
	struct xentap_batch good = { .maps = (uintptr_t)&map, .nr_maps = 1 };
	struct xentap_info info;
	struct xentap_batch b;
	int unmapped = tap_open();

	expect_eq(ioctl(arena.fd, XENTAP_IOC_GET_INFO, &info), 0);
	expect_error(ioctl(unmapped, XENTAP_IOC_BATCH, &good), ENXIO);
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, BAD_POINTER), EFAULT);
	b = good;
	b.flags = 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EINVAL);
	b = good;
	b.reserved = 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EINVAL);
	b = good;
	b.nr_maps = info.max_batch + 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EINVAL);
	b = good;
	b.nr_unmaps = info.max_batch + 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EINVAL);
	b = good;
	b.unmaps = BAD_POINTER;
	b.nr_unmaps = 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EFAULT);
	b = good;
	b.maps = BAD_POINTER;
	expect_error(ioctl(arena.fd, XENTAP_IOC_BATCH, &b), EFAULT);
	expect_eq(counter("mapped"), 0);
	expect_eq(ioctl(arena.fd, XENTAP_IOC_BATCH, &good), 0);
	expect_eq(counter("mapped"), 1);
	close(unmapped);
	arena_end(&arena);
}

/* The work is done; that its results cannot be told changes nothing. */
static void statuses_without_a_place(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_map *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*map = (struct xentap_map){ .slot = 4, .gref = gref[0], .domid = owner };
	expect_eq(mprotect(map, PAGE, PROT_READ), 0);
	expect_eq(batch(&arena, NULL, 0, map, 1), -EFAULT);
	expect_eq(counter("mapped"), 1);
	expect_eq(touch(slot_page(&arena, 4)), 0);
	expect_eq(unmap_one(&arena, 4), 0);
	munmap(map, PAGE);
	arena_end(&arena);
}

/* The lists themselves may lie in a page of the arena that the batch unmaps. */
static void lists_inside_the_arena(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_unmap *unmap = (void *)slot_page(&arena, 0);

	expect_eq(map_one(&arena, 0, gref[0]), 0);
	*unmap = (struct xentap_unmap){ .slot = 0 };
	expect_eq(batch(&arena, unmap, 1, NULL, 0), -EFAULT);
	expect_eq(counter("mapped"), 0);
	arena_end(&arena);
}

static void queries_are_checked(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_query_addr entry = { .addr = (uintptr_t)arena.base };
	const struct xentap_query good = { .entries = (uintptr_t)&entry, .nr = 1 };
	struct xentap_query query = good;
	int unmapped = tap_open();

	query.nr = 0;
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), EINVAL);
	query.nr = 1u << 20;
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), EINVAL);
	query = good;
	query.reserved = 1;
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), EINVAL);
	query = good;
	query.entries = BAD_POINTER;
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), EFAULT);
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY, BAD_POINTER), EFAULT);

	query = good;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, -ENOENT);
	entry.addr = (uintptr_t)arena.base - 1;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, -EINVAL);
	entry.addr = ~0ull;
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, -EINVAL);
	entry.addr = 0;
	expect_eq(ioctl(unmapped, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, -EINVAL);
	close(unmapped);
	arena_end(&arena);
}

static void reads_are_checked(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct pollfd ready = { .events = POLLIN };
	struct xentap_drained record;
	int empty = tap_open();

	expect_error(read(arena.fd, &record, sizeof(record) - 1), EINVAL);
	expect_error(read(arena.fd, &record, sizeof(record)), EAGAIN);
	expect_error(read(empty, &record, sizeof(record)), EAGAIN);
	ready.fd = arena.fd;
	expect_eq(poll(&ready, 1, 0), 0);
	ready.fd = empty;
	expect_eq(poll(&ready, 1, 0), 0);
	close(empty);
	arena_end(&arena);
}

/* A report that cannot be delivered is delivered later. */
static void report_without_a_place(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct pollfd ready = { .fd = arena.fd, .events = POLLIN };
	uint8_t sink[PAGE];
	int ends[2];

	expect_eq(map_one(&arena, 9, gref[0]), 0);
	expect_eq(pipe(ends), 0);
	expect_eq(vmsplice(ends[1], &(struct iovec){ slot_page(&arena, 9), PAGE }, 1, 0), PAGE);
	expect_eq(unmap_one(&arena, 9), -EINPROGRESS);
	expect_eq(read(ends[0], sink, PAGE), PAGE);
	expect_eq(poll(&ready, 1, 10000), 1);
	expect_error(syscall(SYS_read, arena.fd, BAD_POINTER, 8), EFAULT);
	expect_eq(map_one(&arena, 9, gref[0]), -EBUSY);
	wait_drained(&arena, 1);
	expect_eq(map_one(&arena, 9, gref[0]), 0);
	close(ends[0]);
	close(ends[1]);
	arena_end(&arena);
}

static void restricted_for_good(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct xentap_restrict to = { .domid = 0x7ff0 };
	struct xentap_mfn_grant found;
	struct xentap_query_mfn by_mfn = { .grants = (uintptr_t)&found, .nr = 1 };

	expect_error(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), EINVAL);
	to = (struct xentap_restrict){ .domid = 5, .reserved = 1 };
	expect_error(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), EINVAL);
	expect_error(ioctl(arena.fd, XENTAP_IOC_RESTRICT, BAD_POINTER), EFAULT);
	expect_eq(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), 0);
	to = (struct xentap_restrict){ .domid = owner + 5 };
	expect_eq(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), 0);
	expect_eq(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), 0);
	expect_eq(map_one(&arena, 0, gref[0]), -EPERM);
	expect_error(ioctl(arena.fd, XENTAP_IOC_QUERY_MFN, &by_mfn), EPERM);
	to.domid = owner;
	expect_error(ioctl(arena.fd, XENTAP_IOC_RESTRICT, &to), EPERM);
	arena_end(&arena);
}

/* ---- rights */

static void lose_sys_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	expect_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	expect_eq(syscall(SYS_capset, &header, data), 0);
}

static void opened_by_the_privileged_only(void)
{
	pid_t child = child_start();

	if (!child) {
		drop_rights();
		expect_error(open("/dev/xen/tap", O_RDWR), EACCES);
		_exit(0);
	}
	child_end(child);
	child = child_start();
	if (!child) {
		lose_sys_admin();
		expect_error(open("/dev/xen/tap", O_RDWR), EPERM);
		_exit(0);
	}
	child_end(child);
	/* Root of a namespace of its own has every right there, and none here. */
	child = child_start();
	if (!child) {
		expect_eq(unshare(CLONE_NEWUSER), 0);
		expect_error(open("/dev/xen/tap", O_RDWR), EPERM);
		_exit(0);
	}
	child_end(child);
}

static uint64_t mfn_of(const struct arena *arena, uint32_t slot)
{
	struct xentap_query_addr entry = { .addr = (uintptr_t)slot_page(arena, slot) };
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };

	expect_eq(ioctl(arena->fd, XENTAP_IOC_QUERY, &query), 0);
	expect_eq(entry.status, 0);
	expect_eq(entry.gref, gref[0]);
	expect_eq(entry.domid, owner);
	return entry.mfn;
}

/* The daemon's way: opened by root, used by one who has no rights. */
static void used_by_the_unprivileged(void)
{
	int fd = tap_open();
	pid_t child = child_start();

	if (!child) {
		struct xentap_arena_create create = { .nr_slots = SLOTS };
		struct arena arena = { .fd = fd, .slots = SLOTS };
		struct xentap_mfn_grant found;
		struct xentap_query_mfn by_mfn = { .grants = (uintptr_t)&found, .nr = 1 };

		drop_rights();
		expect_eq(ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
		arena.base = mmap(NULL, arena_bytes(&arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		expect(arena.base != MAP_FAILED);
		map_all(&arena, 0);
		expect_eq(touch(slot_page(&arena, 3)), 0);
		expect(mfn_of(&arena, 0) == XENTAP_MFN_HIDDEN);
		expect_error(ioctl(fd, XENTAP_IOC_QUERY_MFN, &by_mfn), EPERM);
		unmap_all(&arena, 0);
		_exit(0);
	}
	child_end(child);
	close(fd);
}

/* Whoever holds the file may ask; only who mapped the arena may change it. */
static void others_may_only_ask(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	pid_t child;

	map_all(&arena, 0);
	expect(mfn_of(&arena, 0) != XENTAP_MFN_HIDDEN);
	child = child_start();
	if (!child) {
		expect_eq(unmap_one(&arena, 0), -EPERM);
		expect_eq(map_one(&arena, GRANTS, gref[0]), -EPERM);
		expect(mfn_of(&arena, 0) != XENTAP_MFN_HIDDEN);
		drop_rights();
		expect(mfn_of(&arena, 0) == XENTAP_MFN_HIDDEN);
		_exit(0);
	}
	child_end(child);
	unmap_all(&arena, 0);
	arena_end(&arena);
}

const struct check checks[] = {
	CHECK(created_once_and_right),
	CHECK(mapped_once_and_whole),
	CHECK(rdonly_arena_stays_so),
	CHECK(batches_are_checked_first),
	CHECK(statuses_without_a_place),
	CHECK(lists_inside_the_arena),
	CHECK(queries_are_checked),
	CHECK(reads_are_checked),
	CHECK(report_without_a_place),
	CHECK(restricted_for_good),
	CHECK(opened_by_the_privileged_only),
	CHECK(used_by_the_unprivileged),
	CHECK(others_may_only_ask),
	{ 0 }
};
