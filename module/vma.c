// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena in a user's address space: mmap(), and the refusal of whatever
 * would change a part of the mapping. How a grant comes into it depends on
 * who owns the page tables: mmu_pv.c and mmu_auto.c.
 */
#include "internal.h"
#include "compat/compat.h"

/*
 * Two callers. mremap() makes a second VMA before it asks
 * arena_vma_mremap(). And fork() does, if the process took VM_DONTCOPY away
 * by madvise(MADV_DOFORK); with entries, if it took VM_WIPEONFORK away as well,
 * by MADV_KEEPONFORK. A child that forks in turn has nothing to copy.
 */
static void arena_vma_open(struct vm_area_struct *vma)
{
	struct xentap_arena *arena = vma->vm_private_data;

	mutex_lock(&arena->pte_lock);
	if (vma->vm_mm == arena->mm)
		arena->nr_vmas++;
	else if (current->mm == arena->mm && xentap_mmu->forked)
		xentap_mmu->forked(arena);
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

#ifdef XENTAP_HAVE_VM_OPS_MPROTECT
static int arena_vma_mprotect(struct vm_area_struct *vma, unsigned long start,
			      unsigned long end, unsigned long flags)
{
	return -EINVAL;
}
#endif

static const struct vm_operations_struct arena_vm_ops = {
	.open = arena_vma_open,
	.close = arena_vma_close,
	.XENTAP_COMPAT_MAY_SPLIT = arena_vma_may_split,
	.mremap = arena_vma_mremap,
#ifdef XENTAP_HAVE_VM_OPS_MPROTECT
	.mprotect = arena_vma_mprotect,
#endif
#ifdef XENTAP_PV_USER_MAP
	.XENTAP_COMPAT_FIND_PAGE = xentap_pv_find_page,
#endif
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

	/* All arenas are one device's: each has its own part of its offsets. */
	vma->vm_pgoff = arena->pgoff;
	/*
	 * MIXEDMAP: entries with and without a struct page of mm's own.
	 * WIPEONFORK: who takes DONTCOPY away, by MADV_DOFORK, has a child without
	 * entries. Before Linux 6.9 fork() would copy them before it asks us, and
	 * Xen refuse the child's page tables.
	 */
	xentap_compat_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP |
					VM_DONTCOPY | VM_WIPEONFORK |
					VM_MIXEDMAP);
	xentap_compat_vm_flags_clear(vma, VM_MAYEXEC |
					  (arena->rdonly ? VM_MAYWRITE : 0));
	vma->vm_private_data = arena;
	vma->vm_ops = &arena_vm_ops;
	return 0;
}

struct vm_area_struct *xentap_vma_find(const struct xentap_arena *arena)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(arena->mm);
	vma = find_vma(arena->mm, arena->base);
	if (vma && vma->vm_start == arena->base &&
	    vma->vm_ops == &arena_vm_ops && vma->vm_private_data == arena)
		return vma;
	return NULL;
}

u32 xentap_vma_run(const u32 *slots, u32 nr)
{
	u32 run = 1;

	while (run < nr && slots[run] == slots[0] + run)
		run++;
	return run;
}
