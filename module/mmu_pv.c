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

/* The user's entry is written by Xen, marked special (guest_avail0). */
static u32 user_flags(const struct xentap_arena *arena)
{
	return GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte |
	       (1 << _GNTMAP_guest_avail0) |
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

/* For scratch.uslots[0..nr); caller holds pte_lock. */
static void unmap_user(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 done = 0;
	u32 i;

	lockdep_assert_held(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		const struct xentap_slot *slot = &arena->slots[s->uslots[i]];

		gnttab_set_unmap_op(&s->uunmap[i], slot->pte,
				    user_flags(arena), slot->uhandle);
		s->uunmap[i].status = GNTST_general_error;
	}
	/* Xen flushes the TLBs before it returns. */
	if (HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, s->uunmap, nr))
		pr_err_ratelimited("unmapping %u grants of user space failed\n", nr);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);

	for (i = 0; i < nr; i++) {
		struct xentap_slot *slot = &arena->slots[s->uslots[i]];

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
			unmap_user(arena, nr);
			nr = 0;
			if (may_sleep)
				cond_resched();
		}
	}
	if (nr)
		unmap_user(arena, nr);
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
 * frame may stand in several slots. Called by get_user_pages() under the
 * page-table lock. NULL, once a slot is no longer LIVE, refuses new users of
 * the page, and keeps mm/ from touching its counts.
 *
 * Who asks with mmap_lock held for writing does not want to use the page: it
 * is /proc/PID/clear_refs, which would next clear the entry's accessed bit,
 * and Xen refuses that write to another domain's frame with a fault.
 */
struct page *xentap_pv_find_page(struct vm_area_struct *vma, unsigned long addr)
{
	struct xentap_arena *arena = vma->vm_private_data;
	u32 slot = (addr - vma->vm_start) >> PAGE_SHIFT;

	if (READ_ONCE(arena->slots[slot].state) != XENTAP_SLOT_LIVE ||
	    READ_ONCE(arena->slots[slot].stuck) || vma->vm_mm != arena->mm ||
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
 * locked: there is none left to copy.
 */
static void pv_forked(struct xentap_arena *arena)
{
	drop_range(arena, 0, arena->nr_slots, true);
}

/* Call @fn for the entries of scratch.slots[0..nr); makes page tables. */
static int walk_ptes(struct xentap_arena *arena, u32 nr, pte_fn_t fn)
{
	const u32 *slots = arena->scratch.slots;
	u32 run;
	u32 i;

	for (i = 0; i < nr; i += run) {
		int err;

		run = xentap_vma_run(&slots[i], nr - i);
		err = apply_to_page_range(arena->mm, xentap_slot_address(arena, slots[i]),
					  (unsigned long)run << PAGE_SHIFT, fn,
					  arena);
		if (err)
			return err;
	}
	return 0;
}

static struct xentap_slot *slot_at(struct xentap_arena *arena, unsigned long addr)
{
	return &arena->slots[(addr - arena->base) >> PAGE_SHIFT];
}

static int note_pte(pte_t *pte, unsigned long addr, void *data)
{
	slot_at(data, addr)->pte = arbitrary_virt_to_machine(pte).maddr;
	return 0;
}

static int pv_map(struct xentap_arena *arena, u32 nr)
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
	 */
	do {
		seq = mmu_interval_read_begin(&arena->notifier);
		err = walk_ptes(arena, nr, note_pte);
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

/*
 * get_user_pages() that found the slot no longer LIVE may have read the entry
 * before Xen cleared it, and write it back with the accessed bit set. Xen
 * refuses that for another domain's frame, but not for one of our own.
 */
static int sweep_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct xentap_arena *arena = data;

	if (!pte_none(*pte) && slot_at(arena, addr)->uhandle == XENTAP_NO_HANDLE)
		pte_clear(arena->mm, addr, pte);
	return 0;
}

/*
 * get_user_pages() looks at the slot and takes its reference under the
 * page-table lock. The walk passes through that lock: after it, whoever saw
 * the slot LIVE has taken the reference, and nobody will see it so again.
 *
 * The walk ends early where a table has just been freed by madvise(), which
 * needs the same lock; the slots of the other tables are still to be passed.
 */
static void sweep(struct xentap_arena *arena, u32 nr)
{
	u32 i;

	if (!walk_ptes(arena, nr, sweep_pte))
		return;
	for (i = 0; i < nr; i++)
		apply_to_page_range(arena->mm,
				    xentap_slot_address(arena, arena->scratch.slots[i]),
				    PAGE_SIZE, sweep_pte, arena);
}

static void pv_unmap(struct xentap_arena *arena, u32 nr)
{
	u32 n = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	mutex_lock(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		u32 slot = arena->scratch.slots[i];

		if (arena->slots[slot].uhandle != XENTAP_NO_HANDLE)
			arena->scratch.uslots[n++] = slot;
	}
	if (n)
		unmap_user(arena, n);
	mutex_unlock(&arena->pte_lock);

	mmap_read_lock(arena->mm);
	if (xentap_vma_find(arena))
		sweep(arena, nr);
	mmap_read_unlock(arena->mm);
}

const struct xentap_mmu xentap_mmu_pv = {
	.activate = pv_activate,
	.release = pv_release,
	.map = pv_map,
	.unmap = pv_unmap,
	.forked = pv_forked,
};

#endif /* XENTAP_PV_USER_MAP */
