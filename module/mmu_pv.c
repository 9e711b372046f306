// SPDX-License-Identifier: GPL-2.0-only
/*
 * User mappings in a paravirtualized domain, where only Xen may write or clear
 * a page-table entry that maps a grant: the notifier that has Xen take user
 * mappings away before mm/ would clear them, and the page look-up that makes
 * get_user_pages() work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <asm/xen/hypercall.h>
#include <xen/page.h>

#include "internal.h"
#include "compat/compat.h"

#ifdef XENTAP_PV_USER_MAP

/* From this generation on, addresses of entries are not kept. */
#define PTE_GEN_LAST	(~0u)

/*
 * The bits of the user's entry that Xen leaves to us. Special: mm/ asks us for the
 * page. Soft-dirty: with those that Xen sets itself (accessed, dirty) the entry has
 * all that a page fault or get_user_pages() adds to one. They find nothing to
 * change, then, and do not write it: an entry of a grant is Xen's to write.
 */
#define USER_BITS	((_PAGE_SPECIAL | _PAGE_SOFT_DIRTY) >> _PAGE_BIT_SOFTW1)

static u32 user_flags(const struct xentap_arena *arena)
{
	return GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte |
	       ((u32)USER_BITS << _GNTMAP_guest_avail0) |
	       (arena->rdonly ? GNTMAP_readonly : 0);
}

/* For scratch.slots[0..nr), results in scratch.errors[]; both locks held. */
static void map_user(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 done = 0;
	u32 i;

	lockdep_assert_held(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		const struct xentap_slot *slot = &arena->slots[s->slots[i]];

		gnttab_set_map_op(&s->umap[i], slot->pte, user_flags(arena),
				  slot->gref, slot->domid);
		s->umap[i].status = GNTST_general_error;
	}
	if (HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, s->umap, nr))
		pr_err_ratelimited("mapping %u grants for user space failed\n", nr);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);

	for (i = 0; i < nr; i++) {
		s->errors[i] = xentap_grant_errno(s->umap[i].status);
		if (s->errors[i])
			continue;
		arena->slots[s->slots[i]].uhandle = s->umap[i].handle;
		done++;
	}
	arena->nr_ptes += done;
	xentap_stat_add(XENTAP_STAT_USER_PTES, done);
}

/* Caller holds pte_lock and the lock of the page table that the entries are in. */
static void unmap_user(struct xentap_arena *arena, const u32 *slots, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 done = 0;
	u32 i;

	lockdep_assert_held(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		const struct xentap_slot *slot = &arena->slots[slots[i]];

		gnttab_set_unmap_op(&s->uunmap[i], slot->pte,
				    user_flags(arena), slot->uhandle);
		s->uunmap[i].status = GNTST_general_error;
	}
	/* Xen flushes the TLBs before it returns. */
	if (HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, s->uunmap, nr))
		pr_err_ratelimited("unmapping %u grants of user space failed\n", nr);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);

	for (i = 0; i < nr; i++) {
		struct xentap_slot *slot = &arena->slots[slots[i]];

		if (s->uunmap[i].status != GNTST_okay) {
			WRITE_ONCE(slot->stuck, true);
			continue;
		}
		slot->uhandle = XENTAP_NO_HANDLE;
		done++;
	}
	arena->nr_ptes -= done;
	xentap_stat_add(XENTAP_STAT_USER_PTES, -(long)done);
	if (done < nr)
		pr_err_ratelimited("Xen refused to unmap %u grants of user space\n", nr - done);
}

struct drop {
	struct xentap_arena *arena;
	const u32 *slots;
	u32 nr;
	bool done;
};

static int drop_locked(pte_t *pte, unsigned long addr, void *data)
{
	struct drop *drop = data;

	unmap_user(drop->arena, drop->slots, drop->nr);
	drop->done = true;
	return 0;
}

/* Moves the slots whose entries are in the table of the first's to the front; how many. */
static u32 gather_table(const struct xentap_arena *arena, u32 *slots, u32 nr)
{
	unsigned long table = xentap_slot_address(arena, slots[0]) >> PMD_SHIFT;
	u32 n = 1;
	u32 i;

	for (i = 1; i < nr; i++) {
		if (xentap_slot_address(arena, slots[i]) >> PMD_SHIFT != table)
			continue;
		swap(slots[i], slots[n]);
		n++;
	}
	return n;
}

/*
 * Have Xen drop the user mappings of scratch.uslots[0..nr), which all have one.
 * Caller holds pte_lock.
 *
 * Table by table, with its lock held. Who reads an entry under that lock, as a
 * page fault and get_user_pages() do, may rely on it until the lock is dropped:
 * get_user_pages() has its reference by then, and after this nobody reads the
 * entry again. A table with entries of grants in it is not freed or moved before
 * the notifier, which needs pte_lock; so mmap_lock is not needed, and no table is
 * made by the walk.
 */
static void drop_slots(struct xentap_arena *arena, u32 nr)
{
	u32 *slots = arena->scratch.uslots;

	while (nr) {
		struct drop drop = {
			.arena = arena,
			.slots = slots,
			.nr = gather_table(arena, slots, nr),
		};

		apply_to_page_range(arena->mm, xentap_slot_address(arena, slots[0]),
				    PAGE_SIZE, drop_locked, &drop);
		/* No such table, which cannot be: Xen has the last word on it. */
		if (!drop.done)
			unmap_user(arena, slots, drop.nr);
		slots += drop.nr;
		nr -= drop.nr;
	}
}

/*
 * Have Xen drop the user mappings of slots @first up to, not with, @end.
 * Caller holds pte_lock.
 */
static void drop_range(struct xentap_arena *arena, u32 first, u32 end,
		       bool may_sleep)
{
	u32 nr = 0;
	u32 i;

	for (i = first; i < end && arena->nr_ptes; i++) {
		const struct xentap_slot *slot = &arena->slots[i];

		if (slot->uhandle != XENTAP_NO_HANDLE && !slot->stuck)
			arena->scratch.uslots[nr++] = i;
		if (nr == XENTAP_BATCH_MAX) {
			drop_slots(arena, nr);
			nr = 0;
			if (may_sleep)
				cond_resched();
		}
	}
	if (nr)
		drop_slots(arena, nr);
}

/*
 * The next map walks, and so waits for who has mmap_lock for writing. Caller
 * holds pte_lock.
 */
static void forget_ptes(struct xentap_arena *arena)
{
	/* Never wraps, or an address that is long gone would count as known. */
	if (arena->pte_gen != PTE_GEN_LAST)
		WRITE_ONCE(arena->pte_gen, arena->pte_gen + 1);
}

/*
 * Called with mmap_lock or an rmap lock held, for munmap(), exit, and all
 * else that is about to clear entries. Must not wait for I/O: only the user
 * mappings go, the slots stay what they are.
 */
static bool pv_invalidate(struct mmu_interval_notifier *notifier,
			  const struct mmu_notifier_range *range,
			  unsigned long seq)
{
	struct xentap_arena *arena =
		container_of(notifier, struct xentap_arena, notifier);
	unsigned long start = max(range->start, arena->base);
	unsigned long end = min(range->end, arena->base + xentap_arena_bytes(arena));

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&arena->pte_lock);
	else if (!mutex_trylock(&arena->pte_lock))
		return false;

	mmu_interval_set_seq(notifier, seq);
	forget_ptes(arena);
	if (start < end)
		drop_range(arena, (start - arena->base) >> PAGE_SHIFT,
			   (end - arena->base + PAGE_SIZE - 1) >> PAGE_SHIFT,
			   mmu_notifier_range_blockable(range));
	mutex_unlock(&arena->pte_lock);
	return true;
}

static const struct mmu_interval_notifier_ops pv_notifier_ops = {
	.invalidate = pv_invalidate,
};

/*
 * The page behind a granted entry. Xen's frame number says nothing here: one
 * frame may stand in several slots. Called under the page-table lock by
 * get_user_pages(), which has read the entry there.
 *
 * The slot's state does not matter. Where there is an entry there is a kernel
 * mapping: that goes later, and the entry under this lock.
 *
 * It is NULL for an entry that Xen refused to clear, which keeps mm/ from
 * touching the page's counts; and for who has mmap_lock for writing and so does
 * not want to use the page. That is /proc/PID/clear_refs, which would next clear
 * the entry's accessed bit, and Xen refuses that write to another domain's
 * frame with a fault.
 */
struct page *xentap_pv_find_page(struct vm_area_struct *vma, unsigned long addr)
{
	struct xentap_arena *arena = vma->vm_private_data;
	u32 slot = (addr - vma->vm_start) >> PAGE_SHIFT;

	if (READ_ONCE(arena->slots[slot].stuck) || vma->vm_mm != arena->mm ||
	    xentap_compat_mmap_write_locked(vma->vm_mm))
		return NULL;
	return arena->pages[slot];
}

/*
 * Not done by mmap(): the notifier is registered without mmap_lock. It stays
 * until the file is released, as its removal waits for other notifiers.
 */
static int pv_activate(struct xentap_arena *arena)
{
	int err;

	lockdep_assert_held(&arena->batch_lock);
	if (arena->notifier_active)
		return 0;
	arena->pte_gen = 1;
	err = mmu_interval_notifier_insert(&arena->notifier, current->mm,
					   arena->base, xentap_arena_bytes(arena),
					   &pv_notifier_ops);
	if (!err)
		arena->notifier_active = true;
	/* Any signal interrupts the registration; nothing was done yet. */
	return err == -EINTR ? -ERESTARTSYS : err;
}

static void pv_release(struct xentap_arena *arena)
{
	if (arena->notifier_active)
		mmu_interval_notifier_remove(&arena->notifier);
}

/*
 * fork() calls this before it copies entries, with both address spaces
 * locked: there is none left to copy, and none comes before it is done.
 */
static void pv_forked(struct xentap_arena *arena)
{
	forget_ptes(arena);
	drop_range(arena, 0, arena->nr_slots, true);
}

static struct xentap_slot *slot_at(struct xentap_arena *arena, unsigned long addr)
{
	return &arena->slots[(addr - arena->base) >> PAGE_SHIFT];
}

static int note_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct xentap_arena *arena = data;
	struct xentap_slot *slot = slot_at(arena, addr);

	slot->pte = arbitrary_virt_to_machine(pte).maddr;
	slot->pte_gen = arena->scratch.pte_gen;
	return 0;
}

/* The entries of scratch.slots[0..nr); makes page tables. */
static int note_ptes(struct xentap_arena *arena, u32 nr)
{
	const u32 *slots = arena->scratch.slots;
	u32 run;
	u32 i;

	for (i = 0; i < nr; i += run) {
		int err;

		run = xentap_vma_run(&slots[i], nr - i);
		err = apply_to_page_range(arena->mm, xentap_slot_address(arena, slots[i]),
					  (unsigned long)run << PAGE_SHIFT, note_pte,
					  arena);
		if (err)
			return err;
	}
	return 0;
}

static bool ptes_are_known(const struct xentap_arena *arena, u32 nr)
{
	u32 i;

	lockdep_assert_held(&arena->pte_lock);
	if (arena->pte_gen == PTE_GEN_LAST)
		return false;
	for (i = 0; i < nr; i++)
		if (arena->slots[arena->scratch.slots[i]].pte_gen != arena->pte_gen)
			return false;
	return true;
}

/*
 * Without mmap_lock. The page tables that were walked for these slots before are
 * still there: the notifier comes before any is freed or moved, and it waits for
 * pte_lock. A munmap() that has begun, but not come that far, will have it drop
 * the new mappings.
 */
static bool map_known(struct xentap_arena *arena, u32 nr)
{
	bool known;

	mutex_lock(&arena->pte_lock);
	known = ptes_are_known(arena, nr);
	if (known)
		map_user(arena, nr);
	mutex_unlock(&arena->pte_lock);
	return known;
}

static int map_walked(struct xentap_arena *arena, u32 nr)
{
	unsigned long seq;
	bool again = false;
	int err;

	lockdep_assert_held(&arena->batch_lock);
	mmap_read_lock(arena->mm);
	if (!xentap_vma_find(arena)) {
		mmap_read_unlock(arena->mm);
		return -ESHUTDOWN;
	}
	/*
	 * The addresses of the entries hold as long as nothing in the range
	 * is invalidated: madvise() may free an empty page table with only
	 * mmap_lock for reading. Later, it has to pass the notifier first.
	 *
	 * The generation is read before the wait for invalidations under way,
	 * so that what is found during the next one does not count as newer.
	 */
	do {
		arena->scratch.pte_gen = READ_ONCE(arena->pte_gen);
		seq = mmu_interval_read_begin(&arena->notifier);
		err = note_ptes(arena, nr);
		if (err)
			break;
		mutex_lock(&arena->pte_lock);
		again = mmu_interval_read_retry(&arena->notifier, seq);
		if (!again)
			map_user(arena, nr);
		mutex_unlock(&arena->pte_lock);
		if (again && fatal_signal_pending(current))
			err = -EINTR;
	} while (again && !err);
	mmap_read_unlock(arena->mm);
	return err;
}

static int pv_map(struct xentap_arena *arena, u32 nr)
{
	return map_known(arena, nr) ? 0 : map_walked(arena, nr);
}

static void pv_unmap(struct xentap_arena *arena, u32 nr)
{
	u32 n = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	mutex_lock(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		u32 nr_slot = arena->scratch.slots[i];
		const struct xentap_slot *slot = &arena->slots[nr_slot];

		/* Of one that is stuck the table may be gone: it will be lost. */
		if (slot->uhandle != XENTAP_NO_HANDLE && !slot->stuck)
			arena->scratch.uslots[n++] = nr_slot;
	}
	drop_slots(arena, n);
	mutex_unlock(&arena->pte_lock);
}

const struct xentap_mmu xentap_mmu_pv = {
	.activate = pv_activate,
	.release = pv_release,
	.map = pv_map,
	.unmap = pv_unmap,
	.forked = pv_forked,
};

#endif /* XENTAP_PV_USER_MAP */
