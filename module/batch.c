// SPDX-License-Identifier: GPL-2.0-only
/*
 * One batch: slots to unmap, then grants to map, each list with few
 * hypercalls whatever its length. Entries fail one by one; what one entry
 * did before it failed is undone.
 */
#include <linux/sched.h>

#include "internal.h"
#include "trace.h"

/* Status of an entry that is under way; never seen outside. */
#define PENDING	1

int xentap_batch_check(struct xentap_arena *arena)
{
	/* Pairs with the release in xentap_vma_mmap(). */
	struct mm_struct *mm = smp_load_acquire(&arena->mm);

	lockdep_assert_held(&arena->batch_lock);
	if (!mm)
		return -ENXIO;
	if (mm != current->mm)
		return -EPERM;
	return xentap_mmu->activate ? xentap_mmu->activate(arena) : 0;
}

/* Take a slot out of use: PENDING, or why not. */
static int unmap_begin(struct xentap_arena *arena, u32 nr)
{
	const struct xentap_slot *slot = xentap_slot_at(arena, nr);

	if (!slot)
		return -EINVAL;
	switch (slot->state) {
	case XENTAP_SLOT_LIVE:
		xentap_drain_begin(arena, nr);
		return PENDING;
	case XENTAP_SLOT_DRAINING:
	case XENTAP_SLOT_DRAINED:
		return -EINPROGRESS;
	case XENTAP_SLOT_LOST:
		return -EIO;
	default:
		return -ENOENT;
	}
}

static int unmap_result(const struct xentap_arena *arena, u32 slot)
{
	switch (arena->slots[slot].state) {
	case XENTAP_SLOT_FREE:
		return 0;
	case XENTAP_SLOT_LOST:
		return -EIO;
	default:
		return -EINPROGRESS;
	}
}

void xentap_batch_unmap(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 waiting = 0;
	u32 n = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	for (i = 0; i < nr; i++) {
		s->unmaps[i].status = unmap_begin(arena, s->unmaps[i].slot);
		if (s->unmaps[i].status == PENDING)
			s->slots[n++] = s->unmaps[i].slot;
	}
	if (!n)
		return;

	xentap_mmu->unmap(arena, n);
	xentap_drain_finish(arena, n, XENTAP_SLOT_FREE);

	/* A slot that the list names twice has one result, too. */
	for (i = 0; i < nr; i++) {
		bool begun = s->unmaps[i].status == PENDING;

		if (!begun && s->unmaps[i].status != -EINPROGRESS)
			continue;
		s->unmaps[i].status = unmap_result(arena, s->unmaps[i].slot);
		if (begun && s->unmaps[i].status == -EINPROGRESS)
			waiting++;
	}
	if (waiting) {
		xentap_stat_add(XENTAP_STAT_DRAINS, waiting);
		xentap_drain_kick(arena);
	}
}

/* Check an entry and take its slot: PENDING, or why not. */
static int map_begin(struct xentap_arena *arena, const struct xentap_map *map)
{
	struct xentap_slot *slot = xentap_slot_at(arena, map->slot);
	int err;

	if (!slot)
		return -EINVAL;
	if (READ_ONCE(arena->dead))
		return -ESHUTDOWN;
	if (arena->restrict_domid != XENTAP_NO_DOMID &&
	    map->domid != arena->restrict_domid)
		return -EPERM;
	if (slot->state != XENTAP_SLOT_FREE)
		return -EBUSY;
	if (map->domid > U16_MAX)
		return -ESRCH;
	err = xentap_quota_take(map->domid);
	if (err)
		return err;

	slot->gref = map->gref;
	slot->domid = map->domid;
	slot->rdonly = arena->rdonly;
	WRITE_ONCE(slot->state, XENTAP_SLOT_MAPPING);
	return PENDING;
}

/* Kernel mappings; the slots that have one, closed up. How many. */
static u32 map_kernel(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 done = 0;
	u32 i;

	xentap_grant_map_kernel(arena, nr);
	for (i = 0; i < nr; i++) {
		struct xentap_slot *slot = &arena->slots[s->slots[i]];

		if (s->kmap[i].status != GNTST_okay) {
			s->maps[s->order[i]].status =
				xentap_grant_errno(s->kmap[i].status);
			WRITE_ONCE(slot->state, XENTAP_SLOT_FREE);
			trace_xentap_map(arena, s->slots[i], s->maps[s->order[i]].status);
			xentap_quota_give(slot->domid);
			continue;
		}
		slot->khandle = s->kmap[i].handle;
		WRITE_ONCE(slot->mfn, s->kmap[i].dev_bus_addr >> PAGE_SHIFT);
		s->slots[done] = s->slots[i];
		s->order[done] = s->order[i];
		done++;
	}
	return done;
}

/* Slots with both mappings become LIVE; the others, closed up, to be undone. */
static u32 map_publish(struct xentap_arena *arena, u32 nr, int err)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 failed = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		struct xentap_slot *slot = &arena->slots[s->slots[i]];
		int status = err ?: s->errors[i];

		s->maps[s->order[i]].status = status;
		trace_xentap_map(arena, s->slots[i], status);
		if (status) {
			s->slots[failed++] = s->slots[i];
			continue;
		}
		xentap_index_add(slot);
		/* Pairs with the acquire in find_page(). */
		smp_store_release(&slot->state, XENTAP_SLOT_LIVE);
	}
	arena->nr_mapped += nr - failed;
	xentap_stat_add(XENTAP_STAT_MAPPED, nr - failed);
	xentap_stat_add(XENTAP_STAT_MAPS, nr - failed);
	return failed;
}

void xentap_batch_map(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 n = 0;
	u32 i;
	int err;

	lockdep_assert_held(&arena->batch_lock);
	for (i = 0; i < nr; i++) {
		s->maps[i].status = map_begin(arena, &s->maps[i]);
		if (s->maps[i].status != PENDING)
			continue;
		s->slots[n] = s->maps[i].slot;
		s->order[n] = i;
		n++;
	}
	if (n)
		n = map_kernel(arena, n);
	if (!n)
		return;
	err = xentap_mmu->map(arena, n);
	n = map_publish(arena, n, err);
	xentap_drain_unmap(arena, n, XENTAP_SLOT_FREE);
}
