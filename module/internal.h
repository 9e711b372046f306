/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's parts know of each other.
 *
 * An arena (one open file) has a fixed array of slots. A slot is FREE, LIVE
 * (a grant is mapped), DRAINING (unmap asked for, the page perhaps still in
 * use), DRAINED (unmapped later, user space not yet told) or LOST (Xen refused
 * to unmap; page and slot are never used again).
 *
 * A LIVE slot is mapped for the kernel, which makes its page fit for DMA: at
 * the page's linear address in a paravirtualized (PV) domain, at its physical
 * address in one that Xen translates for (PVH, HVM, arm64). That mapping goes
 * when nobody holds the page (ARCHITECTURE.md, "Teardown").
 *
 * The mapping for user space is the MMU's matter (struct xentap_mmu). In a PV
 * domain it is a second one in Xen, with a handle of its own (uhandle), that
 * may go at any time and goes synchronously, since the kernel must never clear
 * such an entry by itself. Else it is an ordinary page-table entry.
 *
 * Lock order:
 *	arena->batch_lock > mmap_lock > arena->pte_lock > page-table lock
 *	arena->batch_lock > index stripe
 *	pool->lock, arena list: alone
 * The notifier and the VMA's operations run under mmap_lock or rmap locks and
 * may therefore take pte_lock only. Under pte_lock nothing allocates with
 * GFP_KERNEL, touches user memory or waits for a page.
 */
#ifndef XENTAP_INTERNAL_H
#define XENTAP_INTERNAL_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <xen/grant_table.h>

#include <linux/xentap.h>
#include <uapi/xentap.h>

#define XENTAP_BATCH_MAX	1024u	/* entries of one list */
#define XENTAP_NO_HANDLE	((grant_handle_t)-1)
#define XENTAP_NO_DOMID		(-1)

/*
 * All arenas are mappings of one device, so that each has a part of the
 * device's offsets, in pages, for itself. Pools come before all of them.
 */
#define XENTAP_POOL_PGOFF	(XENTAP_POOL_OFFSET >> PAGE_SHIFT)
#define XENTAP_ARENA_PGOFF	(1ul << 32)
#define XENTAP_SLOTS_MAX	(1u << 20)	/* of one arena, whatever the parameter */

enum xentap_slot_state {
	XENTAP_SLOT_FREE,
	XENTAP_SLOT_MAPPING,		/* inside one batch only */
	XENTAP_SLOT_LIVE,
	XENTAP_SLOT_DRAINING,
	XENTAP_SLOT_DRAINED,
	XENTAP_SLOT_LOST,
};

/*
 * @state is written under batch_lock and read without a lock by the page
 * look-up of get_user_pages(); @uhandle and @stuck are guarded by pte_lock, and
 * @pte means something only while there is a uhandle, or @pte_gen is still the
 * arena's. All else is stable while the slot is LIVE or DRAINING.
 */
struct xentap_slot {
	struct hlist_node node;		/* LIVE: index; DRAINING: arena->draining */
	struct page *page;		/* set once */
	u64 mfn;
	u64 pte;			/* PV: machine address of the user's PTE */
	grant_ref_t gref;
	grant_handle_t khandle;
	grant_handle_t uhandle;		/* PV; XENTAP_NO_HANDLE: no user mapping */
	domid_t domid;
	u8 state;			/* enum xentap_slot_state */
	bool rdonly;
	bool stuck;			/* Xen kept the user mapping */
	u32 pte_gen;			/* PV: the arena's, before @pte was found */
};

/* Memory of one batch, allocated with the arena. */
struct xentap_scratch {
	/* batch_lock */
	struct xentap_unmap *unmaps;
	struct xentap_map *maps;
	struct gnttab_map_grant_ref *kmap;
	struct gnttab_unmap_grant_ref *kunmap;
	struct gnttab_map_grant_ref *umap;
	int *errors;			/* of user mappings, 0 or -errno */
	struct page **pages;
	u32 *slots;			/* what the helpers below work on */
	u32 *order;			/* slots[i] is asked for by maps[order[i]] */
	u32 pte_gen;			/* PV: for entries that are found now */
	/* pte_lock */
	struct gnttab_unmap_grant_ref *uunmap;
	u32 *uslots;
};

struct xentap_arena {
	struct kref refs;		/* the file; the drain worker */
	struct rcu_head rcu;
	struct list_head list;		/* all arenas; stats.c */
	unsigned int id;
	unsigned long pgoff;		/* of slot 0 in the device's offsets */
	pid_t tgid;			/* who opened the file; to be shown only */

	/* Set once, under batch_lock, before the arena is of use. */
	u32 nr_slots;			/* 0: no slots yet */
	bool rdonly;
	struct xentap_slot *slots;
	struct page **pages;
	struct xentap_scratch scratch;

	/* batch_lock: one batch, query or drain pass at a time */
	struct mutex batch_lock;
	int restrict_domid;		/* or XENTAP_NO_DOMID */
	u32 nr_mapped;			/* slots LIVE or DRAINING */
	u32 nr_draining;
	struct hlist_head draining;
	bool notifier_active;
	struct address_space *mapping;	/* of the file; NULL once it is released */

	/* pte_lock: user mappings, and base and mm below */
	struct mutex pte_lock;
	struct mm_struct *mm;		/* only its owner dereferences it; NULL: not mapped yet */
	unsigned long base;		/* user address of slot 0 */
	u32 nr_vmas;			/* of mm; 2 while an mremap() is refused */
	u32 nr_ptes;			/* PV: slots with a user mapping */
	u32 pte_gen;			/* PV: counts invalidations, from 1 */
	struct mmu_interval_notifier notifier;

	/* No more maps, all slots drain: the VMA or the file is gone. */
	bool dead;			/* READ_ONCE, WRITE_ONCE */

	struct delayed_work drain_work;
	unsigned int drain_delay_ms;

	/*
	 * A bit for each drained slot that read() has not reported; changed
	 * under batch_lock, looked at without.
	 */
	unsigned long *report;
	wait_queue_head_t report_wait;
};

/*
 * Slot @nr, or NULL. For numbers from user space, which must not steer what
 * the processor reads ahead of the check (Spectre v1).
 */
static inline struct xentap_slot *xentap_slot_at(struct xentap_arena *arena,
						 unsigned long nr)
{
	if (nr >= arena->nr_slots)
		return NULL;
	return &arena->slots[array_index_nospec(nr, arena->nr_slots)];
}

/* main.c: parameters */
extern unsigned int xentap_max_grants;
extern unsigned int xentap_max_grants_domid;
extern unsigned int xentap_max_slots;
extern unsigned int xentap_max_pool_pages;

/* arena.c; NULL: no memory */
struct xentap_arena *xentap_arena_new(struct address_space *mapping);
void xentap_arena_put(struct xentap_arena *arena);
int xentap_arena_create(struct xentap_arena *arena, u32 nr_slots, bool rdonly);
int xentap_arena_restrict(struct xentap_arena *arena, u32 domid);
/* No more maps; what is mapped drains. Any context that may sleep. */
void xentap_arena_kill(struct xentap_arena *arena);
/* The file is gone: as kill, and the notifier with it. No mmap_lock held. */
void xentap_arena_release(struct xentap_arena *arena);

/*
 * batch.c: the lists are in arena->scratch, statuses are left there. Caller
 * holds batch_lock.
 */
int xentap_batch_check(struct xentap_arena *arena);
void xentap_batch_unmap(struct xentap_arena *arena, u32 nr);
void xentap_batch_map(struct xentap_arena *arena, u32 nr);

/*
 * drain.c; caller holds batch_lock. xentap_drain_begin() takes a slot from
 * LIVE to DRAINING and out of the index; its user mapping must go next.
 * xentap_drain_finish() unmaps those of scratch.slots[0..nr) whose page
 * nobody holds: they are in state @then afterwards, or LOST.
 */
void xentap_drain_begin(struct xentap_arena *arena, u32 slot);
void xentap_drain_finish(struct xentap_arena *arena, u32 nr,
			 enum xentap_slot_state then);
/* Unmap scratch.slots[0..nr) from the kernel, idle and without user mapping. */
void xentap_drain_unmap(struct xentap_arena *arena, u32 nr,
			enum xentap_slot_state then);
/* Look after draining slots from the work queue, soon. Any context. */
void xentap_drain_kick(struct xentap_arena *arena);
void xentap_drain_work(struct work_struct *work);
int xentap_drain_init(void);
void xentap_drain_uninit(void);

/* grant.c: hypercalls, and what their statuses mean */
int xentap_grant_errno(s16 status);
/*
 * For scratch.slots[0..nr), status in scratch.kmap[] or kunmap[]. Caller holds
 * batch_lock.
 */
void xentap_grant_map_kernel(struct xentap_arena *arena, u32 nr);
void xentap_grant_unmap_kernel(struct xentap_arena *arena, u32 nr);

/**
 * struct xentap_mmu - how grants come into a user's address space
 * @activate:	before the first map, in the process that mapped the arena;
 *		caller holds batch_lock. 0 or -errno. May be NULL
 * @release:	the file is gone; no locks held. May be NULL
 * @map:	make user mappings for scratch.slots[0..nr), which have kernel
 *		mappings; results in scratch.errors[]. Caller holds batch_lock.
 *		0, or -ESHUTDOWN, -ENOMEM, -EINTR when none was made
 * @unmap:	drop the user mappings of scratch.slots[0..nr), which are no
 *		longer LIVE, and return when no get_user_pages() can be about
 *		to take one of their pages. Caller holds batch_lock
 * @unmap_all:	the process no longer maps the arena: drop what others may;
 *		caller holds batch_lock. May be NULL
 * @forked:	a child of the process that mapped the arena is about to get a
 *		copy of the VMA; pte_lock held. May be NULL
 */
struct xentap_mmu {
	int (*activate)(struct xentap_arena *arena);
	void (*release)(struct xentap_arena *arena);
	int (*map)(struct xentap_arena *arena, u32 nr);
	void (*unmap)(struct xentap_arena *arena, u32 nr);
	void (*unmap_all)(struct xentap_arena *arena);
	void (*forked)(struct xentap_arena *arena);
};

/* This domain's; NULL when its kernel cannot map grants for user space. */
extern const struct xentap_mmu *xentap_mmu;
extern const struct xentap_mmu xentap_mmu_pv;
extern const struct xentap_mmu xentap_mmu_auto;

/* mmu_pv.c: the page behind a granted entry, or NULL; page-table lock held */
struct page *xentap_pv_find_page(struct vm_area_struct *vma, unsigned long addr);

/* vma.c */
int xentap_vma_mmap(struct xentap_arena *arena, struct vm_area_struct *vma);
/* NULL once munmap() took the VMA out of the tree. mmap_lock is held. */
struct vm_area_struct *xentap_vma_find(const struct xentap_arena *arena);
/* How many of slots[0..nr) follow one another, from the first on. */
u32 xentap_vma_run(const u32 *slots, u32 nr);

static inline unsigned long xentap_slot_address(const struct xentap_arena *arena,
						u32 slot)
{
	return arena->base + ((unsigned long)slot << PAGE_SHIFT);
}

static inline unsigned long xentap_arena_bytes(const struct xentap_arena *arena)
{
	return (unsigned long)arena->nr_slots << PAGE_SHIFT;
}

/*
 * index.c: machine frame -> slots, and page -> slot, of all arenas; any context
 * but for _add_pages() and _del_pages(), which may sleep.
 */
int xentap_index_init(unsigned int entries);
void xentap_index_uninit(void);
void xentap_index_add(struct xentap_slot *slot);
void xentap_index_del(struct xentap_slot *slot);
/* All of an arena's slots can be found by their pages, when they are LIVE. */
int xentap_index_add_pages(struct xentap_slot *slots, u32 nr);
void xentap_index_del_pages(struct xentap_slot *slots, u32 nr);
/* Copy at most @nr records; returns how many there are. */
u32 xentap_index_find(u64 mfn, struct xentap_grant *grants, u32 nr);

/* query.c; caller holds batch_lock */
void xentap_query_addr(struct xentap_arena *arena,
		       struct xentap_query_addr *entry, bool show_mfn);

/* quota.c */
int xentap_quota_init(void);
void xentap_quota_uninit(void);
int xentap_quota_take(domid_t domid);
void xentap_quota_give(domid_t domid);

/* Of a domain, @domid below DOMID_FIRST_RESERVED: mapped, draining or lost. */
u32 xentap_quota_used(domid_t domid);

/* pool.c: pages of dom0's own, and copies between them and grants */
struct xentap_pool *xentap_pool_new(u32 nr_pages);
void xentap_pool_free(struct xentap_pool *pool);
int xentap_pool_mmap(struct xentap_pool *pool, struct vm_area_struct *vma);
/* @domid: the only domain, or XENTAP_NO_DOMID. 0, -EFAULT, -EINTR, -EINVAL. */
int xentap_pool_copy(struct xentap_pool *pool, struct xentap_copy __user *entries,
		     u32 nr, int domid);

/* stats.c: debugfs */
enum xentap_stat {
	XENTAP_STAT_ARENAS,
	XENTAP_STAT_SLOTS,
	XENTAP_STAT_MAPPED,		/* slots LIVE or DRAINING */
	XENTAP_STAT_USER_PTES,
	XENTAP_STAT_DRAINING,
	XENTAP_STAT_QUARANTINED,	/* slots LOST; never goes down */
	XENTAP_STAT_BATCHES,
	XENTAP_STAT_MAPS,
	XENTAP_STAT_UNMAPS,
	XENTAP_STAT_DRAINS,		/* unmaps that had to wait */
	XENTAP_STAT_HYPERCALLS,
	XENTAP_STAT_POOL_PAGES,
	XENTAP_STAT_COPY_BATCHES,
	XENTAP_STAT_COPIES,
	XENTAP_NR_STATS,
};

void xentap_stat_add(enum xentap_stat stat, long n);
/* A batch of @nr maps and unmaps was done. */
void xentap_stat_batch(u32 nr);
/* The list of arenas; may sleep. */
void xentap_stats_add_arena(struct xentap_arena *arena);
void xentap_stats_del_arena(struct xentap_arena *arena);
void xentap_stats_init(void);
void xentap_stats_uninit(void);

/* chardev.c */
int xentap_chardev_init(void);
void xentap_chardev_uninit(void);

#endif /* XENTAP_INTERNAL_H */
