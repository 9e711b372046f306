// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copies between a pool of /dev/xen/tap and grants that dom0 made to itself by
 * gntalloc.
 *
 *	pool-check FILE
 *
 * FILE is on a file system with O_DIRECT and may be overwritten. Prints
 * "ok: NAME" for each check; the first failure ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/gntalloc.h>

#include "../../include/uapi/xentap.h"

#define PAGE	XENTAP_SLOT_BYTES
#define GRANTS	64u

static uint8_t *granted;
static uint32_t gref[GRANTS];
static int tap;
static uint8_t *pool;

#define expect(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "FAIL: line %d: not so: %s (%s)\n", __LINE__, \
				#condition, strerror(errno)); \
			exit(1); \
		} \
	} while (0)

static void grant_pages(void)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + GRANTS * sizeof(uint32_t);
	struct ioctl_gntalloc_alloc_gref *request = calloc(1, size);
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	unsigned int i;

	expect(fd >= 0 && request);
	request->flags = GNTALLOC_FLAG_WRITABLE;
	request->count = GRANTS;
	expect(!ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, request));
	granted = mmap(NULL, GRANTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       (off_t)request->index);
	expect(granted != MAP_FAILED);
	for (i = 0; i < GRANTS; i++)
		gref[i] = request->gref_ids[i];
	free(request);
}

static int copy(struct xentap_copy *entries, uint32_t nr)
{
	struct xentap_copy_list list = { .entries = (uintptr_t)entries, .nr = nr };

	return ioctl(tap, XENTAP_IOC_COPY, &list) ? -errno : 0;
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
	fprintf(stderr, "FAIL: no counter %s\n", name);
	exit(1);
}

/* ---- checks ---- */

static void arguments(void)
{
	struct xentap_pool_create create = { .nr_pages = GRANTS };
	struct xentap_copy entry = { .len = 1 };
	struct xentap_info info;

	tap = open("/dev/xen/tap", O_RDWR | O_CLOEXEC);
	expect(tap >= 0);
	expect(!ioctl(tap, XENTAP_IOC_GET_INFO, &info));
	expect(info.features & XENTAP_FEAT_COPY && info.max_pool_pages >= GRANTS);
	expect(copy(&entry, 1) == -ENXIO);
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, tap, XENTAP_POOL_OFFSET) == MAP_FAILED);
	create.nr_pages = info.max_pool_pages + 1;
	expect(ioctl(tap, XENTAP_IOC_POOL_CREATE, &create) && errno == EINVAL);
	create.nr_pages = 0;
	expect(ioctl(tap, XENTAP_IOC_POOL_CREATE, &create) && errno == EINVAL);
	create.nr_pages = GRANTS;
	create.flags = 1;
	expect(ioctl(tap, XENTAP_IOC_POOL_CREATE, &create) && errno == EINVAL);
	create.flags = 0;
	expect(!ioctl(tap, XENTAP_IOC_POOL_CREATE, &create));
	expect(ioctl(tap, XENTAP_IOC_POOL_CREATE, &create) && errno == EBUSY);
	expect(counter("pool_pages") == GRANTS);

	expect(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, tap, XENTAP_POOL_OFFSET) == MAP_FAILED);
	expect(mmap(NULL, PAGE, PROT_EXEC, MAP_SHARED, tap, XENTAP_POOL_OFFSET) == MAP_FAILED);
	expect(mmap(NULL, (GRANTS + 1) * PAGE, PROT_READ, MAP_SHARED, tap,
		    XENTAP_POOL_OFFSET) == MAP_FAILED);
	expect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, tap,
		    XENTAP_POOL_OFFSET + GRANTS * PAGE) == MAP_FAILED);
	pool = mmap(NULL, GRANTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, tap,
		    XENTAP_POOL_OFFSET);
	expect(pool != MAP_FAILED);
	expect(pool[0] == 0 && pool[GRANTS * PAGE - 1] == 0);
	expect(copy(&entry, info.max_batch + 1) == -EINVAL);
	expect(copy(&entry, 0) == -EINVAL);
	expect(copy(NULL, 1) == -EFAULT);
}

static void both_ways(void)
{
	struct xentap_copy entries[GRANTS];
	long before = counter("hypercalls");
	unsigned int i;

	for (i = 0; i < GRANTS * PAGE; i++)
		granted[i] = (uint8_t)(i * 31 + i / PAGE);
	for (i = 0; i < GRANTS; i++)
		entries[i] = (struct xentap_copy){ .page = GRANTS - 1 - i, .gref = gref[i],
						   .len = PAGE, .status = 99 };
	expect(copy(entries, GRANTS) == 0);
	for (i = 0; i < GRANTS; i++) {
		expect(entries[i].status == 0);
		expect(!memcmp(pool + (size_t)entries[i].page * PAGE, granted + i * PAGE, PAGE));
	}
	expect(counter("hypercalls") == before + 1);

	memset(pool, 0x5a, PAGE);
	entries[0] = (struct xentap_copy){ .page = 0, .page_offset = 512, .gref = gref[7],
					   .gref_offset = 1024, .len = 1536,
					   .flags = XENTAP_COPY_F_TO_GUEST };
	expect(copy(entries, 1) == 0 && entries[0].status == 0);
	for (i = 0; i < PAGE; i++)
		expect((granted[7 * PAGE + i] == 0x5a) == (i >= 1024 && i < 2560) ||
		       (uint8_t)((7 * PAGE + i) * 31 + 7) == 0x5a);
}

static void entries_fail_alone(void)
{
	struct xentap_copy entries[] = {
		{ .gref = 0x7fffffff, .len = 512 },
		{ .gref = gref[0], .len = 512 },
		{ .gref = gref[0], .len = 0 },
		{ .gref = gref[0], .len = 512, .page = GRANTS },
		{ .gref = gref[0], .len = 512, .page_offset = PAGE - 511 },
		{ .gref = gref[0], .len = 512, .gref_offset = PAGE - 511 },
		{ .gref = gref[0], .len = 512, .flags = 2 },
		{ .gref = gref[0], .len = 512, .domid = 0x7ff0 },
		{ .gref = gref[0], .len = 512, .domid = 4321 },
		{ .gref = gref[0], .len = 512, .domid = 0x10000 },
		{ .gref = gref[1], .len = 0xffff, .page_offset = 1 },
		{ .gref = gref[1], .len = 512, .page = 1 },
	};
	static const int32_t wanted[] = {
		-ENOENT, 0, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -EINVAL, -ESRCH, -ESRCH,
		-ESRCH, -EINVAL, 0,
	};
	unsigned int i;

	expect(copy(entries, 12) == 0);
	for (i = 0; i < 12; i++) {
		if (entries[i].status != wanted[i])
			fprintf(stderr, "entry %u: %d, not %d\n", i, entries[i].status, wanted[i]);
		expect(entries[i].status == wanted[i]);
	}
	expect(!memcmp(pool + PAGE, granted + PAGE, 512));
}

static void direct_io(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	expect(fd >= 0);
	memset(pool, 0x21, 4 * PAGE);
	expect(pwrite(fd, pool, 4 * PAGE, 0) == 4 * PAGE);
	memset(pool, 0, 4 * PAGE);
	expect(pread(fd, pool + PAGE, 3 * PAGE, 0) == 3 * PAGE);
	expect(pool[0] == 0 && pool[PAGE] == 0x21 && pool[4 * PAGE - 1] == 0x21);
	close(fd);
}

static sigjmp_buf fault;

static void on_fault(int signo)
{
	siglongjmp(fault, signo);
}

/* Guest data is not for a child that nobody gave it to. */
static void child_inherits_nothing(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		signal(SIGSEGV, on_fault);
		if (sigsetjmp(fault, 1))
			_exit(0);
		_exit(*(volatile uint8_t *)pool ? 1 : 2);
	}
	expect(waitpid(child, &status, 0) == child);
	expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void restriction_holds(void)
{
	struct xentap_restrict to = { .domid = 5 };
	struct xentap_copy entry = { .gref = gref[0], .len = 512 };

	expect(!ioctl(tap, XENTAP_IOC_RESTRICT, &to));
	expect(copy(&entry, 1) == 0 && entry.status == -EPERM);
}

/* A mapping of the pool outlives the descriptor, and is gone with munmap(). */
static void closing(void)
{
	close(tap);
	memset(pool, 1, GRANTS * PAGE);
	expect(counter("pool_pages") == GRANTS);
	munmap(pool, GRANTS * PAGE);
	expect(counter("pool_pages") == 0);
}

#define RUN(check, ...) \
	do { check(__VA_ARGS__); printf("ok: %s\n", #check); fflush(stdout); } while (0)

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: pool-check FILE\n");
		return 2;
	}
	grant_pages();
	RUN(arguments);
	RUN(both_ways);
	RUN(entries_fail_alone);
	RUN(direct_io, argv[1]);
	RUN(child_inherits_nothing);
	RUN(restriction_holds);
	RUN(closing);
	return 0;
}
