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
#include <linux/sched.h>
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

/* Have Xen drop the user mappings of slots @first up to, not with, @end. */
static void drop_range(struct xentap_arena *arena, u32 first, u32 end)
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
			   (end - arena->base + PAGE_SIZE - 1) >> PAGE_SHIFT);
	mutex_unlock(&arena->pte_lock);
	return true;
}

static const struct mmu_interval_notifier_ops arena_notifier_ops = {
	.invalidate = arena_invalidate,
};

/* mremap() makes a second VMA before it asks arena_vma_mremap(). */
static void arena_vma_open(struct vm_area_struct *vma)
{
	struct xentap_arena *arena = vma->vm_private_data;

	mutex_lock(&arena->pte_lock);
	arena->nr_vmas++;
	mutex_unlock(&arena->pte_lock);
}

static void arena_vma_close(struct vm_area_struct *vma)
{
	struct xentap_arena *arena = vma->vm_private_data;
	bool last;

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
 */
static struct page *arena_vma_find_page(struct vm_area_struct *vma,
					unsigned long addr)
{
	struct xentap_arena *arena = vma->vm_private_data;
	u32 slot = (addr - vma->vm_start) >> PAGE_SHIFT;

	if (READ_ONCE(arena->slots[slot].state) != XENTAP_SLOT_LIVE ||
	    READ_ONCE(arena->slots[slot].stuck))
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
	if (arena->base) {
		err = -EBUSY;
	} else {
		WRITE_ONCE(arena->base, vma->vm_start);
		arena->mm = vma->vm_mm;
		arena->nr_vmas = 1;
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
	return err;
}

/* False once munmap() took the VMA out of the tree. mmap_lock is held. */
static bool arena_is_mapped(const struct xentap_arena *arena)
{
	const struct vm_area_struct *vma = find_vma(arena->mm, arena->base);

	return vma && vma->vm_start == arena->base &&
	       vma->vm_ops == &arena_vm_ops && vma->vm_private_data == arena;
}

static int note_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct xentap_arena *arena = data;

	arena->slots[(addr - arena->base) >> PAGE_SHIFT].pte =
		arbitrary_virt_to_machine(pte).maddr;
	return 0;
}

/* Where the entries of scratch.slots[0..nr) are; makes page tables. */
static int note_ptes(struct xentap_arena *arena, u32 nr)
{
	const u32 *slots = arena->scratch.slots;
	u32 run;
	u32 i;

	for (i = 0; i < nr; i += run) {
		int err;

		for (run = 1; i + run < nr && slots[i + run] == slots[i] + run;)
			run++;
		err = apply_to_page_range(arena->mm, slot_address(arena, slots[i]),
					  (unsigned long)run << PAGE_SHIFT,
					  note_pte, arena);
		if (err)
			return err;
	}
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
		err = note_ptes(arena, nr);
		if (err)
			break;
		mutex_lock(&arena->pte_lock);
		again = mmu_interval_read_retry(&arena->notifier, seq);
		if (!again)
			xentap_grant_map_user(arena, nr);
		mutex_unlock(&arena->pte_lock);
	} while (again);
	mmap_read_unlock(arena->mm);
	return err;
}

static int pass_pte(pte_t *pte, unsigned long addr, void *data)
{
	return 0;
}

/*
 * get_user_pages() looks at the slot and takes its reference under the
 * page-table lock. Having passed through that lock, we know that whoever saw
 * the slot LIVE has taken the reference, and that nobody will see it again.
 * One lock serves a whole page table (2 MiB of slots).
 */
static void pass_page_table_locks(struct xentap_arena *arena, u32 nr)
{
	unsigned long passed = ULONG_MAX;
	u32 i;

	for (i = 0; i < nr; i++) {
		unsigned long addr = slot_address(arena, arena->scratch.slots[i]);

		if (addr >> PMD_SHIFT == passed)
			continue;
		passed = addr >> PMD_SHIFT;
		/* The table exists, so that nothing can fail. */
		apply_to_page_range(arena->mm, addr, PAGE_SIZE, pass_pte, NULL);
	}
}

void xentap_vma_unmap(struct xentap_arena *arena, u32 nr)
{
	u32 n = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	mmap_read_lock(arena->mm);
	if (arena_is_mapped(arena))
		pass_page_table_locks(arena, nr);
	mmap_read_unlock(arena->mm);

	mutex_lock(&arena->pte_lock);
	for (i = 0; i < nr; i++) {
		u32 slot = arena->scratch.slots[i];

		if (arena->slots[slot].uhandle != XENTAP_NO_HANDLE)
			arena->scratch.uslots[n++] = slot;
	}
	if (n)
		xentap_grant_unmap_user(arena, n);
	mutex_unlock(&arena->pte_lock);
}
