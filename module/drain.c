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

#define DRAIN_DELAY_MIN_MS	1u
#define DRAIN_DELAY_MAX_MS	100u

static struct workqueue_struct *drain_queue;

int xentap_drain_init(void)
{
	drain_queue = alloc_workqueue("xentap_drain", WQ_UNBOUND, 0);
	return drain_queue ? 0 : -ENOMEM;
}

void xentap_drain_uninit(void)
{
	destroy_workqueue(drain_queue);
}

void xentap_drain_begin(struct xentap_arena *arena, u32 slot)
{
	lockdep_assert_held(&arena->batch_lock);
	xentap_index_del(&arena->slots[slot]);
	WRITE_ONCE(arena->slots[slot].state, XENTAP_SLOT_DRAINING);
	arena->nr_draining++;
	xentap_stat_add(XENTAP_STAT_DRAINING, 1);
}

static void slot_leave(struct xentap_arena *arena, u32 slot,
		       enum xentap_slot_state then)
{
	if (arena->slots[slot].state == XENTAP_SLOT_DRAINING) {
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
		/* User space asked long ago: it learns by read(). */
		if (then == XENTAP_SLOT_DRAINED)
			__set_bit(s->slots[i], arena->report);
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
				__set_bit(slot, arena->report);
		} else if (page_is_idle(arena->pages[slot])) {
			s->slots[idle++] = slot;
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

/* The next slots in @state from *@from on, in scratch.slots; how many. */
static u32 collect(struct xentap_arena *arena, enum xentap_slot_state state,
		   u32 *from)
{
	u32 nr = 0;

	for (; *from < arena->nr_slots && nr < XENTAP_BATCH_MAX; (*from)++)
		if (arena->slots[*from].state == state)
			arena->scratch.slots[nr++] = *from;
	return nr;
}

static void drain_pass(struct xentap_arena *arena)
{
	u32 from;
	u32 nr;
	u32 i;

	/*
	 * A dead arena has no VMA, and the notifier has taken its user
	 * mappings away: nobody can be about to take a page.
	 */
	if (READ_ONCE(arena->dead))
		for (i = 0; i < arena->nr_slots; i++)
			if (arena->slots[i].state == XENTAP_SLOT_LIVE)
				xentap_drain_begin(arena, i);

	for (from = 0; from < arena->nr_slots && arena->nr_draining;) {
		nr = collect(arena, XENTAP_SLOT_DRAINING, &from);
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

	mutex_lock(&arena->batch_lock);
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
