// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters in debugfs: <debugfs>/xentap/counters, one "name value" a line.
 */
#include <linux/debugfs.h>
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

/* debugfs reports its own errors and takes them in later calls. */
void xentap_stats_init(void)
{
	stats_dir = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("counters", 0400, stats_dir, NULL, &counters_fops);
}

void xentap_stats_uninit(void)
{
	debugfs_remove(stats_dir);
}
