// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena in a user's address space: mmap(), the page look-up that makes
 * get_user_pages() work, and the notifier that takes user mappings away
 * before the kernel would clear them.
 *
 * In a paravirtualized domain only Xen may write or clear a page-table entry
 * that maps a grant. Whoever in mm/ is about to clear one announces it to the
 * notifier first; the notifier has Xen unmap it, and mm/ finds nothing left.
 */
#include <linux/sched/signal.h>
#include <asm/xen/page.h>
#include <xen/page.h>

#include "internal.h"
#include "compat/compat.h"

static unsigned long slot_address(const struct xentap_arena *arena, u32 slot)
{
	return arena->base + ((unsigned long)slot << PAGE_SHIFT);
}

static unsigned long arena_bytes(const struct xentap_arena *arena)
{
	return (unsigned long)arena->nr_slots << PAGE_SHIFT;
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
			xentap_grant_unmap_user(arena, nr);
			nr = 0;
			if (may_sleep)
				cond_resched();
		}
	}
	if (nr)
		xentap_grant_unmap_user(arena, nr);
}

/*
 * Called with mmap_lock or an rmap lock held, for munmap(), exit, and all
 * else that is about to clear entries. Must not wait for I/O: only the user
 * mappings go, the slots stay what they are.
 */
static bool arena_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range,
			     unsigned long seq)
{
	struct xentap_arena *arena =
		container_of(notifier, struct xentap_arena, notifier);
	unsigned long start = max(range->start, arena->base);
	unsigned long end = min(range->end, arena->base + arena_bytes(arena));

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

static const struct mmu_interval_notifier_ops arena_notifier_ops = {
	.invalidate = arena_invalidate,
};

/*
 * Two callers. mremap() makes a second VMA before it asks
 * arena_vma_mremap(). And fork() does, if the process took VM_DONTCOPY away
 * by madvise(MADV_DOFORK): it calls this before it copies entries, with both
 * address spaces locked, so that there is none left to copy.
 */
static void arena_vma_open(struct vm_area_struct *vma)
{
	struct xentap_arena *arena = vma->vm_private_data;

	mutex_lock(&arena->pte_lock);
	if (vma->vm_mm == arena->mm)
		arena->nr_vmas++;
	else
		drop_range(arena, 0, arena->nr_slots, true);
	mutex_unlock(&arena->pte_lock);
}

static void arena_vma_close(struct vm_area_struct *vma)
{
	struct xentap_arena *arena = vma->vm_private_data;
	bool last;

	if (vma->vm_mm != arena->mm)
		return;
	mutex_lock(&arena->pte_lock);
	last = !--arena->nr_vmas;
	mutex_unlock(&arena->pte_lock);
	if (last)
		xentap_arena_kill(arena);
}

static int arena_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int arena_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static int arena_vma_mprotect(struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long flags)
{
	return -EINVAL;
}

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
static struct page *arena_vma_find_page(struct vm_area_struct *vma,
					unsigned long addr)
{
	struct xentap_arena *arena = vma->vm_private_data;
	u32 slot = (addr - vma->vm_start) >> PAGE_SHIFT;

	if (READ_ONCE(arena->slots[slot].state) != XENTAP_SLOT_LIVE ||
	    READ_ONCE(arena->slots[slot].stuck) || vma->vm_mm != arena->mm ||
	    xentap_compat_mmap_write_locked(vma->vm_mm))
		return NULL;
	return arena->pages[slot];
}

static const struct vm_operations_struct arena_vm_ops = {
	.open = arena_vma_open,
	.close = arena_vma_close,
	.may_split = arena_vma_may_split,
	.mremap = arena_vma_mremap,
	.mprotect = arena_vma_mprotect,
	.find_special_page = arena_vma_find_page,
};

/* Called with mmap_lock held for writing. */
int xentap_vma_mmap(struct xentap_arena *arena, struct vm_area_struct *vma)
{
	/* Pairs with the release in xentap_arena_create(). */
	u32 nr_slots = smp_load_acquire(&arena->nr_slots);
	int err = 0;

	if (!nr_slots)
		return -ENXIO;
	if (vma->vm_pgoff || vma_pages(vma) != nr_slots ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (!(vma->vm_flags & VM_WRITE) != arena->rdonly ||
	    (vma->vm_flags & VM_EXEC))
		return -EACCES;

	mutex_lock(&arena->pte_lock);
	if (arena->mm) {
		err = -EBUSY;
	} else {
		arena->base = vma->vm_start;
		arena->nr_vmas = 1;
		/* Pairs with the acquire in xentap_batch_check(). */
		smp_store_release(&arena->mm, vma->vm_mm);
	}
	mutex_unlock(&arena->pte_lock);
	if (err)
		return err;

	/* MIXEDMAP: entries with and without a struct page of mm's own. */
	xentap_compat_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP |
					VM_DONTCOPY | VM_MIXEDMAP);
	xentap_compat_vm_flags_clear(vma, VM_MAYEXEC |
					  (arena->rdonly ? VM_MAYWRITE : 0));
	vma->vm_private_data = arena;
	vma->vm_ops = &arena_vm_ops;
	return 0;
}

/*
 * Not done by mmap(): the notifier is registered without mmap_lock. It stays
 * until the file is released, as its removal waits for other notifiers.
 */
int xentap_vma_activate(struct xentap_arena *arena)
{
	int err;

	lockdep_assert_held(&arena->batch_lock);
	if (arena->notifier_active)
		return 0;
	err = mmu_interval_notifier_insert(&arena->notifier, current->mm,
					   arena->base, arena_bytes(arena),
					   &arena_notifier_ops);
	if (!err)
		arena->notifier_active = true;
	/* Any signal interrupts the registration; nothing was done yet. */
	return err == -EINTR ? -ERESTARTSYS : err;
}

/* False once munmap() took the VMA out of the tree. mmap_lock is held. */
static bool arena_is_mapped(const struct xentap_arena *arena)
{
	const struct vm_area_struct *vma = find_vma(arena->mm, arena->base);

	return vma && vma->vm_start == arena->base &&
	       vma->vm_ops == &arena_vm_ops && vma->vm_private_data == arena;
}

/* Call @fn for the entries of scratch.slots[0..nr); makes page tables. */
static int walk_ptes(struct xentap_arena *arena, u32 nr, pte_fn_t fn)
{
	const u32 *slots = arena->scratch.slots;
	u32 run;
	u32 i;

	for (i = 0; i < nr; i += run) {
		int err;

		for (run = 1; i + run < nr && slots[i + run] == slots[i] + run;)
			run++;
		err = apply_to_page_range(arena->mm, slot_address(arena, slots[i]),
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

int xentap_vma_map(struct xentap_arena *arena, u32 nr)
{
	unsigned long seq;
	bool again = false;
	int err;

	lockdep_assert_held(&arena->batch_lock);
	mmap_read_lock(arena->mm);
	if (!arena_is_mapped(arena)) {
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
			xentap_grant_map_user(arena, nr);
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

void xentap_vma_unmap(struct xentap_arena *arena, u32 nr)
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
		xentap_grant_unmap_user(arena, n);
	mutex_unlock(&arena->pte_lock);

	/*
	 * get_user_pages() looks at the slot and takes its reference under the
	 * page-table lock. The walk passes through that lock: after it, whoever
	 * saw the slot LIVE has taken the reference, and nobody will see it so
	 * again. The tables exist, so that nothing can fail.
	 */
	mmap_read_lock(arena->mm);
	if (arena_is_mapped(arena))
		walk_ptes(arena, nr, sweep_pte);
	mmap_read_unlock(arena->mm);
}
