// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena object: made by open(), given its slots once, freed when the file
 * is gone and the last slot has drained.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

static DEFINE_IDA(arena_ids);

struct xentap_arena *xentap_arena_new(struct address_space *mapping)
{
	struct xentap_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL);
	int id;

	if (!arena)
		return NULL;
	id = ida_alloc(&arena_ids, GFP_KERNEL);
	if (id < 0) {
		kfree(arena);
		return NULL;
	}
	arena->id = id;
	arena->pgoff = XENTAP_ARENA_PGOFF + (unsigned long)id * XENTAP_SLOTS_MAX;
	arena->mapping = mapping;
	arena->tgid = task_tgid_nr(current);
	kref_init(&arena->refs);
	arena->restrict_domid = XENTAP_NO_DOMID;
	mutex_init(&arena->batch_lock);
	mutex_init(&arena->pte_lock);
	init_waitqueue_head(&arena->report_wait);
	INIT_DELAYED_WORK(&arena->drain_work, xentap_drain_work);
	/* A slot may drain longer than the file lives. */
	__module_get(THIS_MODULE);
	xentap_stats_add_arena(arena);
	xentap_stat_add(XENTAP_STAT_ARENAS, 1);
	return arena;
}

static void scratch_free(struct xentap_scratch *s)
{
	kvfree(s->unmaps);
	kvfree(s->maps);
	kvfree(s->kmap);
	kvfree(s->kunmap);
	kvfree(s->umap);
	kvfree(s->errors);
	kvfree(s->pages);
	kvfree(s->slots);
	kvfree(s->order);
	kvfree(s->uunmap);
	kvfree(s->uslots);
	memset(s, 0, sizeof(*s));
}

#define SCRATCH_ALLOC(member) \
	((member) = kvcalloc(XENTAP_BATCH_MAX, sizeof(*(member)), GFP_KERNEL_ACCOUNT))

static int scratch_alloc(struct xentap_scratch *s)
{
	if (SCRATCH_ALLOC(s->unmaps) && SCRATCH_ALLOC(s->maps) &&
	    SCRATCH_ALLOC(s->kmap) && SCRATCH_ALLOC(s->kunmap) &&
	    SCRATCH_ALLOC(s->umap) && SCRATCH_ALLOC(s->errors) &&
	    SCRATCH_ALLOC(s->pages) &&
	    SCRATCH_ALLOC(s->slots) && SCRATCH_ALLOC(s->order) &&
	    SCRATCH_ALLOC(s->uunmap) && SCRATCH_ALLOC(s->uslots))
		return 0;
	scratch_free(s);
	return -ENOMEM;
}

/* Pages of lost slots are still mapped in Xen: they are never freed. */
static void pages_free(struct xentap_arena *arena)
{
	u32 nr = 0;
	u32 i;

	for (i = 0; i < arena->nr_slots; i++)
		if (arena->slots[i].state != XENTAP_SLOT_LOST)
			arena->pages[nr++] = arena->pages[i];
	gnttab_free_pages(nr, arena->pages);
}

/* Who looks a page up does so under rcu_read_lock(). */
static void arena_free_rcu(struct rcu_head *rcu)
{
	struct xentap_arena *arena = container_of(rcu, struct xentap_arena, rcu);

	kvfree(arena->slots);
	kfree(arena);
}

static void arena_free(struct kref *refs)
{
	struct xentap_arena *arena =
		container_of(refs, struct xentap_arena, refs);

	xentap_stats_del_arena(arena);
	xentap_stat_add(XENTAP_STAT_SLOTS, -(long)arena->nr_slots);
	xentap_stat_add(XENTAP_STAT_ARENAS, -1);
	if (arena->nr_slots) {
		xentap_index_del_pages(arena->slots, arena->nr_slots);
		pages_free(arena);
		kvfree(arena->pages);
		bitmap_free(arena->report);
		scratch_free(&arena->scratch);
	}
	ida_free(&arena_ids, arena->id);
	mutex_destroy(&arena->batch_lock);
	mutex_destroy(&arena->pte_lock);
	call_rcu(&arena->rcu, arena_free_rcu);
	/*
	 * Unload cannot pass us by: it waits for the work queue, for RCU, and
	 * a file's release holds a reference of its own.
	 */
	module_put(THIS_MODULE);
}

void xentap_arena_put(struct xentap_arena *arena)
{
	kref_put(&arena->refs, arena_free);
}

int xentap_arena_create(struct xentap_arena *arena, u32 nr_slots, bool rdonly)
{
	int err = -ENOMEM;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	if (arena->nr_slots)
		return -EBUSY;
	if (!xentap_mmu)
		return -EOPNOTSUPP;

	arena->slots = kvcalloc(nr_slots, sizeof(*arena->slots), GFP_KERNEL_ACCOUNT);
	if (!arena->slots)
		return -ENOMEM;
	arena->pages = kvcalloc(nr_slots, sizeof(*arena->pages), GFP_KERNEL_ACCOUNT);
	if (!arena->pages)
		goto err_slots;
	arena->report = bitmap_zalloc(nr_slots, GFP_KERNEL_ACCOUNT);
	if (!arena->report)
		goto err_pages;
	err = scratch_alloc(&arena->scratch);
	if (err)
		goto err_report;
	/* Address space without memory of its own: grants fill it. */
	err = gnttab_alloc_pages(nr_slots, arena->pages);
	if (err)
		goto err_scratch;

	for (i = 0; i < nr_slots; i++) {
		arena->slots[i].uhandle = XENTAP_NO_HANDLE;
		arena->slots[i].page = arena->pages[i];
	}
	err = xentap_index_add_pages(arena->slots, nr_slots);
	if (err)
		goto err_grant_pages;
	arena->rdonly = rdonly;
	xentap_stat_add(XENTAP_STAT_SLOTS, nr_slots);
	/* mmap() does not take batch_lock; it sees all of the above with this. */
	smp_store_release(&arena->nr_slots, nr_slots);
	return 0;

err_grant_pages:
	gnttab_free_pages(nr_slots, arena->pages);
err_scratch:
	scratch_free(&arena->scratch);
err_report:
	bitmap_free(arena->report);
err_pages:
	kvfree(arena->pages);
err_slots:
	kvfree(arena->slots);
	/* Not to be freed again with the arena. */
	arena->slots = NULL;
	return err;
}

int xentap_arena_restrict(struct xentap_arena *arena, u32 domid)
{
	lockdep_assert_held(&arena->batch_lock);
	if (domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (arena->restrict_domid != XENTAP_NO_DOMID &&
	    arena->restrict_domid != domid)
		return -EPERM;
	WRITE_ONCE(arena->restrict_domid, domid);
	return 0;
}

void xentap_arena_kill(struct xentap_arena *arena)
{
	WRITE_ONCE(arena->dead, true);
	xentap_drain_kick(arena);
}

void xentap_arena_release(struct xentap_arena *arena)
{
	/* The VMA holds the file, so that it is gone, too, by now. */
	if (xentap_mmu && xentap_mmu->release)
		xentap_mmu->release(arena);
	mutex_lock(&arena->batch_lock);
	arena->mapping = NULL;
	mutex_unlock(&arena->batch_lock);
	xentap_arena_kill(arena);
	xentap_arena_put(arena);
}
