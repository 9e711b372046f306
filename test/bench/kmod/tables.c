// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine frame -> entry by four tables, with frames that are made up. The
 * hash is built as the module's index (module/index.c): nodes inside the
 * entries, a number of buckets that is fixed when the module is loaded, locks
 * shared by many buckets.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>
#include <asm/tsc.h>

#include "bench.h"

#define ENTRIES_MAX	131072u
#define BUCKET_BITS	17
#define STRIPES		256u
#define MFN_BITS	28	/* 1 TiB */
#define DENSE_FIRST	0x123400ul

struct entry {
	union {
		struct hlist_node hash;
		struct rb_node rb;
		struct rhlist_head rhash;
	};
	u64 mfn;
};

struct table {
	int (*init)(u32 nr);
	void (*exit)(void);
	int (*insert)(struct entry *entry);
	void (*remove)(struct entry *entry);
	struct entry *(*find)(u64 mfn);
	u64 (*bytes)(const struct entry *entries, u32 nr);
	u32 (*steps)(const struct entry *entry);
};

/* ---- hash ---- */

static struct hlist_head *buckets;
static spinlock_t stripes[STRIPES];

static int hash_init_table(u32 nr)
{
	u32 i;

	for (i = 0; i < STRIPES; i++)
		spin_lock_init(&stripes[i]);
	buckets = kvcalloc(1u << BUCKET_BITS, sizeof(*buckets), GFP_KERNEL);
	return buckets ? 0 : -ENOMEM;
}

static void hash_exit(void)
{
	kvfree(buckets);
}

static int hash_insert(struct entry *entry)
{
	u32 bucket = hash_64(entry->mfn, BUCKET_BITS);
	unsigned long flags;

	spin_lock_irqsave(&stripes[bucket % STRIPES], flags);
	hlist_add_head(&entry->hash, &buckets[bucket]);
	spin_unlock_irqrestore(&stripes[bucket % STRIPES], flags);
	return 0;
}

static void hash_remove(struct entry *entry)
{
	u32 bucket = hash_64(entry->mfn, BUCKET_BITS);
	unsigned long flags;

	spin_lock_irqsave(&stripes[bucket % STRIPES], flags);
	hlist_del_init(&entry->hash);
	spin_unlock_irqrestore(&stripes[bucket % STRIPES], flags);
}

static struct entry *hash_find(u64 mfn)
{
	u32 bucket = hash_64(mfn, BUCKET_BITS);
	struct entry *entry;
	unsigned long flags;

	spin_lock_irqsave(&stripes[bucket % STRIPES], flags);
	hlist_for_each_entry(entry, &buckets[bucket], hash)
		if (entry->mfn == mfn)
			break;
	spin_unlock_irqrestore(&stripes[bucket % STRIPES], flags);
	return entry;
}

static u64 hash_bytes(const struct entry *entries, u32 nr)
{
	return (sizeof(*buckets) << BUCKET_BITS) + nr * sizeof(struct hlist_node);
}

/* The bucket, and the entries up to the one that is looked for. */
static u32 hash_steps(const struct entry *entry)
{
	struct entry *other;
	u32 steps = 1;

	hlist_for_each_entry(other, &buckets[hash_64(entry->mfn, BUCKET_BITS)], hash) {
		steps++;
		if (other == entry)
			break;
	}
	return steps;
}

/* ---- rbtree ---- */

static struct rb_root root;
static DEFINE_SPINLOCK(tree_lock);

static int tree_init(u32 nr)
{
	root = RB_ROOT;
	return 0;
}

static void tree_exit(void)
{
}

static bool tree_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct entry, rb)->mfn <
	       rb_entry(b, struct entry, rb)->mfn;
}

static int tree_compare(const void *key, const struct rb_node *node)
{
	u64 mfn = *(const u64 *)key;
	u64 other = rb_entry(node, struct entry, rb)->mfn;

	return mfn < other ? -1 : mfn > other;
}

static int tree_insert(struct entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&tree_lock, flags);
	rb_add(&entry->rb, &root, tree_less);
	spin_unlock_irqrestore(&tree_lock, flags);
	return 0;
}

static void tree_remove(struct entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&tree_lock, flags);
	rb_erase(&entry->rb, &root);
	spin_unlock_irqrestore(&tree_lock, flags);
}

static struct entry *tree_find(u64 mfn)
{
	struct rb_node *node;
	unsigned long flags;

	spin_lock_irqsave(&tree_lock, flags);
	node = rb_find(&mfn, &root, tree_compare);
	spin_unlock_irqrestore(&tree_lock, flags);
	return rb_entry_safe(node, struct entry, rb);
}

static u64 tree_bytes(const struct entry *entries, u32 nr)
{
	return nr * sizeof(struct rb_node);
}

static u32 tree_steps(const struct entry *entry)
{
	const struct rb_node *node = &entry->rb;
	u32 steps = 0;

	for (; node; node = rb_parent(node))
		steps++;
	return steps;
}

/* ---- xarray ---- */

static DEFINE_XARRAY_FLAGS(array, XA_FLAGS_LOCK_IRQ);

static int array_init(u32 nr)
{
	return 0;
}

static void array_exit(void)
{
	xa_destroy(&array);
}

static int array_insert(struct entry *entry)
{
	return xa_err(xa_store_irq(&array, entry->mfn, entry, GFP_KERNEL));
}

static void array_remove(struct entry *entry)
{
	xa_erase_irq(&array, entry->mfn);
}

static struct entry *array_find(u64 mfn)
{
	return xa_load(&array, mfn);
}

static u32 array_levels(u64 highest)
{
	u32 levels = 0;

	while (highest >> (levels * XA_CHUNK_SHIFT))
		levels++;
	return levels;
}

/* Frames ascend: a node more wherever the number above changes. */
static u64 array_bytes(const struct entry *entries, u32 nr)
{
	u32 levels = array_levels(entries[nr - 1].mfn);
	u64 nodes = levels;
	u32 level;
	u32 i;

	for (level = 1; level <= levels; level++)
		for (i = 1; i < nr; i++)
			nodes += entries[i].mfn >> (level * XA_CHUNK_SHIFT) !=
				 entries[i - 1].mfn >> (level * XA_CHUNK_SHIFT);
	return nodes * sizeof(struct xa_node);
}

/* All entries are equally deep. */
static u32 array_steps(const struct entry *entry)
{
	void *head = rcu_dereference_raw(array.xa_head);

	return xa_is_node(head) ? xa_to_node(head)->shift / XA_CHUNK_SHIFT + 1 : 0;
}

/* ---- rhashtable: the kind whose keys may occur more than once ---- */

static struct rhltable rhash;

static const struct rhashtable_params rhash_params = {
	.key_len = sizeof(u64),
	.key_offset = offsetof(struct entry, mfn),
	.head_offset = offsetof(struct entry, rhash),
	.automatic_shrinking = true,
};

static int rhash_init(u32 nr)
{
	return rhltable_init(&rhash, &rhash_params);
}

static void rhash_exit(void)
{
	rhltable_destroy(&rhash);
}

static int rhash_insert(struct entry *entry)
{
	return rhltable_insert(&rhash, &entry->rhash, rhash_params);
}

static void rhash_remove(struct entry *entry)
{
	rhltable_remove(&rhash, &entry->rhash, rhash_params);
}

static struct entry *rhash_find(u64 mfn)
{
	struct rhlist_head *list;

	rcu_read_lock();
	list = rhltable_lookup(&rhash, &mfn, rhash_params);
	rcu_read_unlock();
	return list ? container_of(list, struct entry, rhash) : NULL;
}

/* It grows by itself, some time after the insertions. */
static u64 rhash_bytes(const struct entry *entries, u32 nr)
{
	u64 bytes;

	flush_work(&rhash.ht.run_work);
	rcu_read_lock();
	bytes = rht_dereference_rcu(rhash.ht.tbl, &rhash.ht)->size * sizeof(void *);
	rcu_read_unlock();
	return bytes + nr * sizeof(struct rhlist_head);
}

/* ---- measuring ---- */

static const struct table tables[BENCH_NR_TABLES] = {
	[BENCH_HASH] = { hash_init_table, hash_exit, hash_insert, hash_remove,
			 hash_find, hash_bytes, hash_steps },
	[BENCH_RBTREE] = { tree_init, tree_exit, tree_insert, tree_remove,
			   tree_find, tree_bytes, tree_steps },
	[BENCH_XARRAY] = { array_init, array_exit, array_insert, array_remove,
			   array_find, array_bytes, array_steps },
	[BENCH_RHASHTABLE] = { rhash_init, rhash_exit, rhash_insert,
			       rhash_remove, rhash_find, rhash_bytes, NULL },
};

/* Entry 0, 1, 2 ... of a set that ascends and has each frame once. */
static u64 frame_of(u32 i, u32 nr, bool sparse)
{
	u64 gap = (1ull << MFN_BITS) / nr;

	/* Anywhere in its part of the range; the same in every run. */
	return sparse ? i * gap + hash_32(i + 1, 32) % gap : DENSE_FIRST + i;
}

/*
 * Two orders that jump around and have nothing to do with each other; the
 * multipliers are primes, so that all entries are met.
 */
static u32 sample_of(u32 i, u32 nr)
{
	return (u32)((i + 1) * 2654435761ull % nr);
}

static u32 fill_order(u32 i, u32 nr)
{
	return (u32)((nr - i) * 40507ull % nr);
}

static int fill(const struct table *table, struct entry *entries, u32 nr)
{
	u32 i;
	int err;

	for (i = 0; i < nr; i++) {
		err = table->insert(&entries[fill_order(i, nr)]);
		if (err)
			return err;
		if (need_resched())
			cond_resched();
	}
	return 0;
}

static int measure(const struct table *table, struct entry *entries,
		   struct bench_tables *out)
{
	u32 nr = out->entries;
	u64 missing = 0;
	u64 begin;
	u32 i;
	int err = 0;

	begin = rdtsc_ordered();
	for (i = 0; i < out->samples; i++)
		missing += !READ_ONCE(entries[sample_of(i, nr)].mfn);
	out->empty = rdtsc_ordered() - begin;

	begin = rdtsc_ordered();
	for (i = 0; i < out->samples; i++) {
		struct entry *entry = &entries[sample_of(i, nr)];

		missing += table->find(entry->mfn) != entry;
	}
	out->find = rdtsc_ordered() - begin;

	begin = rdtsc_ordered();
	for (i = 0; i < out->samples; i++) {
		struct entry *entry = &entries[sample_of(i, nr)];

		table->remove(entry);
		err = err ?: table->insert(entry);
	}
	out->change = rdtsc_ordered() - begin;

	for (i = 0; i < out->samples; i++)
		missing += table->find(entries[sample_of(i, nr)].mfn) == NULL;
	return err ?: missing ? -EIO : 0;
}

static int run(const struct table *table, struct entry *entries,
	       struct bench_tables *out)
{
	u32 i;
	int err;

	for (i = 0; i < out->entries; i++)
		entries[i].mfn = frame_of(i, out->entries, out->sparse);
	err = fill(table, entries, out->entries);
	if (err)
		return err;
	out->bytes = table->bytes(entries, out->entries);
	out->steps = 0;
	for (i = 0; table->steps && i < out->samples; i++)
		out->steps += table->steps(&entries[sample_of(i, out->entries)]);
	return measure(table, entries, out);
}

int bench_tables(struct bench_tables *out)
{
	const struct table *table;
	struct entry *entries;
	int err;

	if (out->table >= BENCH_NR_TABLES || !out->entries ||
	    out->entries > ENTRIES_MAX || !out->samples || out->sparse > 1)
		return -EINVAL;
	table = &tables[out->table];
	entries = kvcalloc(out->entries, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	err = table->init(out->entries);
	if (!err) {
		err = run(table, entries, out);
		table->exit();
	}
	kvfree(entries);
	return err;
}
