// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine frame -> slots: a fixed hash whose nodes are part of the slots, so
 * that nothing is allocated when a grant is mapped and nothing can fail.
 * Multi-valued: a frame may be granted twice, or one grant mapped twice.
 * Striped locks; any context.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>

#include "internal.h"

#define STRIPES_MAX	256u

static struct hlist_head *buckets;
static unsigned int bucket_bits;
static spinlock_t stripes[STRIPES_MAX];

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

u32 xentap_index_find(u64 mfn, struct xentap_mfn_grant *grants, u32 nr)
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
			grants[found] = (struct xentap_mfn_grant){
				.domid = slot->domid,
				.gref = slot->gref,
				.handle = slot->khandle,
				.flags = slot->rdonly ? XENTAP_GRANT_F_RDONLY : 0,
			};
		found++;
	}
	spin_unlock_irqrestore(stripe, flags);
	return found;
}
