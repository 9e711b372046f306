// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each call of /dev/xen/tap against the words of include/uapi/xentap.h: what it
 * refuses, in which order, and that it does nothing then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define BAD_POINTER	((void *)8)
#define SLOTS		8u

static int setup_pv(void **state)
{
	return rig_setup(true);
}

static int setup_auto(void **state)
{
	return rig_setup(false);
}

static int teardown(void **state)
{
	kshim_user_memory(NULL, 0);
	kshim_scribble(-1);
	return rig_teardown();
}

static long call(const struct rig *rig, unsigned int command, const void *argument)
{
	return kshim_ioctl(rig->file, command, argument);
}

/* Open and nothing more. */
static void open_plain(struct rig *rig)
{
	rig_open(rig, 0, false);
}

static void open_mapped(struct rig *rig)
{
	rig_open(rig, SLOTS, false);
	rig_mmap(rig);
}

static void open_needs_the_right(void **state)
{
	struct file *file;

	current->cap_sys_admin = false;
	file = kshim_open(0);
	assert_int_equal(PTR_ERR(file), -EPERM);
	assert_int_equal(kshim_counter("arenas"), 0);
}

static void unknown_calls_are_enotty(void **state)
{
	struct xentap_info info;
	struct rig rig;

	open_plain(&rig);
	assert_int_equal(call(&rig, _IOR('x', 0x08, int), &info), -ENOTTY);
	assert_int_equal(call(&rig, _IOR('x', 0x00, int), &info), -ENOTTY);
	assert_int_equal(call(&rig, _IOR('y', 0x00, struct xentap_info), &info), -ENOTTY);
	assert_int_equal(call(&rig, 0, &info), -ENOTTY);
	rig_close(&rig);
}

static void info_says_the_limits(void **state)
{
	struct xentap_info info;
	struct rig rig;

	memset(&info, 0xff, sizeof(info));
	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_GET_INFO, &info), 0);
	assert_int_equal(info.abi_version, XENTAP_ABI_VERSION);
	assert_int_equal(info.features, XENTAP_FEAT_USER_MAP | XENTAP_FEAT_QUERY |
			 XENTAP_FEAT_QUERY_MFN | XENTAP_FEAT_COPY);
	assert_int_equal(info.max_slots, xentap_max_slots);
	assert_int_equal(info.max_batch, XENTAP_BATCH_MAX);
	assert_int_equal(info.max_grants, xentap_max_grants);
	assert_int_equal(info.max_grants_domid, xentap_max_grants_domid);
	assert_int_equal(info.max_pool_pages, xentap_max_pool_pages);
	assert_int_equal(info.reserved, 0);
	assert_int_equal(call(&rig, XENTAP_IOC_GET_INFO, BAD_POINTER), -EFAULT);
	rig_close(&rig);
}

/* A domain whose kernel cannot map grants for user space has pools only. */
static void without_mappings_there_are_pools(void **state)
{
	const struct xentap_mmu *mmu = xentap_mmu;
	struct xentap_arena_create create = { .nr_slots = 1 };
	struct xentap_pool_create pool = { .nr_pages = 1 };
	struct xentap_info info;
	struct rig rig;

	xentap_mmu = NULL;
	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_GET_INFO, &info), 0);
	assert_int_equal(info.features, XENTAP_FEAT_COPY);
	assert_int_equal(call(&rig, XENTAP_IOC_ARENA_CREATE, &create), -EOPNOTSUPP);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &pool), 0);
	rig_close(&rig);
	xentap_mmu = mmu;
}

static void restrict_is_one_way(void **state)
{
	struct xentap_restrict to = { .domid = 2 };
	struct xentap_query_mfn query = { 0 };
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, BAD_POINTER), -EFAULT);
	to.reserved = 1;
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), -EINVAL);
	to = (struct xentap_restrict){ .domid = DOMID_FIRST_RESERVED };
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), -EINVAL);
	to.domid = 0x10002;
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), -EINVAL);
	to.domid = UINT32_MAX;
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), -EINVAL);
	/* None of these did anything. */
	assert_int_equal(rig_map(&rig, 0, 1, 7), 0);

	to.domid = 2;
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), 0);
	to.domid = 1;
	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), -EPERM);
	assert_int_equal(rig_map(&rig, 1, 1, 7), -EPERM);
	assert_int_equal(rig_map(&rig, 1, 2, 7), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EPERM);
	/* What was mapped before stays. */
	assert_int_equal(rig_query(&rig, 0).status, 0);
	rig_close(&rig);
}

static void arena_create_checks(void **state)
{
	struct xentap_arena_create good = { .nr_slots = SLOTS };
	struct xentap_arena_create bad[] = {
		{ .nr_slots = 0 },
		{ .nr_slots = xentap_max_slots + 1 },
		{ .nr_slots = UINT32_MAX },
		{ .nr_slots = SLOTS, .flags = 2 },
		{ .nr_slots = SLOTS, .flags = 1u << 31 },
		{ .nr_slots = SLOTS, .reserved = 1 },
		{ .nr_slots = SLOTS, .reserved = 1ull << 63 },
	};
	struct rig rig;
	unsigned int i;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_ARENA_CREATE, BAD_POINTER), -EFAULT);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(call(&rig, XENTAP_IOC_ARENA_CREATE, &bad[i]), -EINVAL);
	assert_int_equal(kshim_counter("slots"), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_ARENA_CREATE, &good), 0);
	assert_int_equal(kshim_counter("slots"), SLOTS);
	assert_int_equal(call(&rig, XENTAP_IOC_ARENA_CREATE, &good), -EBUSY);
	rig_close(&rig);
	kshim_run(0);
	assert_int_equal(kshim_counter("slots"), 0);
}

static int map_as(struct file *file, unsigned long pages, unsigned long flags,
		  unsigned long pgoff)
{
	struct vm_area_struct *vma;
	int err = kshim_mmap(file, pages, flags, pgoff, &vma);

	if (!err)
		kshim_munmap(vma);
	return err;
}

static void mmap_checks(void **state)
{
	const unsigned long rw = VM_READ | VM_WRITE;
	struct rig rig;

	open_plain(&rig);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw, 0), -ENXIO);
	assert_int_equal(map_as(rig.file, 1, VM_SHARED | rw, XENTAP_POOL_PGOFF), -ENXIO);
	rig_close(&rig);

	rig_open(&rig, SLOTS, false);
	assert_int_equal(map_as(rig.file, SLOTS - 1, VM_SHARED | rw, 0), -EINVAL);
	assert_int_equal(map_as(rig.file, SLOTS + 1, VM_SHARED | rw, 0), -EINVAL);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw, 1), -EINVAL);
	assert_int_equal(map_as(rig.file, SLOTS, rw, 0), -EINVAL);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | VM_READ, 0), -EACCES);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw | VM_EXEC, 0), -EACCES);
	rig_mmap(&rig);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw, 0), -EBUSY);
	assert_false(rig.vma->vm_flags & VM_MAYEXEC);
	assert_true(rig.vma->vm_flags & VM_DONTCOPY);
	/* Its only mapping: also after it is gone. */
	kshim_munmap(rig.vma);
	rig.vma = NULL;
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw, 0), -EBUSY);
	rig_close(&rig);

	rig_open(&rig, SLOTS, true);
	assert_int_equal(map_as(rig.file, SLOTS, VM_SHARED | rw, 0), -EACCES);
	rig_mmap(&rig);
	assert_false(rig.vma->vm_flags & VM_MAYWRITE);
	rig_close(&rig);
}

static void parts_of_the_mapping_are_refused(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	assert_int_equal(kshim_munmap_part(rig.vma), -EINVAL);
	assert_int_equal(kshim_mprotect(rig.vma), -EINVAL);
	assert_int_equal(kshim_mremap(rig.vma), -EINVAL);
	/* The refused mremap() took the address away, not the grant or the arena. */
	assert_int_equal(rig_query(&rig, 3).status, 0);
	assert_null(kshim_pin(rig.vma, 3));
	assert_int_equal(rig_unmap(&rig, 3), 0);
	assert_int_equal(rig_map(&rig, 3, 1, 7), 0);
	put_page(kshim_pin(rig.vma, 3));
	rig_close(&rig);
}

static void batch_fields(void **state)
{
	struct xentap_batch bad[] = {
		{ .flags = 1 }, { .flags = 1u << 31 }, { .reserved = 1 },
		{ .nr_maps = XENTAP_BATCH_MAX + 1 }, { .nr_maps = UINT32_MAX },
		{ .nr_unmaps = XENTAP_BATCH_MAX + 1 }, { .nr_unmaps = UINT32_MAX },
	};
	struct xentap_batch nothing = { 0 };
	struct rig rig;
	unsigned int i;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_BATCH, BAD_POINTER), -EFAULT);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(call(&rig, XENTAP_IOC_BATCH, &bad[i]), -EINVAL);
	assert_int_equal(call(&rig, XENTAP_IOC_BATCH, &nothing), -ENXIO);
	rig_close(&rig);

	rig_open(&rig, SLOTS, false);
	assert_int_equal(call(&rig, XENTAP_IOC_BATCH, &nothing), -ENXIO);
	rig_mmap(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_BATCH, &nothing), 0);
	rig_close(&rig);
}

/* Bad lists: before anything is done. Statuses that cannot be written: after. */
static void batch_lists_and_faults(void **state)
{
	struct xentap_map map = { .slot = 1, .domid = 1, .gref = 7 };
	struct xentap_unmap unmap = { .slot = 0 };
	struct rig rig;
	unsigned int i;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, 0, 1, 9), 0);
	assert_int_equal(rig_batch(&rig, BAD_POINTER, 1, &map, 1), -EFAULT);
	assert_int_equal(rig_batch(&rig, &unmap, 1, BAD_POINTER, 1), -EFAULT);
	/* Copies in: the struct, unmaps, maps. */
	for (i = 1; i <= 3; i++) {
		kshim_fail_copy(i);
		assert_int_equal(rig_batch(&rig, &unmap, 1, &map, 1), -EFAULT);
	}
	assert_int_equal(xen_count(false), 1);
	assert_int_equal(rig_query(&rig, 0).gref, 9);

	/* Copies out. */
	kshim_fail_copy(4);
	assert_int_equal(rig_batch(&rig, &unmap, 1, &map, 1), -EFAULT);
	assert_int_equal(rig_query(&rig, 0).status, -ENOENT);
	assert_int_equal(rig_query(&rig, 1).gref, 7);
	unmap.slot = 1;
	map.slot = 0;
	kshim_fail_copy(5);
	assert_int_equal(rig_batch(&rig, &unmap, 1, &map, 1), -EFAULT);
	assert_int_equal(rig_query(&rig, 1).status, -ENOENT);
	assert_int_equal(rig_query(&rig, 0).gref, 7);
	rig_close(&rig);
}

static void batch_belongs_to_who_mapped(void **state)
{
	struct mm_struct *owner = current->mm;
	struct mm_struct *other = kshim_mm_new();
	struct xentap_map map = { .slot = 1, .domid = 1, .gref = 7 };
	struct rig rig;

	open_mapped(&rig);
	current->mm = other;
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), -EPERM);
	/* Asking is free. */
	assert_int_equal(rig_query(&rig, 1).status, -ENOENT);
	current->mm = owner;
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), 0);
	rig_close(&rig);
	kshim_mm_free(other);
}

static void batch_of_the_killed(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	current->killed = true;
	assert_int_equal(rig_batch(&rig, NULL, 0, NULL, 0), -EINTR);
	current->killed = false;
	rig_close(&rig);
}

/* PV: the first batch registers a notifier. */
static void first_batch_may_fail(void **state)
{
	struct xentap_map map = { .slot = 1, .domid = 1, .gref = 7 };
	struct rig rig;

	open_mapped(&rig);
	kshim_fail_notifier(-ENOMEM);
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), -ENOMEM);
	kshim_fail_notifier(-EINTR);
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), -ERESTARTSYS);
	assert_int_equal(xen_count(false), 0);
	assert_int_equal(rig_batch(&rig, NULL, 0, &map, 1), 0);
	assert_int_equal(map.status, 0);
	rig_close(&rig);
}

static void map_entries(void **state)
{
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(rig_map(&rig, SLOTS, 1, 7), -EINVAL);
	assert_int_equal(rig_map(&rig, UINT32_MAX, 1, 7), -EINVAL);
	assert_int_equal(rig_map(&rig, 0, 5, 7), -ESRCH);
	assert_int_equal(rig_map(&rig, 0, DOMID_FIRST_RESERVED, 7), -ESRCH);
	assert_int_equal(rig_map(&rig, 0, DOMID_SELF, 7), -ESRCH);
	assert_int_equal(rig_map(&rig, 0, 0x10001, 7), -ESRCH);
	assert_int_equal(rig_map(&rig, 0, UINT32_MAX, 7), -ESRCH);
	assert_int_equal(rig_map(&rig, 0, 1, XEN_GREFS), -ENOENT);
	assert_int_equal(rig_map(&rig, 0, 1, UINT32_MAX), -ENOENT);
	assert_int_equal(rig_map(&rig, 0, 1, RIG_NOTHING), -EIO);
	assert_int_equal(rig_map(&rig, 0, 1, RIG_RDONLY), -EIO);
	assert_int_equal(kshim_counter("mapped"), 0);
	assert_int_equal(xentap_quota_used(1), 0);
	assert_int_equal(rig_map(&rig, 0, 1, 7), 0);
	assert_int_equal(rig_map(&rig, 0, 1, 8), -EBUSY);
	assert_int_equal(rig_query(&rig, 0).gref, 7);
	rig_close(&rig);
}

/* What Xen says, for the kernel and for the user, and what user space is told. */
static void statuses_of_xen(void **state)
{
	static const struct { s16 status; int err; } table[] = {
		{ GNTST_general_error, -EIO }, { GNTST_bad_domain, -ESRCH },
		{ GNTST_bad_gntref, -ENOENT }, { GNTST_bad_handle, -EIO },
		{ GNTST_bad_virt_addr, -EIO }, { GNTST_bad_dev_addr, -EIO },
		{ GNTST_no_device_space, -ENOSPC }, { GNTST_permission_denied, -EACCES },
		{ GNTST_bad_page, -EFAULT }, { GNTST_bad_copy_arg, -EIO },
		{ GNTST_address_too_big, -EIO }, { GNTST_eagain, -EAGAIN },
		{ GNTST_no_space, -ENOSPC }, { 1, -EIO }, { -99, -EIO },
	};
	struct rig rig;
	unsigned int i;

	open_mapped(&rig);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		xen_inject(XEN_MAP_KERNEL, 1, 7, table[i].status);
		assert_int_equal(rig_map(&rig, 0, 1, 7), table[i].err);
		xen_inject(XEN_MAP_KERNEL, 1, 7, 0);
		assert_int_equal(xen_count(false), 0);
		if (!kshim_pv)
			continue;
		xen_inject(XEN_MAP_USER, 1, 7, table[i].status);
		assert_int_equal(rig_map(&rig, 0, 1, 7), table[i].err);
		xen_inject(XEN_MAP_USER, 1, 7, 0);
		assert_int_equal(xen_count(false), 0);
	}
	assert_int_equal(xentap_quota_used(1), 0);
	xen_fail_call(XEN_MAP_KERNEL, 1);
	assert_int_equal(rig_map(&rig, 0, 1, 7), -EIO);
	if (kshim_pv) {
		xen_fail_call(XEN_MAP_USER, 1);
		assert_int_equal(rig_map(&rig, 0, 1, 7), -EIO);
	}
	assert_int_equal(xen_count(false), 0);
	assert_int_equal(rig_map(&rig, 0, 1, 7), 0);
	rig_close(&rig);
}

/* The first, middle, last entry of a list fails: the others do not notice. */
static void entries_fail_alone(void **state)
{
	struct xentap_map maps[5];
	struct rig rig;
	unsigned int bad;
	unsigned int i;

	for (bad = 0; bad < 5; bad++) {
		open_mapped(&rig);
		for (i = 0; i < 5; i++)
			maps[i] = (struct xentap_map){ .slot = i, .domid = 1, .gref = 10 + i };
		maps[bad].gref = RIG_NOTHING;
		assert_int_equal(rig_batch(&rig, NULL, 0, maps, 5), 0);
		for (i = 0; i < 5; i++) {
			assert_int_equal(maps[i].status, i == bad ? -EIO : 0);
			assert_int_equal(rig_query(&rig, i).status, i == bad ? -ENOENT : 0);
			if (i != bad)
				assert_int_equal(rig_query(&rig, i).gref, 10 + i);
		}
		rig_close(&rig);
		kshim_run(0);
	}
}

static void limits_of_the_module(void **state)
{
	struct xentap_map maps[SLOTS];
	unsigned int total = xentap_max_grants;
	unsigned int domid = xentap_max_grants_domid;
	struct rig rig;
	unsigned int i;

	xentap_max_grants = 5;
	xentap_max_grants_domid = 3;
	open_mapped(&rig);
	for (i = 0; i < SLOTS; i++)
		maps[i] = (struct xentap_map){ .slot = i, .domid = 1 + i % 2, .gref = i };
	assert_int_equal(rig_batch(&rig, NULL, 0, maps, SLOTS), 0);
	for (i = 0; i < SLOTS; i++)
		assert_int_equal(maps[i].status, i < 5 ? 0 : -EDQUOT);
	assert_int_equal(rig_unmap(&rig, 1), 0);
	/* Domain 1 has three, the limit of one domain. */
	assert_int_equal(rig_map(&rig, 6, 1, 6), -EDQUOT);
	assert_int_equal(rig_map(&rig, 6, 2, 6), 0);
	assert_int_equal(rig_map(&rig, 7, 2, 7), -EDQUOT);
	rig_close(&rig);
	kshim_run(0);
	assert_int_equal(xentap_quota_used(1), 0);
	assert_int_equal(xentap_quota_used(2), 0);
	xentap_max_grants = total;
	xentap_max_grants_domid = domid;
}

/* Xen's own tables are full, at each mapping of a batch in turn. */
static void tables_of_xen_are_full(void **state)
{
	struct xentap_map maps[4];
	unsigned int room;
	unsigned int i;
	struct rig rig;

	for (room = 0; room <= 8; room++) {
		open_mapped(&rig);
		xen_limit(room);
		for (i = 0; i < 4; i++)
			maps[i] = (struct xentap_map){ .slot = i, .domid = 1, .gref = i };
		assert_int_equal(rig_batch(&rig, NULL, 0, maps, 4), 0);
		for (i = 0; i < 4; i++)
			assert_true(maps[i].status == 0 || maps[i].status == -ENOSPC);
		assert_int_equal(xen_count(false), kshim_counter("mapped"));
		assert_int_equal(xen_count(true), kshim_pv ? kshim_counter("mapped") : 0);
		rig_close(&rig);
		kshim_run(0);
	}
	xen_limit(UINT_MAX);
}

static void query_checks(void **state)
{
	struct xentap_query_addr entry = { 0 };
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, BAD_POINTER), -EFAULT);
	query.reserved = 1;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, &query), -EINVAL);
	query = (struct xentap_query){ .entries = (uintptr_t)&entry };
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, &query), -EINVAL);
	query.nr = XENTAP_BATCH_MAX + 1;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, &query), -EINVAL);
	query = (struct xentap_query){ .entries = 8, .nr = 1 };
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, &query), -EFAULT);
	query.entries = (uintptr_t)&entry;
	kshim_fail_copy(3);
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY, &query), -EFAULT);
	kshim_fail_copy(0);

	assert_int_equal(rig_query(&rig, SLOTS).status, -EINVAL);
	assert_int_equal(rig_query(&rig, -1).status, -EINVAL);
	assert_int_equal(rig_query(&rig, 0).status, -ENOENT);
	rig_close(&rig);
}

static void query_tells_all_or_hides_the_frame(void **state)
{
	struct xentap_query_addr entry;
	struct rig rig;

	rig_open(&rig, SLOTS, true);
	rig_mmap(&rig);
	assert_int_equal(rig_map(&rig, 2, 2, RIG_RDONLY + 5), 0);
	entry = rig_query(&rig, 2);
	assert_int_equal(entry.status, 0);
	assert_int_equal(entry.domid, 2);
	assert_int_equal(entry.gref, RIG_RDONLY + 5);
	assert_int_equal(entry.mfn, rig_mfn(2, RIG_RDONLY + 5));
	assert_int_equal(entry.flags, XENTAP_GRANT_F_RDONLY);
	current->cap_sys_admin = false;
	entry = rig_query(&rig, 2);
	assert_int_equal(entry.status, 0);
	assert_true(entry.mfn == XENTAP_MFN_HIDDEN);
	assert_int_equal(entry.gref, RIG_RDONLY + 5);
	rig_close(&rig);
}

static void query_mfn_checks(void **state)
{
	struct xentap_mfn_grant grants[4];
	struct xentap_query_mfn good = {
		.mfn = rig_mfn(1, 0), .grants = (uintptr_t)grants, .nr = 4,
	};
	struct xentap_query_mfn query = good;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, BAD_POINTER), -EFAULT);
	query.nr = 0;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EINVAL);
	query.nr = XENTAP_BATCH_MAX + 1;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EINVAL);
	current->cap_sys_admin = false;
	query = good;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EPERM);
	current->cap_sys_admin = true;

	query = good;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), 0);
	assert_int_equal(query.nr, 0);
	assert_int_equal(query.total, 0);

	/* Two grants of one frame, and one of them twice. */
	assert_int_equal(rig_map(&rig, 0, 1, 0), 0);
	assert_int_equal(rig_map(&rig, 1, 1, 1), 0);
	assert_int_equal(rig_map(&rig, 2, 1, 1), 0);
	query = good;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), 0);
	assert_int_equal(query.nr, 3);
	assert_int_equal(query.total, 3);
	query = good;
	query.nr = 2;
	memset(grants, 0xee, sizeof(grants));
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), 0);
	assert_int_equal(query.nr, 2);
	assert_int_equal(query.total, 3);
	assert_int_equal(grants[1].domid, 1);
	assert_int_equal(grants[2].domid, 0xeeeeeeee);

	query = good;
	query.grants = 8;
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EFAULT);
	query = good;
	kshim_fail_copy(3);
	assert_int_equal(call(&rig, XENTAP_IOC_QUERY_MFN, &query), -EFAULT);
	rig_close(&rig);
}

static void read_checks(void **state)
{
	struct xentap_drained record;
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(kshim_read(rig.file, &record, sizeof(record) - 1), -EINVAL);
	assert_int_equal(kshim_read(rig.file, &record, 0), -EINVAL);
	assert_int_equal(rig_read(&rig, &record), -EAGAIN);
	assert_int_equal(kshim_poll(rig.file), 0);
	/* One that waits is interrupted by a signal. */
	rig.file->f_flags = 0;
	current->signal = true;
	assert_int_equal(rig_read(&rig, &record), -ERESTARTSYS);
	current->signal = false;
	rig_close(&rig);

	open_plain(&rig);
	assert_int_equal(rig_read(&rig, &record), -EAGAIN);
	assert_int_equal(kshim_poll(rig.file), 0);
	rig_close(&rig);
}

static void pool_create_checks(void **state)
{
	struct xentap_pool_create good = { .nr_pages = 4 };
	struct xentap_pool_create bad[] = {
		{ .nr_pages = 0 }, { .nr_pages = xentap_max_pool_pages + 1 },
		{ .nr_pages = UINT32_MAX }, { .nr_pages = 1, .flags = 1 },
		{ .nr_pages = 1, .reserved = 1 },
	};
	struct rig rig;
	unsigned int i;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, BAD_POINTER), -EFAULT);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &bad[i]), -EINVAL);
	/* One that is killed gets nothing, and leaves nothing. */
	current->killed = true;
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &good), -ENOMEM);
	current->killed = false;
	assert_int_equal(kshim_counter("pool_pages"), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &good), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &good), -EBUSY);
	assert_int_equal(kshim_counter("pool_pages"), 4);
	rig_close(&rig);
	assert_int_equal(kshim_counter("pool_pages"), 0);
}

static void pool_mmap_checks(void **state)
{
	const unsigned long rw = VM_READ | VM_WRITE;
	struct xentap_pool_create create = { .nr_pages = 4 };
	struct vm_area_struct *whole, *part;
	struct page *page, *same;
	struct rig rig;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &create), 0);
	assert_int_equal(map_as(rig.file, 5, VM_SHARED | rw, XENTAP_POOL_PGOFF), -EINVAL);
	assert_int_equal(map_as(rig.file, 1, VM_SHARED | rw, XENTAP_POOL_PGOFF + 4), -EINVAL);
	assert_int_equal(map_as(rig.file, 4, VM_SHARED | rw, XENTAP_POOL_PGOFF + 1), -EINVAL);
	assert_int_equal(map_as(rig.file, 4, rw, XENTAP_POOL_PGOFF), -EINVAL);
	assert_int_equal(map_as(rig.file, 4, VM_SHARED | rw | VM_EXEC, XENTAP_POOL_PGOFF),
			 -EACCES);
	assert_int_equal(map_as(rig.file, 1, VM_SHARED | rw, ~0ul), -EINVAL);
	/* Any number of times, in parts. */
	assert_int_equal(kshim_mmap(rig.file, 4, VM_SHARED | rw, XENTAP_POOL_PGOFF, &whole), 0);
	assert_int_equal(kshim_mmap(rig.file, 2, VM_SHARED | VM_READ, XENTAP_POOL_PGOFF + 2,
				    &part), 0);
	assert_int_equal(kshim_touch(whole, 3, &page), 0);
	assert_int_equal(kshim_touch(part, 1, &same), 0);
	assert_ptr_equal(page, same);
	assert_int_equal(kshim_touch(part, 2, &same), VM_FAULT_SIGBUS);
	kshim_munmap(whole);
	kshim_munmap(part);
	rig_close(&rig);
	/* The pages outlive the file while they are held. */
	page->memory[0] = 1;
	put_page(page);
	put_page(page);
}

static int copy_one(const struct rig *rig, struct xentap_copy *copy)
{
	struct xentap_copy_list list = { .entries = (uintptr_t)copy, .nr = 1 };

	copy->status = 99;
	assert_int_equal(call(rig, XENTAP_IOC_COPY, &list), 0);
	return copy->status;
}

static void copy_list_checks(void **state)
{
	struct xentap_pool_create create = { .nr_pages = 2 };
	struct xentap_copy copy = { .domid = 1, .len = 8 };
	struct xentap_copy_list list = { .entries = (uintptr_t)&copy, .nr = 1 };
	struct rig rig;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -ENXIO);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &create), 0);
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, BAD_POINTER), -EFAULT);
	list.reserved = 1;
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EINVAL);
	list = (struct xentap_copy_list){ .entries = (uintptr_t)&copy };
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EINVAL);
	list.nr = XENTAP_BATCH_MAX + 1;
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EINVAL);
	list.nr = 1;
	current->killed = true;
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EINTR);
	current->killed = false;
	kshim_fail_copy(2);
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EFAULT);
	assert_int_equal(kshim_counter("copies"), 0);
	kshim_fail_copy(3);
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EFAULT);
	assert_int_equal(kshim_counter("copies"), 1);
	list.entries = 8;
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), -EFAULT);
	rig_close(&rig);
}

static void copy_entries(void **state)
{
	struct xentap_pool_create create = { .nr_pages = 2 };
	struct xentap_copy bad[] = {
		{ .domid = 1, .page = 2, .len = 1 },
		{ .domid = 1, .page = UINT32_MAX, .len = 1 },
		{ .domid = 1, .len = 0 },
		{ .domid = 1, .len = 4097 },
		{ .domid = 1, .len = UINT16_MAX },
		{ .domid = 1, .len = 1, .page_offset = 4096 },
		{ .domid = 1, .len = 2, .page_offset = 4095 },
		{ .domid = 1, .len = 1, .gref_offset = 4096 },
		{ .domid = 1, .len = 1, .gref_offset = UINT16_MAX },
		{ .domid = 1, .len = 1, .flags = 2 },
		{ .domid = 1, .len = 1, .flags = 1u << 15 },
	};
	struct xentap_copy copy = { .domid = 1, .gref = 7, .len = 4096 };
	struct xentap_restrict to = { .domid = 1 };
	struct vm_area_struct *vma;
	struct page *page;
	struct rig rig;
	unsigned int i;

	open_plain(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &create), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(copy_one(&rig, &bad[i]), -EINVAL);
	assert_int_equal(kshim_counter("copies"), 0);

	assert_int_equal(kshim_mmap(rig.file, 2, VM_SHARED | VM_READ, XENTAP_POOL_PGOFF, &vma), 0);
	assert_int_equal(kshim_touch(vma, 1, &page), 0);
	memcpy(xen_frame(rig_mfn(1, 7)) + 100, "guest", 6);
	copy = (struct xentap_copy){ .page = 1, .domid = 1, .gref = 7, .len = 6,
				     .gref_offset = 100, .page_offset = 4090 };
	assert_int_equal(copy_one(&rig, &copy), 0);
	assert_memory_equal(page->memory + 4090, "guest", 6);
	copy.flags = XENTAP_COPY_F_TO_GUEST;
	copy.gref_offset = 0;
	assert_int_equal(copy_one(&rig, &copy), 0);
	assert_memory_equal(xen_frame(rig_mfn(1, 7)), "guest", 6);

	copy.gref = RIG_RDONLY;
	assert_int_equal(copy_one(&rig, &copy), -EIO);
	copy.flags = 0;
	assert_int_equal(copy_one(&rig, &copy), 0);
	copy.gref = XEN_GREFS;
	assert_int_equal(copy_one(&rig, &copy), -ENOENT);
	copy.domid = 5;
	assert_int_equal(copy_one(&rig, &copy), -ESRCH);
	copy.domid = DOMID_SELF;
	assert_int_equal(copy_one(&rig, &copy), -ESRCH);
	copy.domid = 0x10001;
	assert_int_equal(copy_one(&rig, &copy), -ESRCH);
	copy.domid = 1;
	copy.gref = 7;
	xen_inject(XEN_COPY, 1, 7, GNTST_permission_denied);
	assert_int_equal(copy_one(&rig, &copy), -EACCES);
	xen_inject(XEN_COPY, 1, 7, 0);
	xen_fail_call(XEN_COPY, 1);
	assert_int_equal(copy_one(&rig, &copy), -EIO);

	assert_int_equal(call(&rig, XENTAP_IOC_RESTRICT, &to), 0);
	assert_int_equal(copy_one(&rig, &copy), 0);
	copy.domid = 2;
	assert_int_equal(copy_one(&rig, &copy), -EPERM);
	put_page(page);
	kshim_munmap(vma);
	rig_close(&rig);
}

/* What another thread writes into a list meanwhile is not looked at again. */
static void lists_are_read_once(void **state)
{
	struct xentap_map maps[2] = {
		{ .slot = 0, .domid = 1, .gref = 7 }, { .slot = 1, .domid = 1, .gref = 8 },
	};
	struct xentap_pool_create create = { .nr_pages = 2 };
	struct xentap_copy copy = { .domid = 1, .gref = 7, .len = 8 };
	struct xentap_copy_list list = { .entries = (uintptr_t)&copy, .nr = 1 };
	struct rig rig;

	open_mapped(&rig);
	assert_int_equal(call(&rig, XENTAP_IOC_POOL_CREATE, &create), 0);
	kshim_scribble(0xff);
	assert_int_equal(rig_batch(&rig, NULL, 0, maps, 2), 0);
	assert_int_equal(maps[0].slot, 0);
	assert_int_equal(maps[1].gref, 8);
	assert_int_equal(maps[1].status, 0);
	assert_int_equal(call(&rig, XENTAP_IOC_COPY, &list), 0);
	assert_int_equal(copy.status, 0);
	assert_int_equal(copy.domid, 1);
	kshim_scribble(-1);
	rig_close(&rig);
}

#define BOTH(name) \
	{ #name " (PV)", name, setup_pv, teardown, NULL }, \
	{ #name " (auto)", name, setup_auto, teardown, NULL }
#define PV(name) { #name " (PV)", name, setup_pv, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(open_needs_the_right),
		BOTH(unknown_calls_are_enotty),
		BOTH(info_says_the_limits),
		BOTH(without_mappings_there_are_pools),
		BOTH(restrict_is_one_way),
		BOTH(arena_create_checks),
		BOTH(mmap_checks),
		BOTH(parts_of_the_mapping_are_refused),
		BOTH(batch_fields),
		BOTH(batch_lists_and_faults),
		BOTH(batch_belongs_to_who_mapped),
		BOTH(batch_of_the_killed),
		PV(first_batch_may_fail),
		BOTH(map_entries),
		BOTH(statuses_of_xen),
		BOTH(entries_fail_alone),
		BOTH(limits_of_the_module),
		BOTH(tables_of_xen_are_full),
		BOTH(query_checks),
		BOTH(query_tells_all_or_hides_the_frame),
		BOTH(query_mfn_checks),
		BOTH(read_checks),
		BOTH(pool_create_checks),
		BOTH(pool_mmap_checks),
		BOTH(copy_list_checks),
		BOTH(copy_entries),
		BOTH(lists_are_read_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
