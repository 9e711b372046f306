// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes as calls, for libFuzzer: everything that user space can ask of
 * the module, well-formed or not, and everything that can go wrong beneath it.
 * What must not happen ends the program, in the module, in Xen or here.
 */
#include "kshim/rig.h"

#define FILES	3u
#define MAPPINGS 6u
#define HOLDS	12u
#define LIST	12u
#define ACTS	512u		/* of one stream, at most */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct {
	const u8 *data;
	size_t size;
	struct file *files[FILES];
	struct vm_area_struct *vmas[MAPPINGS];
	struct page *holds[HOLDS];
	struct mm_struct *mms[2];
	/* User memory. What a call is given begins at 0, what it names anywhere. */
	u8 user[16384];
} f;

static u32 byte(void)
{
	if (!f.size)
		return 0;
	f.size--;
	return *f.data++;
}

static u32 below(u32 limit)
{
	return byte() % limit;
}

static u32 word(void)
{
	u32 low = byte();

	return low | byte() << 8;
}

/* Into user memory, or just behind it. */
static void *user_pointer(void)
{
	return (void *)((uintptr_t)f.user + word() % (sizeof(f.user) + 8));
}

static struct file *any_file(void)
{
	return f.files[below(FILES)];
}

static struct vm_area_struct *any_vma(void)
{
	return f.vmas[below(MAPPINGS)];
}

static bool is_arena(const struct vm_area_struct *vma)
{
	return vma && vma->vm_ops->close;
}

static void do_open(void)
{
	u32 i = below(FILES);
	struct file *file;

	if (f.files[i])
		return;
	file = kshim_open(O_NONBLOCK);
	if (!IS_ERR(file))
		f.files[i] = file;
	else
		kshim_must(PTR_ERR(file) == -ENOMEM || PTR_ERR(file) == -EPERM);
}

static void do_close(void)
{
	u32 i = below(FILES);

	if (f.files[i])
		kshim_close(f.files[i]);
	f.files[i] = NULL;
}

/* The right size and flags, or any. */
static void do_mmap(void)
{
	struct file *file = any_file();
	u32 i = below(MAPPINGS), how = byte();
	unsigned long flags = VM_SHARED | VM_READ | VM_WRITE;
	unsigned long pages, pgoff;

	if (!file || f.vmas[i])
		return;
	pages = how & 1 ? byte() + 1 : (*(struct xentap_arena **)file->private_data)->nr_slots;
	pgoff = how & 2 ? XENTAP_POOL_PGOFF + below(4) : 0;
	if (how & 4)
		flags &= ~VM_WRITE;
	if (how & 8)
		flags = byte() & 0xf;
	if (how & 16)
		pgoff = word();
	if (how & 32)
		pgoff <<= byte() % 50;
	if (pages && kshim_mmap(file, pages, flags, pgoff, &f.vmas[i]))
		f.vmas[i] = NULL;
}

static void do_munmap(void)
{
	u32 i = below(MAPPINGS);

	if (f.vmas[i])
		kshim_munmap(f.vmas[i]);
	f.vmas[i] = NULL;
}

static void do_change_mm(void)
{
	struct vm_area_struct *vma = any_vma();
	u32 first, i;

	if (!is_arena(vma))
		return;
	switch (below(4)) {
	case 0:
		/* The arena's own alone: mremap() is refused to all others by mm/. */
		kshim_must(kshim_mremap(vma) == -EINVAL);
		break;
	case 1:
		i = below(MAPPINGS);
		if (!f.vmas[i])
			f.vmas[i] = kshim_fork(vma, f.mms[vma->vm_mm == f.mms[0]]);
		break;
	default:
		first = byte() % vma_pages(vma);
		i = 1 + byte() % (vma_pages(vma) - first);
		kshim_zap(vma, first, i, byte() & 1);
	}
}

/* Raw: any number, any bytes; addresses are made to lie in user memory or not. */
static void do_raw_call(void)
{
	static const struct { u32 command, size; u8 pointers[2]; } calls[] = {
		{ XENTAP_IOC_GET_INFO, sizeof(struct xentap_info), { 0xff, 0xff } },
		{ XENTAP_IOC_RESTRICT, sizeof(struct xentap_restrict), { 0xff, 0xff } },
		{ XENTAP_IOC_ARENA_CREATE, sizeof(struct xentap_arena_create), { 0xff, 0xff } },
		{ XENTAP_IOC_BATCH, sizeof(struct xentap_batch), { 0, 8 } },
		{ XENTAP_IOC_QUERY, sizeof(struct xentap_query), { 0, 0xff } },
		{ XENTAP_IOC_QUERY_MFN, sizeof(struct xentap_query_mfn), { 8, 0xff } },
		{ XENTAP_IOC_POOL_CREATE, sizeof(struct xentap_pool_create), { 0xff, 0xff } },
		{ XENTAP_IOC_COPY, sizeof(struct xentap_copy_list), { 0, 0xff } },
	};
	struct file *file = any_file();
	u32 n = below(ARRAY_SIZE(calls) + 1), how = byte(), i;
	u64 address;

	if (!file)
		return;
	if (n == ARRAY_SIZE(calls)) {
		i = word();
		kshim_ioctl(file, i | word() << 16, f.user);
		return;
	}
	for (i = 0; i < calls[n].size; i++)
		f.user[i] = byte();
	for (i = 0; i < 2; i++) {
		if (calls[n].pointers[i] == 0xff || how & 1 << i)
			continue;
		address = (uintptr_t)user_pointer();
		memcpy(f.user + calls[n].pointers[i], &address, sizeof(address));
	}
	kshim_ioctl(file, calls[n].command, how & 4 ? (void *)(uintptr_t)word() : f.user);
}

static void do_fill(void)
{
	u32 at = word() % sizeof(f.user);
	u32 n = byte() % (sizeof(f.user) - at);

	while (n--)
		f.user[at++] = byte();
}

static void do_create(void)
{
	struct file *file = any_file();
	u32 n = byte(), how = byte();
	struct xentap_arena_create arena = { .nr_slots = 1 + n % 32, .flags = how & 1 };
	struct xentap_pool_create pool = { .nr_pages = 1 + n % 4 };

	if (!file)
		return;
	memcpy(f.user, &arena, sizeof(arena));
	if (how & 2) {
		memcpy(f.user, &pool, sizeof(pool));
		kshim_ioctl(file, XENTAP_IOC_POOL_CREATE, f.user);
		return;
	}
	kshim_ioctl(file, XENTAP_IOC_ARENA_CREATE, f.user);
}

static void do_batch(void)
{
	struct file *file = any_file();
	struct xentap_unmap *unmaps = (void *)(f.user + 1024);
	struct xentap_map *maps = (void *)(f.user + 2048);
	struct xentap_batch batch = {
		.unmaps = (uintptr_t)unmaps, .maps = (uintptr_t)maps,
	};
	u32 i;

	if (!file)
		return;
	batch.nr_unmaps = below(LIST);
	batch.nr_maps = below(LIST);
	for (i = 0; i < batch.nr_unmaps; i++)
		unmaps[i] = (struct xentap_unmap){ .slot = byte() };
	for (i = 0; i < batch.nr_maps; i++) {
		u32 slot = byte(), grant = byte();

		maps[i] = (struct xentap_map){
			.slot = slot, .domid = 1 + grant % 2,
			.gref = grant / 2 % 16 + (grant & 128 ? RIG_RDONLY : 0),
		};
	}
	memcpy(f.user, &batch, sizeof(batch));
	kshim_ioctl(file, XENTAP_IOC_BATCH, f.user);
}

/* The user's entries are looked up meanwhile, or another thread's batch is in munmap(). */
static void batch_in_munmap(void *unused)
{
	do_batch();
}

static void do_race(void)
{
	u32 how = byte();

	if (how & 1)
		kshim_in_munmap(batch_in_munmap, NULL);
	else
		kshim_lose_tables(how % 4);
	do_batch();
}

static void do_copy(void)
{
	struct file *file = any_file();
	struct xentap_copy *entries = (void *)(f.user + 1024);
	struct xentap_copy_list list = { .entries = (uintptr_t)entries, .nr = below(LIST) };
	u32 i;

	if (!file)
		return;
	for (i = 0; i < list.nr; i++) {
		memset(&entries[i], 0, sizeof(entries[i]));
		entries[i].page = below(5);
		entries[i].gref = byte();
		entries[i].domid = below(4);
		entries[i].page_offset = byte() * 16;
		entries[i].gref_offset = byte() * 16;
		entries[i].len = word() % 4200;
		entries[i].flags = below(3);
	}
	memcpy(f.user, &list, sizeof(list));
	kshim_ioctl(file, XENTAP_IOC_COPY, f.user);
}

static void do_query(void)
{
	struct file *file = any_file();
	struct vm_area_struct *vma = any_vma();
	struct xentap_query_addr *entries = (void *)(f.user + 1024);
	u32 n = byte();
	struct xentap_query query = { .entries = (uintptr_t)entries, .nr = 1 + n % 40 };
	struct xentap_query_mfn by_mfn = {
		.mfn = XEN_MFN + n / 4 % 32, .grants = (uintptr_t)entries, .nr = 1 + n % 4,
	};
	u32 i;

	if (!file)
		return;
	memcpy(f.user, &by_mfn, sizeof(by_mfn));
	if (byte() & 1) {
		kshim_ioctl(file, XENTAP_IOC_QUERY_MFN, f.user);
		return;
	}
	for (i = 0; i < query.nr; i++)
		entries[i].addr = (vma ? vma->vm_start : 0) + i * 2048;
	memcpy(f.user, &query, sizeof(query));
	kshim_ioctl(file, XENTAP_IOC_QUERY, f.user);
}

static void do_restrict(void)
{
	struct file *file = any_file();
	struct xentap_restrict to = { .domid = 1 + below(2) };

	if (!file)
		return;
	memcpy(f.user, &to, sizeof(to));
	kshim_ioctl(file, XENTAP_IOC_RESTRICT, f.user);
}

static void do_read(void)
{
	struct file *file = any_file();
	ssize_t got;
	u32 size = byte();

	if (!file)
		return;
	kshim_poll(file);
	got = kshim_read(file, user_pointer(), size);
	kshim_must(got <= (ssize_t)size && got % (ssize_t)sizeof(struct xentap_drained) == 0 ?
		   got > 0 : got < 0);
}

static void do_hold(void)
{
	struct vm_area_struct *vma = any_vma();
	u32 i = below(HOLDS), how = below(4);
	struct xen_mapping mapping;
	struct xentap_grant grant;
	struct page *page = NULL;

	if (f.holds[i])
		return;
	if (how == 0 && !xentap_mfn_get(XEN_MFN + below(32), &grant))
		page = grant.page;
	else if (how == 1 && is_arena(vma))
		page = kshim_pin(vma, byte() % vma_pages(vma));
	else if (how == 2)
		page = xentap_mfn_to_page(XEN_MFN + below(32));
	else if (how == 3 && !xentap_page_get(&kshim_pages[byte()], &grant))
		page = grant.page;
	f.holds[i] = page;
	/* Whoever holds one holds what a guest granted. */
	kshim_must(!page || xen_page(page, &mapping));
}

static void do_put(void)
{
	u32 i = below(HOLDS);
	struct xen_mapping mapping;

	if (!f.holds[i])
		return;
	kshim_must(xen_page(f.holds[i], &mapping));
	put_page(f.holds[i]);
	f.holds[i] = NULL;
}

static void do_touch(void)
{
	struct vm_area_struct *vma = any_vma();
	struct page *page;

	if (vma && !kshim_touch(vma, byte() % vma_pages(vma), &page)) {
		page->memory[0] = 1;
		put_page(page);
	}
}

static void do_work(void)
{
	kshim_run(byte());
}

static void do_inject(void)
{
	static const enum xen_operation operations[] = {
		XEN_MAP_KERNEL, XEN_MAP_USER, XEN_UNMAP_KERNEL, XEN_COPY, XEN_UNMAP_USER,
	};
	enum xen_operation operation = operations[below(5)];
	domid_t domid = 1 + below(2);
	grant_ref_t gref = below(16);

	xen_inject(operation, domid, gref, -(int)below(15));
}

static void do_fail(void)
{
	u32 n = byte();

	switch (below(8)) {
	case 0:
		kshim_fail_allocation(n);
		break;
	case 1:
		kshim_fail_copy(n % 8);
		break;
	case 2:
		kshim_scribble(n & 1 ? (int)n : -1);
		break;
	case 3:
		xen_fail_call(n % XEN_NR_OPERATIONS, n / XEN_NR_OPERATIONS % 4);
		break;
	case 4:
		current->killed_later = n & 1;
		break;
	case 5:
		kshim_fail_notifier(n & 1 ? -EINTR : -ENOMEM);
		break;
	case 6:
		kshim_fail_retry(n % 4);
		break;
	case 7:
		xen_limit(n);
		break;
	}
}

static void do_who(void)
{
	u32 how = byte();

	current->cap_sys_admin = !(how & 1);
	current->killed = how & 2;
	current->mm = f.mms[!!(how & 4)];
}

static void do_host(void)
{
	domid_t domid = 1 + below(2);
	grant_ref_t gref = below(16);
	u32 how;

	switch (below(4)) {
	case 0:
		xen_guest_remove(domid);
		break;
	case 1:
		xen_guest_add(domid);
		break;
	case 2:
		xen_revoke(domid, gref);
		break;
	case 3:
		how = byte();
		xen_grant(domid, gref, XEN_MFN + how / 2 % 32, how & 1);
		break;
	}
}

static void check(void)
{
	long counters[XENTAP_NR_STATS];
	long mapped;

	kshim_counters(counters);
	mapped = counters[XENTAP_STAT_MAPPED];
	kshim_must(mapped + counters[XENTAP_STAT_QUARANTINED] == xen_count(false));
	kshim_must(counters[XENTAP_STAT_USER_PTES] == xen_count(true));
	kshim_must(counters[XENTAP_STAT_DRAINING] >= 0);
	kshim_must(counters[XENTAP_STAT_DRAINING] <= mapped);
	kshim_must(counters[XENTAP_STAT_POOL_PAGES] >= 0);
	kshim_must(xentap_quota_used(1) + xentap_quota_used(2) == xen_count(false));
}

static bool begin(bool pv)
{
	if (rig_setup(pv))
		return false;
	f.mms[0] = current->mm;
	f.mms[1] = kshim_mm_new();
	memset(f.user, 0, sizeof(f.user));
	kshim_user_memory(f.user, sizeof(f.user));
	return true;
}

static void no_more_failures(void)
{
	int i;

	kshim_fail_allocation(0);
	kshim_fail_copy(0);
	kshim_scribble(-1);
	kshim_fail_notifier(0);
	kshim_fail_retry(0);
	kshim_in_munmap(NULL, NULL);
	kshim_lose_tables(0);
	for (i = 0; i < XEN_NR_OPERATIONS; i++)
		xen_fail_call(i, 0);
	kshim_user_memory(NULL, 0);
	*current = (struct task_struct){ .mm = f.mms[0], .cap_sys_admin = true };
}

/* The world ends in the order that the stream says. */
static void end(void)
{
	u32 order = byte();
	u32 i, turn;

	no_more_failures();
	for (turn = 0; turn < 3; turn++) {
		for (i = 0; i < HOLDS && (turn + order) % 3 == 0; i++) {
			if (f.holds[i])
				put_page(f.holds[i]);
			f.holds[i] = NULL;
		}
		for (i = 0; i < MAPPINGS && (turn + order) % 3 == 1; i++) {
			if (f.vmas[i])
				kshim_munmap(f.vmas[i]);
			f.vmas[i] = NULL;
		}
		for (i = 0; i < FILES && (turn + order) % 3 == 2; i++) {
			if (f.files[i])
				kshim_close(f.files[i]);
			f.files[i] = NULL;
		}
		if (order & 128)
			kshim_run(1);
	}
	kshim_run(1000);
	kshim_mm_free(f.mms[1]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static void (*const acts[])(void) = {
		do_open, do_close, do_mmap, do_munmap, do_change_mm, do_raw_call, do_fill,
		do_create, do_batch, do_race, do_copy, do_query, do_restrict, do_read,
		do_hold, do_put, do_touch, do_work, do_inject, do_fail, do_who, do_host,
	};
	u32 i;

	f.data = data;
	f.size = size;
	xentap_max_slots = 64;
	xentap_max_pool_pages = 8;
	xentap_max_grants = 60;
	xentap_max_grants_domid = 40;
	kshim_must(begin(byte() & 1));
	for (i = 0; i < ACTS && f.size; i++) {
		acts[below(ARRAY_SIZE(acts))]();
		check();
	}
	end();
	kshim_must(!rig_teardown());
	return 0;
}
