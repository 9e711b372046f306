// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine frame -> slots: a fixed hash whose nodes are part of the slots, so
 * that nothing is allocated when a grant is mapped and nothing can fail.
 * Multi-valued: a frame may be granted twice, or one grant mapped twice.
 * Striped locks; any context.
 *
 * Page -> slot: an xarray by page frame number, filled when an arena is made,
 * since an arena's pages are neighbours and stay its own. A slot found there
 * counts only if it is LIVE.
 *
 * Both are the kernel API, too (include/linux/xentap.h).
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/xarray.h>
#include <xen/page.h>
#include <xen/xen.h>

#include "internal.h"

#define STRIPES_MAX	256u

static struct hlist_head *buckets;
static unsigned int bucket_bits;
static spinlock_t stripes[STRIPES_MAX];

static DEFINE_XARRAY(slot_of_pfn);

static unsigned int bucket_of(u64 mfn)
{
	return hash_64(mfn, bucket_bits);
}

static spinlock_t *stripe_of(unsigned int bucket)
{
	return &stripes[bucket % STRIPES_MAX];
}

int xentap_index_init(unsigned int entries)
{
	unsigned int i;

	bucket_bits = ilog2(roundup_pow_of_two(clamp(entries, 256u, 1u << 20)));
	buckets = kvcalloc(1u << bucket_bits, sizeof(*buckets), GFP_KERNEL);
	if (!buckets)
		return -ENOMEM;
	for (i = 0; i < STRIPES_MAX; i++)
		spin_lock_init(&stripes[i]);
	return 0;
}

void xentap_index_uninit(void)
{
	kvfree(buckets);
	buckets = NULL;
}

void xentap_index_add(struct xentap_slot *slot)
{
	unsigned int bucket = bucket_of(slot->mfn);
	spinlock_t *stripe = stripe_of(bucket);
	unsigned long flags;

	spin_lock_irqsave(stripe, flags);
	hlist_add_head(&slot->node, &buckets[bucket]);
	spin_unlock_irqrestore(stripe, flags);
}

void xentap_index_del(struct xentap_slot *slot)
{
	spinlock_t *stripe = stripe_of(bucket_of(slot->mfn));
	unsigned long flags;

	spin_lock_irqsave(stripe, flags);
	hlist_del_init(&slot->node);
	spin_unlock_irqrestore(stripe, flags);
}

void xentap_index_del_pages(struct xentap_slot *slots, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		xa_erase(&slot_of_pfn, page_to_pfn(slots[i].page));
		if (i % 1024 == 0)
			cond_resched();
	}
}

int xentap_index_add_pages(struct xentap_slot *slots, u32 nr)
{
	u32 i;
	int err;

	for (i = 0; i < nr; i++) {
		err = xa_err(xa_store(&slot_of_pfn, page_to_pfn(slots[i].page),
				      &slots[i], GFP_KERNEL));
		if (err) {
			xentap_index_del_pages(slots, i);
			/* Nobody looks at the slots any more. */
			synchronize_rcu();
			return err;
		}
		if (i % 1024 == 0)
			cond_resched();
	}
	return 0;
}

static void describe(const struct xentap_slot *slot, struct xentap_grant *grant)
{
	*grant = (struct xentap_grant){
		.mfn = slot->mfn,
		.page = slot->page,
		.gref = slot->gref,
		.handle = slot->khandle,
		.domid = slot->domid,
		.rdonly = slot->rdonly,
	};
}

u32 xentap_index_find(u64 mfn, struct xentap_grant *grants, u32 nr)
{
	unsigned int bucket = bucket_of(mfn);
	spinlock_t *stripe = stripe_of(bucket);
	struct xentap_slot *slot;
	unsigned long flags;
	u32 found = 0;

	spin_lock_irqsave(stripe, flags);
	hlist_for_each_entry(slot, &buckets[bucket], node) {
		if (slot->mfn != mfn)
			continue;
		if (found < nr)
			describe(slot, &grants[found]);
		/* A guest may grant a frame as often as max_grants_domid lets it. */
		if (++found == XENTAP_BATCH_MAX)
			break;
	}
	spin_unlock_irqrestore(stripe, flags);
	return found;
}

unsigned int xentap_mfn_grants(u64 mfn, struct xentap_grant *grants,
			       unsigned int nr)
{
	return xentap_index_find(mfn, grants, nr);
}
EXPORT_SYMBOL_GPL(xentap_mfn_grants);

int xentap_mfn_get(u64 mfn, struct xentap_grant *grant)
{
	unsigned int bucket = bucket_of(mfn);
	spinlock_t *stripe = stripe_of(bucket);
	struct xentap_slot *slot;
	unsigned long flags;
	int err = -ENOENT;

	spin_lock_irqsave(stripe, flags);
	hlist_for_each_entry(slot, &buckets[bucket], node) {
		if (slot->mfn != mfn)
			continue;
		describe(slot, grant);
		get_page(slot->page);
		err = 0;
		break;
	}
	spin_unlock_irqrestore(stripe, flags);
	return err;
}
EXPORT_SYMBOL_GPL(xentap_mfn_get);

static int find_page(struct page *page, struct xentap_grant *grant, bool hold)
{
	struct xentap_slot *slot;
	spinlock_t *stripe;
	unsigned long flags;
	int err = -ENOENT;
	u64 mfn;

	rcu_read_lock();
	slot = xa_load(&slot_of_pfn, page_to_pfn(page));
	if (!slot) {
		rcu_read_unlock();
		return -ENOENT;
	}
	mfn = READ_ONCE(slot->mfn);
	stripe = stripe_of(bucket_of(mfn));
	spin_lock_irqsave(stripe, flags);
	/*
	 * LIVE with this frame: the lock taken is the one it is indexed under.
	 * Pairs with the release in map_publish().
	 */
	if (smp_load_acquire(&slot->state) == XENTAP_SLOT_LIVE &&
	    READ_ONCE(slot->mfn) == mfn) {
		describe(slot, grant);
		if (hold)
			get_page(slot->page);
		err = 0;
	}
	spin_unlock_irqrestore(stripe, flags);
	rcu_read_unlock();
	return err;
}

int xentap_page_grant(struct page *page, struct xentap_grant *grant)
{
	return find_page(page, grant, false);
}
EXPORT_SYMBOL_GPL(xentap_page_grant);

int xentap_page_get(struct page *page, struct xentap_grant *grant)
{
	return find_page(page, grant, true);
}
EXPORT_SYMBOL_GPL(xentap_page_get);

void xentap_grant_put(const struct xentap_grant *grant)
{
	put_page(grant->page);
}
EXPORT_SYMBOL_GPL(xentap_grant_put);

/* References are kept by the first page of a compound one. */
static struct page *hold_own_page(struct page *page, unsigned long pfn, u64 mfn)
{
	struct page *head = compound_head(page);

	if (!get_page_unless_zero(head))
		return NULL;
	/* It may have been split, or got another frame, meanwhile. */
	if (compound_head(page) == head && bfn_to_local_pfn(mfn) == pfn)
		return page;
	put_page(head);
	return NULL;
}

struct page *xentap_mfn_to_page(u64 mfn)
{
	struct xentap_grant grant;
	unsigned long pfn;

	if (!xentap_mfn_get(mfn, &grant))
		return grant.page;
	/* Elsewhere a domain does not know its own machine frames. */
	if (!xen_pv_domain())
		return NULL;
	pfn = bfn_to_local_pfn(mfn);
	if (!pfn_valid(pfn))
		return NULL;
	return hold_own_page(pfn_to_page(pfn), pfn, mfn);
}
EXPORT_SYMBOL_GPL(xentap_mfn_to_page);
