// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The states of a slot, and ways from one to another, against the words of
 * include/uapi/xentap.h; the ends of an arena in any order; the kernel API.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define SLOTS	8u
/* After this the work queue has looked at every slot that drains. */
#define PASS_MS	100

static int setup_pv(void **state)
{
	return rig_setup(true);
}

/* The smallest index. */
static int setup_small(void **state)
{
	unsigned int max = xentap_max_grants;
	int err;

	xentap_max_grants = 64;
	err = rig_setup(true);
	xentap_max_grants = max;
	return err;
}

static int setup_auto(void **state)
{
	return rig_setup(false);
}

static int teardown(void **state)
{
	return rig_teardown();
}

static void open_mapped(struct rig *rig)
{
	rig_open(rig, SLOTS, false);
	rig_mmap(rig);
}

static void assert_no_record(struct rig *rig)
{
	struct xentap_drained record;

	assert_int_equal(rig_read(rig, &record), -EAGAIN);
	assert_int_equal(kshim_poll(rig->file), 0);
}

static void assert_record(struct rig *rig, u32 slot, int status)
{
	struct xentap_drained record;

	assert_int_equal(kshim_poll(rig->file), EPOLLIN | EPOLLRDNORM);
	assert_int_equal(rig_read(rig, &record), sizeof(record));
	assert_int_equal(record.slot, slot);
	assert_int_equal(record.status, status);
}

/* What every view says of a grant: is it there, and with this page? */
static void assert_indexed(u32 domid, u32 gref, struct page *page, bool there)
{
	struct xentap_grant grant;

	assert_int_equal(xentap_mfn_grants(rig_mfn(domid, gref), &grant, 1), there);
	assert_int_equal(xentap_page_grant(page, &grant), there ? 0 : -ENOENT);
	if (!there)
		return;
	assert_int_equal(grant.domid, domid);
	assert_int_equal(grant.gref, gref);
	assert_ptr_equal(grant.page, page);
}

static void free_slot(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_unmap(&rig, 0), -ENOENT);
	assert_int_equal(rig_unmap(&rig, SLOTS), -EINVAL);
	assert_int_equal(rig_unmap(&rig, UINT32_MAX), -EINVAL);
	assert_int_equal(rig_query(&rig, 0).status, -ENOENT);
	assert_null(kshim_pin(rig.vma, 0));
	assert_no_record(&rig);
	rig_close(&rig);
}

static void live_slot_and_back(void **state)
{
	struct xentap_query_addr entry;
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	page = rig_page(&rig, 3);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	entry = rig_query(&rig, 3);
	assert_int_equal(entry.status, 0);
	assert_int_equal(entry.flags, 0);
	assert_int_equal(entry.mfn, rig_mfn(1, 7));
	assert_indexed(1, 7, page, true);
	assert_ptr_equal(kshim_pin(rig.vma, 3), page);
	put_page(page);
	assert_int_equal(xentap_quota_used(1), 1);

	assert_int_equal(rig_unmap(&rig, 3), 0);
	assert_int_equal(rig_query(&rig, 3).status, -ENOENT);
	assert_indexed(1, 7, page, false);
	assert_null(kshim_pin(rig.vma, 3));
	assert_int_equal(rig_unmap(&rig, 3), -ENOENT);
	assert_int_equal(xen_count(false) + xen_count(true), 0);
	assert_int_equal(xentap_quota_used(1), 0);
	/* User space was told at once. */
	kshim_run(PASS_MS);
	assert_no_record(&rig);
	rig_close(&rig);
}

/* LIVE, DRAINING, DRAINED, FREE, with every call in each of them. */
static void draining_slot(void **state)
{
	struct xentap_query_addr entry;
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	page = kshim_pin(rig.vma, 3);
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);

	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	assert_int_equal(rig_map(&rig, 3, 1, 8), -EBUSY);
	entry = rig_query(&rig, 3);
	assert_int_equal(entry.status, 0);
	assert_int_equal(entry.gref, 7);
	assert_int_equal(entry.flags, XENTAP_GRANT_F_DRAINING);
	assert_indexed(1, 7, page, false);
	/* The address is gone at once, and with it new users. */
	assert_null(kshim_pin(rig.vma, 3));
	assert_int_equal(xen_count(true), 0);
	assert_int_equal(xen_count(false), 1);
	kshim_run(10 * PASS_MS);
	assert_no_record(&rig);
	assert_int_equal(kshim_counter("draining"), 1);

	put_page(page);
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	kshim_run(PASS_MS);
	assert_int_equal(xen_count(false), 0);
	assert_int_equal(xentap_quota_used(1), 0);
	assert_int_equal(kshim_counter("draining"), 0);

	/* Free is what read() names. */
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	assert_int_equal(rig_map(&rig, 3, 1, 8), -EBUSY);
	assert_int_equal(rig_query(&rig, 3).status, -ENOENT);
	assert_record(&rig, 3, 0);
	assert_no_record(&rig);
	assert_int_equal(rig_unmap(&rig, 3), -ENOENT);
	assert_int_equal(rig_map(&rig, 3, 1, 8), 0);
	rig_close(&rig);
}

static void lost_at_once(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	xen_inject(XEN_UNMAP_KERNEL, 1, 7, GNTST_bad_handle);
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	xen_inject(XEN_UNMAP_KERNEL, 1, 7, 0);
	/* Until the file is closed, and its page for good. */
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	assert_int_equal(rig_map(&rig, 3, 1, 8), -EBUSY);
	assert_int_equal(rig_query(&rig, 3).status, -ENOENT);
	assert_indexed(1, 7, rig_page(&rig, 3), false);
	kshim_run(PASS_MS);
	assert_no_record(&rig);
	assert_int_equal(kshim_counter("quarantined"), 1);
	assert_int_equal(kshim_counter("mapped"), 0);
	assert_int_equal(xentap_quota_used(1), 1);
	assert_int_equal(rig_map(&rig, 4, 1, 7), 0);
	rig_close(&rig);
	kshim_run(PASS_MS);
	assert_int_equal(kshim_counter("arenas"), 0);
	assert_int_equal(kshim_counter("quarantined"), 1);
	assert_int_equal(xen_count(false), 1);
}

static void lost_while_draining(void **state)
{
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	page = kshim_pin(rig.vma, 3);
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	put_page(page);
	xen_fail_call(XEN_UNMAP_KERNEL, 1);
	kshim_run(PASS_MS);
	assert_int_equal(kshim_counter("quarantined"), 1);
	assert_record(&rig, 3, -EIO);
	assert_no_record(&rig);
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	assert_int_equal(rig_map(&rig, 3, 1, 7), -EBUSY);
	rig_close(&rig);
}

/* PV: Xen keeps the user's mapping. The page may be in use: it is not unmapped. */
static void lost_with_its_user_mapping(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	xen_inject(XEN_UNMAP_USER, 1, 7, GNTST_general_error);
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	assert_null(kshim_pin(rig.vma, 3));
	assert_int_equal(xen_count_grant(1, 7, false), 1);
	assert_int_equal(xen_count_grant(1, 7, true), 1);
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	assert_int_equal(rig_unmap(&rig, 4), 0);
	assert_int_equal(kshim_counter("quarantined"), 1);
	assert_int_equal(kshim_counter("user_ptes"), 1);
	rig_close(&rig);
}

/* PV: the same, when the notifier asks. Nobody learns at once. */
static void lost_by_the_notifier(void **state)
{
	struct rig rig;
	long hypercalls;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	xen_inject(XEN_UNMAP_USER, 1, 7, GNTST_general_error);
	assert_true(kshim_zap(rig.vma, 3, 1, true));
	assert_null(kshim_pin(rig.vma, 3));
	assert_int_equal(rig_query(&rig, 3).status, 0);
	/* Xen is not asked again: the page table may be gone. */
	hypercalls = kshim_counter("hypercalls");
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	assert_int_equal(kshim_counter("hypercalls"), hypercalls);
	/* All of them, by munmap(). */
	xen_fail_call(XEN_UNMAP_USER, 1);
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	kshim_run(PASS_MS);
	assert_record(&rig, 4, -EIO);
	assert_no_record(&rig);
	assert_int_equal(kshim_counter("quarantined"), 2);
	rig_close(&rig);
}

/* PV: entries go by the table, whatever their order. */
static void unmapped_across_tables(void **state)
{
	static const u32 slots[] = { 3, 6, 0, 7, 4, 1, 2 };
	struct xentap_unmap unmaps[ARRAY_SIZE(slots)];
	struct rig rig;
	u32 i;

	open_mapped(&rig);
	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		assert_int_equal(rig_map(&rig, slots[i], 1, 5 + i), 0);
		unmaps[i] = (struct xentap_unmap){ .slot = slots[i], .status = 99 };
	}
	assert_int_equal(rig_batch(&rig, unmaps, ARRAY_SIZE(slots), NULL, 0), 0);
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		assert_int_equal(unmaps[i].status, 0);
	assert_int_equal(xen_count(true), 0);
	assert_int_equal(xen_count(false), 0);
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		assert_null(kshim_pin(rig.vma, slots[i]));
	rig_close(&rig);
}

/* PV: of a table that cannot be found Xen clears the entries all the same. */
static void unmapped_without_a_table(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	kshim_lose_tables(2);
	assert_int_equal(rig_unmap(&rig, 3), 0);
	assert_true(kshim_zap(rig.vma, 4, 1, true));
	assert_int_equal(xen_count(true), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	put_page(kshim_pin(rig.vma, 3));
	rig_close(&rig);
}

static void map_in_munmap(void *data)
{
	assert_int_equal(rig_map(data, 4, 1, 8), -ESHUTDOWN);
	assert_int_equal(rig_unmap(data, 3), 0);
}

/* Another thread's batch while munmap() is under way, the arena not yet dead. */
static void batch_in_munmap(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	kshim_in_munmap(map_in_munmap, &rig);
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	assert_int_equal(xen_count(false), 0);
	assert_int_equal(kshim_counter("mapped"), 0);
	rig_close(&rig);
}

/* Frames whose numbers fall into one bucket of the index. */
static void frames_of_one_bucket(void **state)
{
	struct xentap_grant grant;
	u32 one = 3, two = 3;
	struct rig rig;

	/* Of domain 1 and of domain 2. */
	while (hash_64(rig_mfn(1, one), 8) != hash_64(rig_mfn(2, two), 8))
		if (++two == 128) {
			two = 3;
			one++;
		}
	assert_in_range(one, 3, 127);
	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 0, 1, one), 0);
	assert_int_equal(rig_map(&rig, 1, 2, two), 0);
	assert_indexed(1, one, rig_page(&rig, 0), true);
	assert_indexed(2, two, rig_page(&rig, 1), true);
	assert_int_equal(xentap_mfn_get(rig_mfn(1, one), &grant), 0);
	assert_int_equal(grant.gref, one);
	xentap_grant_put(&grant);
	assert_int_equal(rig_unmap(&rig, 1), 0);
	assert_indexed(1, one, rig_page(&rig, 0), true);
	assert_int_equal(xentap_mfn_get(rig_mfn(2, two), &grant), -ENOENT);
	rig_close(&rig);
}

/* What was half made could not be undone. */
static void lost_by_a_failed_map(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	xen_inject(XEN_MAP_USER, 1, 7, GNTST_no_space);
	xen_inject(XEN_UNMAP_KERNEL, 1, 7, GNTST_bad_handle);
	assert_int_equal(rig_map(&rig, 3, 1, 7), -ENOSPC);
	assert_int_equal(kshim_counter("quarantined"), 1);
	assert_int_equal(kshim_counter("mapped"), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 8), -EBUSY);
	assert_int_equal(rig_unmap(&rig, 3), -EIO);
	rig_close(&rig);
}

static void lists_that_name_a_slot_twice(void **state)
{
	struct xentap_unmap unmaps[3] = { { .slot = 3 }, { .slot = 3 }, { .slot = 3 } };
	struct xentap_map maps[2] = {
		{ .slot = 3, .domid = 1, .gref = 7 }, { .slot = 3, .domid = 1, .gref = 8 },
	};
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_batch(&rig, unmaps, 1, maps, 2), 0);
	assert_int_equal(unmaps[0].status, -ENOENT);
	assert_int_equal(maps[0].status, 0);
	assert_int_equal(maps[1].status, -EBUSY);

	/* Unmaps come first: the slot is free for a map of the same list. */
	assert_int_equal(rig_batch(&rig, unmaps, 3, maps + 1, 1), 0);
	assert_int_equal(unmaps[0].status, 0);
	assert_int_equal(maps[1].status, 0);
	assert_int_equal(rig_query(&rig, 3).gref, 8);

	page = kshim_pin(rig.vma, 3);
	assert_int_equal(rig_batch(&rig, unmaps, 3, maps, 1), 0);
	assert_int_equal(unmaps[0].status, -EINPROGRESS);
	assert_int_equal(unmaps[2].status, -EINPROGRESS);
	assert_int_equal(maps[0].status, -EBUSY);
	assert_int_equal(kshim_counter("drains"), 1);
	put_page(page);
	kshim_run(PASS_MS);
	assert_record(&rig, 3, 0);
	rig_close(&rig);
}

static void one_grant_many_slots(void **state)
{
	struct xentap_grant grants[4];
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	/* One grant twice; another of the same frame. */
	assert_int_equal(rig_map(&rig, 0, 1, 0), 0);
	assert_int_equal(rig_map(&rig, 1, 1, 0), 0);
	assert_int_equal(rig_map(&rig, 2, 1, 1), 0);
	assert_int_equal(xentap_mfn_grants(rig_mfn(1, 0), grants, 4), 3);
	assert_int_equal(xentap_mfn_grants(rig_mfn(1, 0), NULL, 0), 3);
	page = kshim_pin(rig.vma, 1);
	/* A hold of one slot is none of the others. */
	assert_int_equal(rig_unmap(&rig, 0), 0);
	assert_int_equal(rig_unmap(&rig, 1), -EINPROGRESS);
	assert_int_equal(xentap_mfn_grants(rig_mfn(1, 0), grants, 4), 1);
	assert_int_equal(grants[0].gref, 1);
	put_page(page);
	rig_close(&rig);
}

static void records_fit_or_wait(void **state)
{
	struct xentap_drained records[4];
	struct page *pages[3];
	struct rig rig;
	u32 i;

	open_mapped(&rig);
	for (i = 0; i < 3; i++) {
		assert_int_equal(rig_map(&rig, 2 * i, 1, 7 + i), 0);
		pages[i] = kshim_pin(rig.vma, 2 * i);
		assert_int_equal(rig_unmap(&rig, 2 * i), -EINPROGRESS);
	}
	for (i = 0; i < 3; i++)
		put_page(pages[i]);
	kshim_run(PASS_MS);
	assert_int_equal(kshim_read(rig.file, records, sizeof(*records) * 2 - 1),
			 sizeof(*records));
	assert_int_equal(records[0].slot, 0);
	/* A fault loses no record. */
	kshim_fail_copy(1);
	assert_int_equal(kshim_read(rig.file, records, sizeof(records)), -EFAULT);
	kshim_fail_copy(2);
	assert_int_equal(kshim_read(rig.file, records, sizeof(records)), sizeof(*records));
	assert_int_equal(records[0].slot, 2);
	kshim_fail_copy(0);
	assert_int_equal(kshim_read(rig.file, records, sizeof(records)), sizeof(*records));
	assert_int_equal(records[0].slot, 4);
	assert_no_record(&rig);
	rig_close(&rig);
}

static void read_waits(void **state)
{
	struct xentap_drained record;
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	rig.file->f_flags = 0;
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	page = kshim_pin(rig.vma, 3);
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	put_page(page);
	/* The work is done meanwhile. */
	assert_int_equal(rig_read(&rig, &record), sizeof(record));
	assert_int_equal(record.slot, 3);
	rig_close(&rig);
}

/* munmap(): no more maps, all that was mapped drains, read() still answers. */
static void dead_arena(void **state)
{
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	page = kshim_pin(rig.vma, 4);
	kshim_munmap(rig.vma);
	assert_int_equal(rig_map(&rig, 0, 1, 9), -ESHUTDOWN);
	assert_int_equal(xen_count(true), 0);
	kshim_run(PASS_MS);
	assert_int_equal(xen_count(false), 1);
	rig.vma = NULL;
	assert_record(&rig, 3, 0);
	assert_no_record(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 9), -ESHUTDOWN);
	put_page(page);
	kshim_run(PASS_MS);
	assert_record(&rig, 4, 0);
	rig_close(&rig);
}

/* The process asks for an unmap after munmap(), before the work queue came by. */
static void unmap_in_a_dead_arena(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	assert_int_equal(rig_unmap(&rig, 3), 0);
	kshim_run(PASS_MS);
	assert_record(&rig, 4, 0);
	rig_close(&rig);
}

/* close() and munmap() in both orders, the page held across them or not. */
static void ends_in_any_order(void **state)
{
	struct page *page;
	struct rig rig;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		bool close_first = i & 1, held = i & 2, asked = i & 4;

		open_mapped(&rig);
		assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
		assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
		page = held ? kshim_pin(rig.vma, 3) : NULL;
		if (asked)
			assert_int_equal(rig_unmap(&rig, 3), held ? -EINPROGRESS : 0);
		if (close_first) {
			kshim_close(rig.file);
			/* The mapping keeps the file. */
			kshim_run(PASS_MS);
			assert_int_equal(xen_count_grant(1, 8, false), 1);
			kshim_munmap(rig.vma);
		} else {
			kshim_munmap(rig.vma);
			kshim_close(rig.file);
		}
		kshim_run(PASS_MS);
		assert_int_equal(xen_count(false), held);
		assert_int_equal(kshim_counter("arenas"), held);
		if (page) {
			kshim_run(10 * PASS_MS);
			assert_int_equal(xen_count(false), 1);
			put_page(page);
		}
		kshim_run(PASS_MS);
		assert_int_equal(xen_count(false), 0);
		assert_int_equal(kshim_counter("arenas"), 0);
	}
}

/* madvise() and the like take addresses; grants stay until they are unmapped. */
static void addresses_taken_away(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 2, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 8), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 9), 0);
	assert_true(kshim_zap(rig.vma, 3, 1, true));
	assert_null(kshim_pin(rig.vma, 3));
	put_page(kshim_pin(rig.vma, 2));
	assert_int_equal(rig_query(&rig, 3).status, 0);
	assert_true(kshim_zap(rig.vma, 0, SLOTS, false));
	assert_null(kshim_pin(rig.vma, 2));
	assert_int_equal(kshim_counter("mapped"), 3);
	assert_int_equal(kshim_counter("user_ptes"), 0);
	assert_int_equal(rig_unmap(&rig, 3), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 8), 0);
	put_page(kshim_pin(rig.vma, 3));
	rig_close(&rig);
}

/* PV: the entry's address is looked up anew when mm/ changed something. */
static void map_against_changes_of_the_mm(void **state)
{
	struct xentap_map map = { .slot = 3, .domid = 1, .gref = 7 };
	struct rig rig;

	open_mapped(&rig);
	kshim_fail_retry(3);
	assert_int_equal(rig_map(&rig, 0, 1, 7), 0);
	kshim_fail_retry(1);
	/* Killed between: the entry says so, nothing stays. */
	current->killed_later = true;
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), 0);
	current->killed_later = false;
	current->killed = false;
	assert_int_equal(map.status, -EINTR);
	assert_int_equal(xen_count(false), 1);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	rig_close(&rig);
}

/* PV: /proc/PID/clear_refs must not find the page. */
static void write_locked_look_finds_nothing(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_null(kshim_look_write_locked(rig.vma, 3));
	put_page(kshim_pin(rig.vma, 3));
	rig_close(&rig);
}

static void forked_child(void **state)
{
	struct mm_struct *child = kshim_mm_new();
	struct vm_area_struct *copy;
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	copy = kshim_fork(rig.vma, child);
	/* A child that has the page cannot keep it. */
	page = kshim_pin(copy, 3);
	assert_true(kshim_pv ? !page : page == rig_page(&rig, 3));
	if (page)
		put_page(page);
	assert_int_equal(rig_unmap(&rig, 3), 0);
	assert_null(kshim_pin(copy, 3));
	/* The child's end is not the arena's. */
	kshim_munmap(copy);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	copy = kshim_fork(rig.vma, child);
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	kshim_run(PASS_MS);
	assert_int_equal(xen_count(false), 0);
	kshim_munmap(copy);
	rig_close(&rig);
	kshim_mm_free(child);
}

static void kernel_api_holds(void **state)
{
	struct xentap_grant by_mfn, by_page;
	struct page *page;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(xentap_mfn_get(rig_mfn(1, 7), &by_mfn), -ENOENT);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	page = rig_page(&rig, 3);
	assert_int_equal(xentap_mfn_get(rig_mfn(1, 7), &by_mfn), 0);
	assert_int_equal(xentap_page_get(page, &by_page), 0);
	assert_ptr_equal(by_mfn.page, page);
	assert_int_equal(by_mfn.mfn, rig_mfn(1, 7));
	assert_int_equal(by_mfn.domid, 1);
	assert_int_equal(by_mfn.gref, 7);
	assert_false(by_mfn.rdonly);
	assert_int_equal(by_page.handle, by_mfn.handle);
	assert_ptr_equal(xentap_mfn_to_page(rig_mfn(1, 7)), page);

	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	assert_int_equal(xentap_mfn_get(rig_mfn(1, 7), &by_mfn), -ENOENT);
	assert_int_equal(xentap_page_get(page, &by_page), -ENOENT);
	xentap_grant_put(&by_mfn);
	kshim_run(PASS_MS);
	xentap_grant_put(&by_page);
	kshim_run(PASS_MS);
	assert_no_record(&rig);
	/* That of xentap_mfn_to_page(). */
	put_page(page);
	kshim_run(PASS_MS);
	assert_record(&rig, 3, 0);
	rig_close(&rig);
	/* No longer anybody's. */
	kshim_run(PASS_MS);
	assert_int_equal(xentap_page_grant(page, &by_page), -ENOENT);
}

static void kernel_api_and_other_pages(void **state)
{
	struct page *own = alloc_page(GFP_KERNEL);
	struct xentap_grant grant;
	struct page *page;

	assert_int_equal(xentap_page_grant(own, &grant), -ENOENT);
	page = xentap_mfn_to_page(xen_page_to_gfn(own));
	assert_ptr_equal(page, kshim_pv ? own : NULL);
	if (page)
		put_page(page);
	assert_null(xentap_mfn_to_page(rig_mfn(1, 7)));
	put_page(own);
	/* Nobody's, as after it was freed. */
	assert_null(xentap_mfn_to_page(xen_page_to_gfn(own)));
}

static void debugfs_says_what_is(void **state)
{
	struct xentap_restrict to = { .domid = 1 };
	struct page *page;
	char text[2048];
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(kshim_ioctl(rig.file, XENTAP_IOC_RESTRICT, &to), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 4, 1, 8), 0);
	page = kshim_pin(rig.vma, 3);
	assert_int_equal(rig_unmap(&rig, 3), -EINPROGRESS);
	kshim_debugfs("arenas", text, sizeof(text));
	assert_string_equal(text, kshim_pv ?
		"arena opener domid slots mapped draining user_ptes state\n"
		"0 1 1 8 2 1 1 alive\n" :
		"arena opener domid slots mapped draining user_ptes state\n"
		"0 1 1 8 2 1 0 alive\n");
	kshim_debugfs("domains", text, sizeof(text));
	assert_string_equal(text, "1 2\n");
	kshim_debugfs("batch_sizes", text, sizeof(text));
	assert_non_null(strstr(text, "\n1024 2047 0\n"));
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	kshim_debugfs("arenas", text, sizeof(text));
	assert_non_null(strstr(text, " dead\n"));
	put_page(page);
	rig_close(&rig);
	kshim_run(PASS_MS);
	kshim_debugfs("domains", text, sizeof(text));
	assert_string_equal(text, "");
}

static void the_longest_lists(void **state)
{
	static struct xentap_unmap unmaps[XENTAP_BATCH_MAX];
	static struct xentap_map maps[XENTAP_BATCH_MAX];
	struct rig rig;
	u32 i;

	rig_open(&rig, XENTAP_BATCH_MAX + 5, false);
	rig_mmap(&rig);
	for (i = 0; i < XENTAP_BATCH_MAX; i++) {
		maps[i] = (struct xentap_map){ .slot = i, .domid = 1, .gref = i % RIG_GREFS };
		unmaps[i].slot = i;
	}
	assert_int_equal(rig_batch(&rig, NULL, 0, maps, XENTAP_BATCH_MAX), 0);
	assert_int_equal(xen_count(false), XENTAP_BATCH_MAX);
	for (i = 0; i < XENTAP_BATCH_MAX; i++)
		maps[i].gref = RIG_GREFS - 1 - maps[i].gref;
	assert_int_equal(rig_batch(&rig, unmaps, XENTAP_BATCH_MAX, maps, XENTAP_BATCH_MAX), 0);
	for (i = 0; i < XENTAP_BATCH_MAX; i++)
		if (unmaps[i].status || maps[i].status)
			fail();
	/* More than one list's worth drains at once. */
	for (i = 0; i < 5; i++)
		assert_int_equal(rig_map(&rig, XENTAP_BATCH_MAX + i, 1, i), 0);
	rig_close(&rig);
	kshim_run(PASS_MS);
	assert_int_equal(xen_count(false), 0);
}

#define BOTH(name) \
	{ #name " (PV)", name, setup_pv, teardown, NULL }, \
	{ #name " (auto)", name, setup_auto, teardown, NULL }
#define PV(name) { #name " (PV)", name, setup_pv, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(free_slot),
		BOTH(live_slot_and_back),
		BOTH(draining_slot),
		BOTH(lost_at_once),
		BOTH(lost_while_draining),
		PV(lost_with_its_user_mapping),
		PV(lost_by_the_notifier),
		PV(lost_by_a_failed_map),
		PV(unmapped_across_tables),
		PV(unmapped_without_a_table),
		BOTH(batch_in_munmap),
		{ "frames_of_one_bucket", frames_of_one_bucket, setup_small, teardown, NULL },
		BOTH(lists_that_name_a_slot_twice),
		BOTH(one_grant_many_slots),
		BOTH(records_fit_or_wait),
		BOTH(read_waits),
		BOTH(dead_arena),
		BOTH(unmap_in_a_dead_arena),
		BOTH(ends_in_any_order),
		BOTH(addresses_taken_away),
		PV(map_against_changes_of_the_mm),
		PV(write_locked_look_finds_nothing),
		BOTH(forked_child),
		BOTH(kernel_api_holds),
		BOTH(kernel_api_and_other_pages),
		BOTH(debugfs_says_what_is),
		BOTH(the_longest_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
