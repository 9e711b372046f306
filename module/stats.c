// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is to be seen in <debugfs>/xentap: files of lines, fields separated by
 * one space, for people and for scripts.
 *
 *	counters	NAME VALUE
 *	batch_sizes	SMALLEST LARGEST BATCHES	maps and unmaps in one call
 *	domains		DOMID GRANTS			mapped, draining or lost
 *	arenas		a line for each, with names; see the first line
 */
#include <linux/debugfs.h>
#include <linux/log2.h>
#include <linux/seq_file.h>

#include "internal.h"

static atomic_long_t stats[XENTAP_NR_STATS];
static struct dentry *stats_dir;

static const char *const stat_names[XENTAP_NR_STATS] = {
	[XENTAP_STAT_ARENAS] = "arenas",
	[XENTAP_STAT_SLOTS] = "slots",
	[XENTAP_STAT_MAPPED] = "mapped",
	[XENTAP_STAT_USER_PTES] = "user_ptes",
	[XENTAP_STAT_DRAINING] = "draining",
	[XENTAP_STAT_QUARANTINED] = "quarantined",
	[XENTAP_STAT_BATCHES] = "batches",
	[XENTAP_STAT_MAPS] = "maps",
	[XENTAP_STAT_UNMAPS] = "unmaps",
	[XENTAP_STAT_DRAINS] = "drains",
	[XENTAP_STAT_HYPERCALLS] = "hypercalls",
	[XENTAP_STAT_POOL_PAGES] = "pool_pages",
	[XENTAP_STAT_COPY_BATCHES] = "copy_batches",
	[XENTAP_STAT_COPIES] = "copies",
};

void xentap_stat_add(enum xentap_stat stat, long n)
{
	atomic_long_add(n, &stats[stat]);
}

static int counters_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < XENTAP_NR_STATS; i++)
		seq_printf(m, "%s %ld\n", stat_names[i],
			   atomic_long_read(&stats[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

/* Of batches of 2^i to 2^(i+1) - 1 maps and unmaps. */
static atomic_long_t batch_sizes[ilog2(2 * XENTAP_BATCH_MAX) + 1];

void xentap_stat_batch(u32 nr)
{
	xentap_stat_add(XENTAP_STAT_BATCHES, 1);
	if (nr)
		atomic_long_inc(&batch_sizes[ilog2(nr)]);
}

static int batch_sizes_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(batch_sizes); i++)
		seq_printf(m, "%u %u %ld\n", 1u << i, (2u << i) - 1,
			   atomic_long_read(&batch_sizes[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(batch_sizes);

static int domains_show(struct seq_file *m, void *unused)
{
	u32 domid;

	for (domid = 0; domid < DOMID_FIRST_RESERVED; domid++)
		if (xentap_quota_used(domid))
			seq_printf(m, "%u %u\n", domid, xentap_quota_used(domid));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(domains);

static LIST_HEAD(arenas);
static DEFINE_MUTEX(arenas_lock);

void xentap_stats_add_arena(struct xentap_arena *arena)
{
	mutex_lock(&arenas_lock);
	list_add_tail(&arena->list, &arenas);
	mutex_unlock(&arenas_lock);
}

void xentap_stats_del_arena(struct xentap_arena *arena)
{
	mutex_lock(&arenas_lock);
	list_del(&arena->list);
	mutex_unlock(&arenas_lock);
}

/* Numbers that change meanwhile are shown as they are. */
static int arenas_show(struct seq_file *m, void *unused)
{
	const struct xentap_arena *arena;

	seq_puts(m, "arena opener domid slots mapped draining user_ptes state\n");
	mutex_lock(&arenas_lock);
	list_for_each_entry(arena, &arenas, list)
		seq_printf(m, "%u %d %d %u %u %u %u %s\n", arena->id,
			   arena->tgid, READ_ONCE(arena->restrict_domid),
			   READ_ONCE(arena->nr_slots),
			   data_race(arena->nr_mapped),
			   data_race(arena->nr_draining),
			   data_race(arena->nr_ptes),
			   READ_ONCE(arena->dead) ? "dead" : "alive");
	mutex_unlock(&arenas_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(arenas);

/* debugfs reports its own errors and takes them in later calls. */
void xentap_stats_init(void)
{
	stats_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("counters", 0400, stats_dir, NULL, &counters_fops);
	debugfs_create_file("batch_sizes", 0400, stats_dir, NULL, &batch_sizes_fops);
	debugfs_create_file("domains", 0400, stats_dir, NULL, &domains_fops);
	debugfs_create_file("arenas", 0400, stats_dir, NULL, &arenas_fops);
}

void xentap_stats_uninit(void)
{
	debugfs_remove(stats_dir);
}
