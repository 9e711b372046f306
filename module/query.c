// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address -> grant. The slot array lies beside the mapping, slot by page, so
 * the answer is an array access.
 */
#include "internal.h"
#include "trace.h"

static bool slot_is_mapped(const struct xentap_slot *slot)
{
	return slot->state == XENTAP_SLOT_LIVE ||
	       slot->state == XENTAP_SLOT_DRAINING;
}

void xentap_query_addr(struct xentap_arena *arena,
		       struct xentap_query_addr *entry, bool show_mfn)
{
	const struct xentap_slot *slot = NULL;
	unsigned long nr = 0;

	lockdep_assert_held(&arena->batch_lock);

	*entry = (struct xentap_query_addr){ .addr = entry->addr };
	/* Pairs with the release in xentap_vma_mmap(). */
	if (smp_load_acquire(&arena->mm) && entry->addr >= arena->base) {
		nr = (entry->addr - arena->base) >> PAGE_SHIFT;
		slot = xentap_slot_at(arena, nr);
	}
	if (!slot) {
		entry->status = -EINVAL;
		return;
	}
	if (!slot_is_mapped(slot)) {
		entry->status = -ENOENT;
		return;
	}
	trace_xentap_query(arena, nr, 0);
	entry->mfn = show_mfn ? slot->mfn : XENTAP_MFN_HIDDEN;
	entry->gref = slot->gref;
	entry->domid = slot->domid;
	if (slot->rdonly)
		entry->flags |= XENTAP_GRANT_F_RDONLY;
	if (slot->state == XENTAP_SLOT_DRAINING)
		entry->flags |= XENTAP_GRANT_F_DRAINING;
}
