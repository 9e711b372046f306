// SPDX-License-Identifier: GPL-2.0-only
/*
 * User mappings in a domain whose page tables are its own business (PVH and
 * HVM on x86, all of arm64): Xen puts the guest's frame behind the physical
 * address of the slot's page, and the entry for user space is an ordinary one
 * that holds a reference on that page. mm/ may clear it whenever it likes, and
 * get_user_pages() needs no help.
 */
#include "internal.h"

static int map_run(struct xentap_arena *arena, struct vm_area_struct *vma,
		   u32 first, u32 run)
{
	unsigned long left = run;
	u32 slot = arena->scratch.slots[first];
	u32 i;
	int err;

	err = vm_insert_pages(vma, xentap_slot_address(arena, slot),
			      &arena->pages[slot], &left);
	for (i = 0; i < run; i++)
		arena->scratch.errors[first + i] = i < run - left ? 0 : err;
	return err;
}

static int auto_map(struct xentap_arena *arena, u32 nr)
{
	struct vm_area_struct *vma;
	u32 run;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	mmap_read_lock(arena->mm);
	vma = xentap_vma_find(arena);
	for (i = 0; vma && i < nr; i += run) {
		run = xentap_vma_run(&arena->scratch.slots[i], nr - i);
		map_run(arena, vma, i, run);
	}
	mmap_read_unlock(arena->mm);
	return vma ? 0 : -ESHUTDOWN;
}

static void zap(struct xentap_arena *arena, u32 slot, u32 nr)
{
	lockdep_assert_held(&arena->batch_lock);
	/* With the file, all mappings of it are gone. */
	if (arena->mapping)
		unmap_mapping_range(arena->mapping,
				    (loff_t)(arena->pgoff + slot) << PAGE_SHIFT,
				    (loff_t)nr << PAGE_SHIFT, 1);
}

/*
 * Clears the entries, of a forked child as well, and flushes the TLBs.
 * get_user_pages_fast(), which takes no lock, looks at the entry again after
 * it took its reference: either the page's count shows it, or it backs off.
 */
static void auto_unmap(struct xentap_arena *arena, u32 nr)
{
	const u32 *slots = arena->scratch.slots;
	u32 run;
	u32 i;

	for (i = 0; i < nr; i += run) {
		run = xentap_vma_run(&slots[i], nr - i);
		zap(arena, slots[i], run);
	}
}

static void auto_unmap_all(struct xentap_arena *arena)
{
	zap(arena, 0, arena->nr_slots);
}

const struct xentap_mmu xentap_mmu_auto = {
	.map = auto_map,
	.unmap = auto_unmap,
	.unmap_all = auto_unmap_all,
};
