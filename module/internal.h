/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's parts know of each other.
 *
 * An arena (one open file) has a fixed array of slots. A slot is FREE, LIVE
 * (a grant is mapped), DRAINING (unmap asked for, the page perhaps still in
 * use), DRAINED (unmapped later, user space not yet told) or LOST (Xen refused
 * to unmap; page and slot are never used again).
 *
 * A LIVE slot in a paravirtualized domain is mapped twice, with a handle
 * each: at the kernel's linear address of the slot's page (khandle), which
 * makes the page fit for DMA, and in the user's page table (uhandle). The
 * user mapping may go at any time and goes synchronously, since the kernel
 * must never clear such an entry by itself; the kernel mapping goes when
 * nobody holds the page (ARCHITECTURE.md, "Teardown").
 *
 * Lock order:
 *	arena->batch_lock > mmap_lock > arena->pte_lock > index stripe
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
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <xen/grant_table.h>

#include <uapi/xentap.h>

#define XENTAP_BATCH_MAX	1024u	/* entries of one list */
#define XENTAP_NO_HANDLE	((grant_handle_t)-1)
#define XENTAP_NO_DOMID		(-1)

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
 * @pte means something only while there is a uhandle. All else is stable
 * while the slot is LIVE or DRAINING.
 */
struct xentap_slot {
	struct hlist_node node;		/* index, while LIVE */
	u64 mfn;
	u64 pte;			/* machine address of the user's PTE */
	grant_ref_t gref;
	grant_handle_t khandle;
	grant_handle_t uhandle;		/* XENTAP_NO_HANDLE: no user mapping */
	domid_t domid;
	u8 state;			/* enum xentap_slot_state */
	bool rdonly;
	bool stuck;			/* Xen kept the user mapping */
};

/* Memory of one batch, allocated with the arena. */
struct xentap_scratch {
	/* batch_lock */
	struct xentap_unmap *unmaps;
	struct xentap_map *maps;
	struct gnttab_map_grant_ref *kmap;
	struct gnttab_unmap_grant_ref *kunmap;
	struct gnttab_map_grant_ref *umap;
	struct page **pages;
	u32 *slots;			/* what the helpers below work on */
	u32 *order;			/* slots[i] is asked for by maps[order[i]] */
	/* pte_lock */
	struct gnttab_unmap_grant_ref *uunmap;
	u32 *uslots;
};

struct xentap_arena {
	struct kref refs;		/* the file; the drain worker */

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
	bool notifier_active;

	/* pte_lock: user mappings, and base and mm below */
	struct mutex pte_lock;
	struct mm_struct *mm;		/* never dereferenced but by its owner; NULL: not mapped yet */
	unsigned long base;		/* user address of slot 0 */
	u32 nr_vmas;			/* of mm; 2 while an mremap() is refused */
	u32 nr_ptes;			/* slots with a user mapping */
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

/* main.c: parameters */
extern unsigned int xentap_max_grants;
extern unsigned int xentap_max_grants_domid;
extern unsigned int xentap_max_slots;

/* arena.c */
struct xentap_arena *xentap_arena_new(void);
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
/* For scratch.slots[0..nr), status in scratch.umap[]; both locks held. */
void xentap_grant_map_user(struct xentap_arena *arena, u32 nr);
/* For scratch.uslots[0..nr); caller holds pte_lock. */
void xentap_grant_unmap_user(struct xentap_arena *arena, u32 nr);

/* vma.c */
int xentap_vma_mmap(struct xentap_arena *arena, struct vm_area_struct *vma);
int xentap_vma_activate(struct xentap_arena *arena);
/*
 * Make user mappings for scratch.slots[0..nr), which have kernel mappings;
 * status in scratch.umap[]. Caller holds batch_lock. 0, or -ESHUTDOWN, -ENOMEM
 * when none was made.
 */
int xentap_vma_map(struct xentap_arena *arena, u32 nr);
/*
 * Drop the user mappings of scratch.slots[0..nr), which are no longer LIVE,
 * and wait until no get_user_pages() can be about to take one of their pages.
 */
void xentap_vma_unmap(struct xentap_arena *arena, u32 nr);

/* index.c: machine frame -> slots, all arenas; any context */
int xentap_index_init(unsigned int entries);
void xentap_index_uninit(void);
void xentap_index_add(struct xentap_slot *slot);
void xentap_index_del(struct xentap_slot *slot);
/* Copy at most @nr records; returns how many there are. */
u32 xentap_index_find(u64 mfn, struct xentap_mfn_grant *grants, u32 nr);

/* query.c; caller holds batch_lock */
void xentap_query_addr(struct xentap_arena *arena,
		       struct xentap_query_addr *entry, bool show_mfn);

/* quota.c */
int xentap_quota_init(void);
void xentap_quota_uninit(void);
int xentap_quota_take(domid_t domid);
void xentap_quota_give(domid_t domid);

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
	XENTAP_NR_STATS,
};

void xentap_stat_add(enum xentap_stat stat, long n);
void xentap_stats_init(void);
void xentap_stats_uninit(void);

/* chardev.c */
int xentap_chardev_init(void);
void xentap_chardev_uninit(void);

#endif /* XENTAP_INTERNAL_H */
