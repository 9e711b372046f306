// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measures in dom0 what it costs to map, copy and find grants. Prints a line
 * for each figure, "RESULT KEY=VALUE ...", which report.py understands.
 *
 *	bench-grants batches own|DOMID SIZE... [-- GREF...]
 *	bench-grants live SIZE...
 *	bench-grants tables SIZE...
 *
 * batches: map and unmap, or copy, SIZE pages, in each way there is. Grants are
 *	dom0's own, from gntalloc, or those named, of domain DOMID.
 * live:	the cost of small batches and of look-ups while SIZE grants
 *	are mapped.
 * tables: the module's index against other tables, with SIZE entries.
 *
 * All but the look-ups inside the kernel is measured twice: as the time that
 * this domain's processors ran (ns), which has the work that is left to kernel
 * threads in it and idle time not, and as the time that passed (wall).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>
#include <xengnttab.h>

#include "../../include/uapi/xentap.h"
#include "kmod/bench.h"

#define PAGE		XENTAP_SLOT_BYTES
#define PAGES_MAX	BENCH_PAGES_MAX
#define CHUNK		1024u		/* max_batch */
#define BLOCKS		9		/* the median of so many is the result */
#define LIVE_BATCH	16u		/* pages of a batch in "live" */

#define check(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "bench-grants: line %d: not so: %s (%s)\n", __LINE__, \
				#condition, strerror(errno)); \
			exit(1); \
		} \
	} while (0)

static uint32_t domid;
static uint32_t *gref;		/* grants to use */
static uint32_t nr_grefs;
static int bench;		/* /dev/xentap-bench */
static double cycles_per_ns;

/* ---- time ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t run_ns(void)
{
	uint64_t ns;

	check(!ioctl(bench, BENCH_IOC_RUNTIME, &ns));
	return ns;
}

/* The smallest of some, since a timer's interrupt may come in between. */
static uint64_t cost_of_run_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		uint64_t begin = run_ns(), cost = run_ns() - begin;

		if (cost < least)
			least = cost;
	}
	return least;
}

static void calibrate(void)
{
	uint64_t ns = now_ns();
	uint64_t cycles = __rdtsc();

	while (now_ns() - ns < 20000000)
		;
	cycles_per_ns = (double)(__rdtsc() - cycles) / (double)(now_ns() - ns);
}

static double to_ns(uint64_t cycles)
{
	return (double)cycles / cycles_per_ns;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned int nr)
{
	qsort(values, nr, sizeof(*values), by_value);
	return values[nr / 2];
}

struct cost {
	double run;	/* ns of this domain's processors */
	double wall;
};

typedef void (*round_fn)(uint32_t nr);

/* What one round costs, when so many are done one after the other. */
static struct cost measure(round_fn round, uint32_t nr, unsigned int rounds)
{
	double run[BLOCKS], wall[BLOCKS];
	uint64_t question = cost_of_run_ns();

	/* Twice, since the first may allocate, and not be in step. */
	round(nr);
	round(nr);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		uint64_t run_begin = run_ns(), begin = __rdtsc();

		for (unsigned int j = 0; j < rounds; j++)
			round(nr);
		wall[i] = to_ns(__rdtsc() - begin) / rounds;
		run[i] = (double)(run_ns() - run_begin - question) / rounds;
	}
	return (struct cost){ median(run, BLOCKS), median(wall, BLOCKS) };
}

/* ---- grants ---- */

static void grant_own(uint32_t nr)
{
	const uint32_t chunk = 4096;
	struct ioctl_gntalloc_alloc_gref *request =
		calloc(1, sizeof(*request) + chunk * sizeof(uint32_t));
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);

	gref = calloc(nr, sizeof(*gref));
	check(fd >= 0 && request && gref);
	while (nr_grefs < nr) {
		uint32_t some = nr - nr_grefs < chunk ? nr - nr_grefs : chunk;

		*request = (struct ioctl_gntalloc_alloc_gref){
			.flags = GNTALLOC_FLAG_WRITABLE,
			.count = some,
		};
		check(!ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, request));
		memcpy(&gref[nr_grefs], request->gref_ids, some * sizeof(*gref));
		nr_grefs += some;
	}
	free(request);
	/* fd stays open: with it the grants would go. */
}

/* ---- xentap ---- */

static int tap;
static uint32_t nr_slots;
static struct xentap_map maps[CHUNK];
static struct xentap_unmap unmaps[CHUNK];
static struct xentap_copy copies[PAGES_MAX];

static void tap_open(uint32_t slots)
{
	struct xentap_arena_create create = { .nr_slots = slots };

	tap = open("/dev/xen/tap", O_RDWR | O_CLOEXEC);
	check(tap >= 0);
	check(!ioctl(tap, XENTAP_IOC_ARENA_CREATE, &create));
	check(mmap(NULL, (size_t)slots * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, tap, 0) !=
	      MAP_FAILED);
	nr_slots = slots;
}

/* The caller fills in slots and grants: they are part of the work. */
static void tap_batch(uint32_t nr_unmaps, uint32_t nr_maps)
{
	struct xentap_batch batch = {
		.unmaps = (uintptr_t)unmaps,
		.maps = (uintptr_t)maps,
		.nr_unmaps = nr_unmaps,
		.nr_maps = nr_maps,
	};

	check(!ioctl(tap, XENTAP_IOC_BATCH, &batch));
	for (uint32_t i = 0; i < nr_unmaps; i++)
		check(unmaps[i].status == 0);
	for (uint32_t i = 0; i < nr_maps; i++)
		check(maps[i].status == 0);
}

static void ask_map(uint32_t first_slot, uint32_t first_gref, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		maps[i] = (struct xentap_map){
			.slot = first_slot + i,
			.gref = gref[first_gref + i],
			.domid = domid,
		};
}

static void ask_unmap(uint32_t first_slot, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		unmaps[i] = (struct xentap_unmap){ .slot = first_slot + i };
}

static uint32_t first_slot;	/* of those that rounds use */
static uint32_t first_gref;

static void tap_two_calls(uint32_t nr)
{
	ask_map(first_slot, first_gref, nr);
	tap_batch(0, nr);
	ask_unmap(first_slot, nr);
	tap_batch(nr, 0);
}

/* As a disk under load: what is done goes and what is new comes, in one call. */
static void tap_one_call(uint32_t nr)
{
	ask_unmap(first_slot, nr);
	ask_map(first_slot, first_gref, nr);
	tap_batch(nr, nr);
}

static struct cost measure_one_call(uint32_t nr, unsigned int rounds)
{
	struct cost cost;

	ask_map(first_slot, first_gref, nr);
	tap_batch(0, nr);
	cost = measure(tap_one_call, nr, rounds);
	ask_unmap(first_slot, nr);
	tap_batch(nr, 0);
	return cost;
}

static void tap_make_pool(void)
{
	struct xentap_pool_create create = { .nr_pages = PAGES_MAX };

	check(!ioctl(tap, XENTAP_IOC_POOL_CREATE, &create));
}

static void tap_copy(uint32_t nr)
{
	struct xentap_copy_list list = { .entries = (uintptr_t)copies, .nr = nr };

	for (uint32_t i = 0; i < nr; i++)
		copies[i] = (struct xentap_copy){
			.page = i,
			.gref = gref[i],
			.domid = domid,
			.len = PAGE,
		};
	check(!ioctl(tap, XENTAP_IOC_COPY, &list));
	for (uint32_t i = 0; i < nr; i++)
		check(copies[i].status == 0);
}

/* ---- gntdev ---- */

static xengnttab_handle *gnttab;
static int gntdev;
static uint8_t *buffer;
static uint32_t domids[PAGES_MAX];

static void gntdev_open(void)
{
	gnttab = xengnttab_open(NULL, 0);
	gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	buffer = mmap(NULL, PAGES_MAX * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	check(gnttab && gntdev >= 0 && buffer != MAP_FAILED);
	for (uint32_t i = 0; i < PAGES_MAX; i++)
		domids[i] = domid;
}

static void gntdev_map(uint32_t nr)
{
	void *mem = xengnttab_map_grant_refs(gnttab, nr, domids, gref,
					     PROT_READ | PROT_WRITE);

	check(mem);
	check(!xengnttab_unmap(gnttab, mem, nr));
}

static void gntdev_copy(uint32_t nr)
{
	static struct gntdev_grant_copy_segment segments[PAGES_MAX];
	struct ioctl_gntdev_grant_copy list = { .count = nr, .segments = segments };

	for (uint32_t i = 0; i < nr; i++)
		segments[i] = (struct gntdev_grant_copy_segment){
			.source.foreign.ref = gref[i],
			.source.foreign.domid = (domid_t)domid,
			.dest.virt = buffer + i * PAGE,
			.len = PAGE,
			.flags = GNTCOPY_source_gref,
		};
	check(!ioctl(gntdev, IOCTL_GNTDEV_GRANT_COPY, &list));
	for (uint32_t i = 0; i < nr; i++)
		check(segments[i].status == GNTST_okay);
}

/* ---- batches ---- */

static void report_way(const char *way, uint32_t nr, struct cost cost)
{
	printf("RESULT what=batch grants=%s way=%s pages=%u ns=%.0f wall=%.0f\n",
	       domid ? "guest" : "own", way, nr, cost.run, cost.wall);
	fflush(stdout);
}

static void bench_bare(uint32_t nr)
{
	enum { MAP_KERNEL, MAP_USER, UNMAP_USER, UNMAP_KERNEL, REFS, WALK, COPY, PARTS };
	static const char *const name[PARTS] = { "map_kernel", "map_user", "unmap_user",
						 "unmap_kernel", "refs", "walk", "copy" };
	double part[PARTS][BLOCKS], all[BLOCKS];
	struct bench_bare bare = { .grefs = (uintptr_t)gref, .nr = nr, .domid = domid };

	check(!ioctl(bench, BENCH_IOC_BARE, &bare));
	for (unsigned int i = 0; i < BLOCKS; i++) {
		check(!ioctl(bench, BENCH_IOC_BARE, &bare));
		part[MAP_KERNEL][i] = to_ns(bare.map_kernel);
		part[MAP_USER][i] = to_ns(bare.map_user);
		part[UNMAP_USER][i] = to_ns(bare.unmap_user);
		part[UNMAP_KERNEL][i] = to_ns(bare.unmap_kernel);
		part[REFS][i] = to_ns(bare.refs);
		part[WALK][i] = to_ns(bare.walk);
		part[COPY][i] = to_ns(bare.copy);
		all[i] = to_ns(bare.map_kernel + bare.map_user + bare.unmap_user +
			       bare.unmap_kernel);
	}
	printf("RESULT what=bare grants=%s pages=%u ns=%.0f", domid ? "guest" : "own", nr,
	       median(all, BLOCKS));
	for (unsigned int i = 0; i < PARTS; i++)
		printf(" %s=%.0f", name[i], median(part[i], BLOCKS));
	printf("\n");
}

static long counter(const char *name)
{
	FILE *file = fopen("/sys/kernel/debug/xentap/counters", "re");
	char word[32];
	long value;

	check(file);
	while (fscanf(file, "%31s %ld", word, &value) == 2) {
		if (strcmp(word, name) == 0) {
			fclose(file);
			return value;
		}
	}
	check(!"a counter of that name");
	return 0;
}

static void count_hypercalls(uint32_t nr)
{
	long before = counter("hypercalls");

	tap_two_calls(nr);
	printf("RESULT what=hypercalls way=xentap pages=%u count=%ld\n", nr,
	       counter("hypercalls") - before);
}

static void batches(uint32_t nr)
{
	/* About 64 pages a block, but no more than 16 rounds. */
	unsigned int rounds = nr >= 64 ? 1 : nr >= 4 ? 64 / nr : 16;

	check(nr && nr <= PAGES_MAX && nr <= nr_grefs);
	bench_bare(nr);
	report_way("gntdev", nr, measure(gntdev_map, nr, rounds));
	report_way("xentap", nr, measure(tap_two_calls, nr, rounds));
	report_way("xentap_steady", nr, measure_one_call(nr, rounds));
	report_way("gntdev_copy", nr, measure(gntdev_copy, nr, rounds));
	report_way("xentap_copy", nr, measure(tap_copy, nr, rounds));
	count_hypercalls(nr);
}

/* ---- live ---- */

#define QUERIES 512u

static uint64_t base;
static struct xentap_query_addr addrs[QUERIES];

/* Jumps around among @nr; a power of two of them are all met. */
static uint32_t sample_of(uint32_t i, uint32_t nr)
{
	return (uint32_t)((i + 1) * 2654435761ull % nr);
}

static void query_addrs(uint32_t live, uint32_t nr)
{
	struct xentap_query query = { .entries = (uintptr_t)addrs, .nr = nr };

	for (uint32_t i = 0; i < nr; i++)
		addrs[i].addr = base + (uint64_t)sample_of(i, live) * PAGE;
	check(!ioctl(tap, XENTAP_IOC_QUERY, &query));
	for (uint32_t i = 0; i < nr; i++)
		check(addrs[i].status == 0 && addrs[i].gref == gref[sample_of(i, live)]);
}

static void query_many(uint32_t live)
{
	query_addrs(live, QUERIES);
}

static void query_one(uint32_t live)
{
	query_addrs(live, 1);
}

static uint64_t mfns[QUERIES];

static void query_mfn(uint32_t live)
{
	struct xentap_mfn_grant grants[4];
	struct xentap_query_mfn query = {
		.mfn = mfns[0],
		.grants = (uintptr_t)grants,
		.nr = 4,
	};

	(void)live;
	check(!ioctl(tap, XENTAP_IOC_QUERY_MFN, &query));
	check(query.total == 1);
}

static double find_in_kernel(void)
{
	struct bench_find find = { .mfns = (uintptr_t)mfns, .nr = QUERIES };
	double ns[BLOCKS];

	for (unsigned int i = 0; i < BLOCKS; i++) {
		check(!ioctl(bench, BENCH_IOC_FIND, &find));
		check(find.found == QUERIES);
		ns[i] = to_ns(find.time) / QUERIES;
	}
	return median(ns, BLOCKS);
}

static void look_ups(uint32_t live)
{
	struct cost one, many, mfn;

	query_addrs(live, QUERIES);
	for (uint32_t i = 0; i < QUERIES; i++)
		mfns[i] = addrs[i].mfn;
	one = measure(query_one, live, 16);
	many = measure(query_many, live, 1);
	mfn = measure(query_mfn, live, 16);
	printf("RESULT what=lookup live=%u addr_one=%.0f addr_of_%u=%.1f mfn_one=%.0f mfn_kernel=%.1f\n",
	       live, one.run, QUERIES, many.run / QUERIES, mfn.run, find_in_kernel());
	fflush(stdout);
}

static void map_up_to(uint32_t *live, uint32_t target)
{
	while (*live < target) {
		uint32_t some = target - *live < CHUNK ? target - *live : CHUNK;

		ask_map(*live, *live, some);
		tap_batch(0, some);
		*live += some;
	}
}

/*
 * The batch is LIVE_BATCH of the live ones; with fewer, others beside them, so
 * that there are never more than asked for.
 */
static void batches_beside(uint32_t live)
{
	uint32_t inside = live > LIVE_BATCH ? LIVE_BATCH : 0;
	struct cost two, one;

	first_slot = first_gref = live - inside;
	if (inside) {
		ask_unmap(first_slot, inside);
		tap_batch(inside, 0);
	}
	two = measure(tap_two_calls, LIVE_BATCH, 4);
	one = measure_one_call(LIVE_BATCH, 4);
	if (inside) {
		ask_map(first_slot, first_gref, inside);
		tap_batch(0, inside);
	}
	printf("RESULT what=live live=%u pages=%u two_calls=%.0f one_call=%.0f\n", live,
	       LIVE_BATCH, two.run, one.run);
	fflush(stdout);
}

static void live_all(char **sizes)
{
	struct xentap_arena_create create;
	uint32_t live = 0, most = 0;

	for (char **size = sizes; *size; size++)
		most = (uint32_t)strtoul(*size, NULL, 0);
	grant_own(most);
	create = (struct xentap_arena_create){ .nr_slots = most };
	tap = open("/dev/xen/tap", O_RDWR | O_CLOEXEC);
	check(tap >= 0 && !ioctl(tap, XENTAP_IOC_ARENA_CREATE, &create));
	base = (uintptr_t)mmap(NULL, (size_t)most * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			       tap, 0);
	check(base != (uintptr_t)MAP_FAILED);
	for (char **size = sizes; *size; size++) {
		map_up_to(&live, (uint32_t)strtoul(*size, NULL, 0));
		check(counter("mapped") == (long)live);
		look_ups(live);
		batches_beside(live);
	}
}

/* ---- tables ---- */

static void tables(uint32_t entries, bool sparse)
{
	static const char *const name[BENCH_NR_TABLES] = { "hash", "rbtree", "xarray",
							   "rhashtable" };

	for (unsigned int i = 0; i < BENCH_NR_TABLES; i++) {
		struct bench_tables run = {
			.table = i,
			.entries = entries,
			.sparse = sparse,
			.samples = 4096,
		};
		double find[3], change[3], empty[3];

		for (unsigned int j = 0; j < 3; j++) {
			check(!ioctl(bench, BENCH_IOC_TABLES, &run));
			find[j] = to_ns(run.find) / run.samples;
			change[j] = to_ns(run.change) / run.samples;
			empty[j] = to_ns(run.empty) / run.samples;
		}
		printf("RESULT what=table table=%s mfns=%s entries=%u find=%.1f change=%.1f loop=%.1f bytes=%.1f steps=%.2f\n",
		       name[i], sparse ? "sparse" : "dense", entries, median(find, 3),
		       median(change, 3), median(empty, 3),
		       (double)run.bytes / entries, (double)run.steps / run.samples);
		fflush(stdout);
	}
}

/* ---- */

static void batches_all(char **args)
{
	char **rest = args + 1;

	domid = strcmp(args[0], "own") == 0 ? 0 : (uint32_t)strtoul(args[0], NULL, 0);
	while (*rest && strcmp(*rest, "--") != 0)
		rest++;
	if (*rest) {
		gref = calloc(PAGES_MAX, sizeof(*gref));
		check(gref);
		for (char **ref = rest + 1; *ref && nr_grefs < PAGES_MAX; ref++)
			gref[nr_grefs++] = (uint32_t)strtoul(*ref, NULL, 0);
		*rest = NULL;
	} else {
		grant_own(PAGES_MAX);
	}
	tap_open(PAGES_MAX);
	tap_make_pool();
	gntdev_open();
	check(mmap(NULL, PAGES_MAX * PAGE, PROT_READ, MAP_SHARED, bench, 0) != MAP_FAILED);
	for (char **size = args + 1; *size; size++)
		batches((uint32_t)strtoul(*size, NULL, 0));
}

int main(int argc, char **argv)
{
	bench = open("/dev/xentap-bench", O_RDWR | O_CLOEXEC);
	check(bench >= 0);
	calibrate();
	printf("RESULT what=clock cycles_per_ns=%.3f\n", cycles_per_ns);
	if (argc > 3 && strcmp(argv[1], "batches") == 0) {
		batches_all(argv + 2);
	} else if (argc > 2 && strcmp(argv[1], "live") == 0) {
		live_all(argv + 2);
	} else if (argc > 2 && strcmp(argv[1], "tables") == 0) {
		for (char **size = argv + 2; *size; size++) {
			tables((uint32_t)strtoul(*size, NULL, 0), false);
			tables((uint32_t)strtoul(*size, NULL, 0), true);
		}
	} else {
		fprintf(stderr, "bench-grants: see the head of its source\n");
		return 2;
	}
	return 0;
}
