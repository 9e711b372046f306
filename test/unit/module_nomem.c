// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A life of the module in which each allocation fails in turn, and then each copy
 * from and to user memory: every call says so or succeeds, and nothing is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define SLOTS	4u

/* One that fails as the call may, or not at all. */
static bool ok(long result, int allowed)
{
	if (result && result != allowed)
		kshim_bug("a call said %ld, not 0 or %d", result, allowed);
	return !result;
}

static void pool_life(struct file *file, int allowed)
{
	struct xentap_pool_create create = { .nr_pages = 2 };
	struct xentap_copy copy = { .domid = 1, .gref = 7, .len = 64 };
	struct xentap_copy_list list = { .entries = (uintptr_t)&copy, .nr = 1 };
	struct vm_area_struct *vma;

	if (!ok(kshim_ioctl(file, XENTAP_IOC_POOL_CREATE, &create), allowed))
		return;
	if (!kshim_mmap(file, 2, VM_SHARED | VM_READ, XENTAP_POOL_PGOFF, &vma)) {
		ok(kshim_ioctl(file, XENTAP_IOC_COPY, &list), allowed);
		kshim_munmap(vma);
	}
}

static void questions(struct file *file, struct vm_area_struct *vma, int allowed)
{
	struct xentap_query_addr entry = { .addr = vma->vm_start };
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };
	struct xentap_mfn_grant grants[4];
	struct xentap_query_mfn query_mfn = {
		.mfn = rig_mfn(1, 7), .grants = (uintptr_t)grants, .nr = 4,
	};
	struct xentap_info info;

	ok(kshim_ioctl(file, XENTAP_IOC_GET_INFO, &info), allowed);
	ok(kshim_ioctl(file, XENTAP_IOC_QUERY, &query), allowed);
	ok(kshim_ioctl(file, XENTAP_IOC_QUERY_MFN, &query_mfn), allowed);
}

static void batches(struct file *file, struct vm_area_struct *vma, int allowed)
{
	struct xentap_map maps[SLOTS];
	struct xentap_unmap unmaps[SLOTS];
	struct xentap_batch batch = {
		.maps = (uintptr_t)maps, .nr_maps = SLOTS,
		.unmaps = (uintptr_t)unmaps, .nr_unmaps = SLOTS,
	};
	struct xentap_drained records[SLOTS];
	struct page *page;
	ssize_t got;
	u32 i;

	for (i = 0; i < SLOTS; i++) {
		/* Two runs of neighbours. */
		maps[i] = (struct xentap_map){ .slot = i ^ 1, .domid = 1, .gref = 7 + i };
		unmaps[i] = (struct xentap_unmap){ .slot = i };
	}
	if (ok(kshim_ioctl(file, XENTAP_IOC_BATCH, &batch), allowed))
		for (i = 0; i < SLOTS; i++)
			kshim_must(!maps[i].status || maps[i].status == -ENOMEM);
	questions(file, vma, allowed);
	page = kshim_pin(vma, 0);
	batch.nr_maps = 0;
	ok(kshim_ioctl(file, XENTAP_IOC_BATCH, &batch), allowed);
	if (page)
		put_page(page);
	kshim_run(100);
	got = kshim_read(file, records, sizeof(records));
	kshim_must(got > 0 || got == -EAGAIN || got == allowed);
}

static void arena_life(struct file *file, int allowed)
{
	struct xentap_restrict restrict_to = { .domid = 1 };
	struct xentap_arena_create create = { .nr_slots = SLOTS };
	struct vm_area_struct *vma;

	if (ok(kshim_ioctl(file, XENTAP_IOC_ARENA_CREATE, &create), allowed) &&
	    !kshim_mmap(file, SLOTS, VM_SHARED | VM_READ | VM_WRITE, 0, &vma)) {
		batches(file, vma, allowed);
		kshim_munmap(vma);
	}
	ok(kshim_ioctl(file, XENTAP_IOC_RESTRICT, &restrict_to), allowed);
}

/* From load to unload; kshim_unload() looks for what is left. */
static void life(bool pv, int allowed)
{
	struct file *file;

	if (!ok(kshim_load(pv), allowed))
		return;
	file = kshim_open(O_NONBLOCK);
	if (!IS_ERR(file)) {
		arena_life(file, allowed);
		pool_life(file, allowed);
		kshim_close(file);
	} else {
		ok(PTR_ERR(file), allowed);
	}
	kshim_unload();
}

static int setup(void **state)
{
	if (rig_setup(true))
		return -1;
	kshim_unload();
	return 0;
}

static int teardown(void **state)
{
	xen_reset();
	kshim_mm_free(current->mm);
	current->mm = NULL;
	return 0;
}

static void each_allocation(bool pv)
{
	long nr, i;

	kshim_allocations();
	life(pv, 0);
	nr = kshim_allocations();
	assert_in_range(nr, 30, 1000);
	for (i = 1; i <= nr; i++) {
		kshim_fail_allocation(i);
		life(pv, -ENOMEM);
	}
	kshim_fail_allocation(0);
	life(pv, 0);
}

static void each_allocation_pv(void **state)
{
	each_allocation(true);
}

static void each_allocation_auto(void **state)
{
	each_allocation(false);
}

static void each_copy(void **state)
{
	long nr, i;

	kshim_copies();
	life(true, 0);
	nr = kshim_copies();
	assert_in_range(nr, 15, 100);
	for (i = 1; i <= nr; i++) {
		kshim_fail_copy(i);
		life(true, -EFAULT);
	}
	kshim_fail_copy(0);
}

static void no_device(void **state)
{
	kshim_fail_misc(-EBUSY);
	assert_int_equal(kshim_load(true), -EBUSY);
	life(true, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_allocation_pv),
		TEST(each_allocation_auto),
		TEST(each_copy),
		TEST(no_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
