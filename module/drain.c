// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way of a slot from LIVE to FREE. The end of an I/O request is not the
 * end of its pages' use: a network block device may still hold them for a
 * retransmission. The kernel mapping is therefore kept until the page is
 * idle, slot by slot, and a work queue looks after those that are not.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "internal.h"
#include "trace.h"

#define DRAIN_DELAY_MIN_MS	1u
#define DRAIN_DELAY_MAX_MS	100u

static struct workqueue_struct *drain_queue;

int xentap_drain_init(void)
{
	drain_queue = alloc_workqueue("xentap_drain",
				      WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return drain_queue ? 0 : -ENOMEM;
}

void xentap_drain_uninit(void)
{
	destroy_workqueue(drain_queue);
}

void xentap_drain_begin(struct xentap_arena *arena, u32 slot)
{
	lockdep_assert_held(&arena->batch_lock);
	/*
	 * In this order: whoever finds the slot under the index's lock and
	 * still LIVE has its reference before we look at the page's count.
	 */
	WRITE_ONCE(arena->slots[slot].state, XENTAP_SLOT_DRAINING);
	xentap_index_del(&arena->slots[slot]);
	hlist_add_head(&arena->slots[slot].node, &arena->draining);
	arena->nr_draining++;
	xentap_stat_add(XENTAP_STAT_DRAINING, 1);
}

static void slot_leave(struct xentap_arena *arena, u32 slot,
		       enum xentap_slot_state then)
{
	if (arena->slots[slot].state == XENTAP_SLOT_DRAINING) {
		hlist_del_init(&arena->slots[slot].node);
		arena->nr_draining--;
		arena->nr_mapped--;
		xentap_stat_add(XENTAP_STAT_DRAINING, -1);
		xentap_stat_add(XENTAP_STAT_MAPPED, -1);
	}
	WRITE_ONCE(arena->slots[slot].state, then);
}

static void slot_lose(struct xentap_arena *arena, u32 slot, s16 status)
{
	pr_err_ratelimited("Xen refuses to unmap grant %u of domain %u (status %d): a page is lost\n",
			   arena->slots[slot].gref, arena->slots[slot].domid,
			   status);
	slot_leave(arena, slot, XENTAP_SLOT_LOST);
	xentap_stat_add(XENTAP_STAT_QUARANTINED, 1);
}

void xentap_drain_unmap(struct xentap_arena *arena, u32 nr,
			enum xentap_slot_state then)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 i;

	if (!nr)
		return;
	xentap_grant_unmap_kernel(arena, nr);
	for (i = 0; i < nr; i++) {
		if (s->kunmap[i].status == GNTST_okay) {
			slot_leave(arena, s->slots[i], then);
			xentap_quota_give(arena->slots[s->slots[i]].domid);
		} else {
			slot_lose(arena, s->slots[i], s->kunmap[i].status);
		}
		trace_xentap_unmap(arena, s->slots[i],
				   xentap_grant_errno(s->kunmap[i].status));
		/* User space asked long ago: it learns by read(). */
		if (then == XENTAP_SLOT_DRAINED)
			set_bit(s->slots[i], arena->report);
	}
	xentap_stat_add(XENTAP_STAT_UNMAPS, nr);
}

/* One reference is the arena's own; I/O and others hold more. */
static bool page_is_idle(struct page *page)
{
	return page_count(page) == 1;
}

void xentap_drain_finish(struct xentap_arena *arena, u32 nr,
			 enum xentap_slot_state then)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 idle = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	for (i = 0; i < nr; i++) {
		u32 slot = s->slots[i];

		if (arena->slots[slot].uhandle != XENTAP_NO_HANDLE) {
			slot_lose(arena, slot, GNTST_general_error);
			if (then == XENTAP_SLOT_DRAINED)
				set_bit(slot, arena->report);
		} else if (page_is_idle(arena->pages[slot])) {
			s->slots[idle++] = slot;
		} else {
			trace_xentap_drain(arena, slot, page_count(arena->pages[slot]));
		}
	}
	xentap_drain_unmap(arena, idle, then);
}

void xentap_drain_kick(struct xentap_arena *arena)
{
	/* Work that waits holds a reference; so take one only for the first. */
	kref_get(&arena->refs);
	WRITE_ONCE(arena->drain_delay_ms, DRAIN_DELAY_MIN_MS);
	if (mod_delayed_work(drain_queue, &arena->drain_work, 0))
		xentap_arena_put(arena);
}

/*
 * A dead arena has no VMA in its process: nobody can be about to take a page,
 * and all that is mapped has to go.
 */
static void drain_dead(struct xentap_arena *arena)
{
	u32 i;

	if (arena->nr_mapped == arena->nr_draining)
		return;
	for (i = 0; i < arena->nr_slots; i++)
		if (arena->slots[i].state == XENTAP_SLOT_LIVE)
			xentap_drain_begin(arena, i);
	if (xentap_mmu->unmap_all)
		xentap_mmu->unmap_all(arena);
}

static void drain_pass(struct xentap_arena *arena)
{
	struct hlist_node *next = arena->draining.first;
	u32 nr;

	while (next) {
		for (nr = 0; next && nr < XENTAP_BATCH_MAX; next = next->next)
			arena->scratch.slots[nr++] =
				hlist_entry(next, struct xentap_slot, node) -
				arena->slots;
		/* Takes only these off the list. */
		xentap_drain_finish(arena, nr, XENTAP_SLOT_DRAINED);
		cond_resched();
	}
	wake_up_interruptible(&arena->report_wait);
}

void xentap_drain_work(struct work_struct *work)
{
	struct xentap_arena *arena = container_of(to_delayed_work(work),
						  struct xentap_arena, drain_work);
	unsigned int delay;
	bool again;

	/*
	 * Whoever has the lock may be copying from user memory, for as long as
	 * user space likes: a worker must not sleep for that.
	 */
	if (!mutex_trylock(&arena->batch_lock)) {
		if (!queue_delayed_work(drain_queue, &arena->drain_work,
					msecs_to_jiffies(DRAIN_DELAY_MIN_MS)))
			xentap_arena_put(arena);
		return;
	}
	if (READ_ONCE(arena->dead))
		drain_dead(arena);
	drain_pass(arena);
	again = arena->nr_draining;
	mutex_unlock(&arena->batch_lock);

	if (again) {
		delay = READ_ONCE(arena->drain_delay_ms);
		WRITE_ONCE(arena->drain_delay_ms,
			   min(delay * 2, DRAIN_DELAY_MAX_MS));
		/* False: a kick came between; its reference is the one kept. */
		if (queue_delayed_work(drain_queue, &arena->drain_work,
				       msecs_to_jiffies(delay)))
			return;
	}
	xentap_arena_put(arena);
}
