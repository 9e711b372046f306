// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Xen has no handle left. A domain has 262144 by default; this process takes
 * nearly all, by mappings for devices, which need no address and exist for
 * paravirtualized domains only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>

#include "harness.h"

#define HOG_GRANTS	2300u
#define HOG_EACH	120u		/* Xen refuses the 129th mapping of a grant */
#define HOG_BATCH	2048u
#define WANTED		4u		/* grants asked for when handles are short */

/* <xen/privcmd.h> wants headers that are not installed everywhere. */
struct hypercall {
	uint64_t op;
	uint64_t arg[5];
};

#define IOCTL_HYPERCALL	_IOC(_IOC_NONE, 'P', 0, sizeof(struct hypercall))

struct hold {
	uint32_t handle;
	uint64_t address;
};

static int privcmd = -1;
static struct grants *hog_grants;
static struct hold *holds;
static unsigned int nr_holds;
static gnttab_map_grant_ref_t map_ops[HOG_BATCH];
static gnttab_unmap_grant_ref_t unmap_ops[HOG_BATCH];

static void grant_op(unsigned int command, void *ops, unsigned int nr)
{
	struct hypercall call = {
		.op = __HYPERVISOR_grant_table_op,
		.arg = { command, (uintptr_t)ops, nr },
	};

	expect_eq(ioctl(privcmd, IOCTL_HYPERCALL, &call), 0);
}

/* Takes up to @nr handles; fewer when Xen has no more. */
static unsigned int hog_take(unsigned int nr)
{
	unsigned int done = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		map_ops[i] = (gnttab_map_grant_ref_t){
			.flags = GNTMAP_device_map,
			.ref = hog_grants->ref[(nr_holds + i) % HOG_GRANTS],
		};
	grant_op(GNTTABOP_map_grant_ref, map_ops, nr);
	for (i = 0; i < nr; i++) {
		if (map_ops[i].status != GNTST_okay) {
			expect_eq(map_ops[i].status, GNTST_no_space);
			continue;
		}
		holds[nr_holds + done++] = (struct hold){ map_ops[i].handle, map_ops[i].dev_bus_addr };
	}
	nr_holds += done;
	return done;
}

static void hog_give(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct hold *hold = &holds[--nr_holds];

		unmap_ops[i] = (gnttab_unmap_grant_ref_t){
			.dev_bus_addr = hold->address, .handle = hold->handle,
		};
	}
	grant_op(GNTTABOP_unmap_grant_ref, unmap_ops, nr);
	for (i = 0; i < nr; i++)
		expect_eq(unmap_ops[i].status, GNTST_okay);
}

static void hog_all(void)
{
	while (nr_holds + HOG_BATCH <= HOG_GRANTS * HOG_EACH && hog_take(HOG_BATCH) == HOG_BATCH)
		;
	/* Processors have lists of their own; Xen looks in all, in the end. */
	while (hog_take(1) == 1)
		;
}

static void handles_run_out(void)
{
	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	expect(privcmd >= 0);
	hog_grants = grants_make(0, HOG_GRANTS, true);
	holds = calloc(HOG_GRANTS * HOG_EACH + HOG_BATCH, sizeof(*holds));
	expect(holds && !mlock(map_ops, sizeof(map_ops)) && !mlock(unmap_ops, sizeof(unmap_ops)));
	memset(map_ops, 0, sizeof(map_ops));
	memset(unmap_ops, 0, sizeof(unmap_ops));
	hog_all();
	expect(nr_holds < HOG_GRANTS * HOG_EACH);
}

/* With @left handles: two for each grant, or the grant is not mapped at all. */
static unsigned int map_with_few(const struct arena *arena, unsigned int left)
{
	struct xentap_map maps[WANTED];
	unsigned int done = 0;
	unsigned int i;

	hog_give(left);
	for (i = 0; i < WANTED; i++)
		maps[i] = (struct xentap_map){ .slot = i, .gref = gref[i], .domid = owner };
	expect_eq(batch(arena, NULL, 0, maps, WANTED), 0);
	for (i = 0; i < WANTED; i++) {
		if (maps[i].status) {
			expect_eq(maps[i].status, -ENOSPC);
			expect_eq(touch(slot_page(arena, i)), SIGBUS);
		} else {
			expect_eq(touch(slot_page(arena, i)), 0);
			done++;
		}
	}
	expect(done <= left / 2);
	expect_eq(counter("mapped"), done);
	expect_user_ptes(done);
	for (i = 0; i < WANTED; i++)
		expect_eq(unmap_one(arena, i), maps[i].status ? -ENOENT : 0);
	hog_all();
	return done;
}

static void no_handle_left(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	expect_eq(map_with_few(&arena, 0), 0);
	arena_end(&arena);
}

static void few_handles_left(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	unsigned int left;
	unsigned int mapped = 0;

	for (left = 1; left <= 2 * WANTED; left++)
		mapped += map_with_few(&arena, left);
	expect(mapped > 0);
	arena_end(&arena);
}

static void handles_come_back(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	while (nr_holds)
		hog_give(nr_holds < HOG_BATCH ? nr_holds : HOG_BATCH);
	map_all(&arena, 0);
	unmap_all(&arena, 0);
	arena_end(&arena);
	grants_end(hog_grants);
	free(holds);
}

const struct check checks[] = {
	CHECK(handles_run_out),
	CHECK(no_handle_left),
	CHECK(few_handles_left),
	CHECK(handles_come_back),
	{ 0 }
};
