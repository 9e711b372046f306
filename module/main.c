// SPDX-License-Identifier: GPL-2.0-only
/*
 * xentap: guest grants in user-space arenas, with the index from machine
 * frames and addresses back to grants. This file: parameters, load, unload.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <xen/xen.h>

#include "internal.h"
#include "compat/compat.h"

/*
 * Xen gives a domain 262144 handles by default (gnttab_max_maptrack_frames)
 * and a grant takes two in a paravirtualized dom0: half of that is left for
 * the network and other backends.
 */
unsigned int xentap_max_grants = 65536;
module_param_named(max_grants, xentap_max_grants, uint, 0444);
MODULE_PARM_DESC(max_grants, "Grants mapped at one time, all arenas together (default 65536)");

unsigned int xentap_max_grants_domid = 32768;
module_param_named(max_grants_domid, xentap_max_grants_domid, uint, 0444);
MODULE_PARM_DESC(max_grants_domid, "Grants mapped at one time, of one domain (default 32768)");

unsigned int xentap_max_slots = 131072;
module_param_named(max_slots, xentap_max_slots, uint, 0444);
MODULE_PARM_DESC(max_slots, "Slots of one arena (default 131072, at most 1048576)");

unsigned int xentap_max_pool_pages = 16384;
module_param_named(max_pool_pages, xentap_max_pool_pages, uint, 0444);
MODULE_PARM_DESC(max_pool_pages, "Pages of one file's pool for copies (default 16384)");

const struct xentap_mmu *xentap_mmu;

/* A PV kernel without the page look-up has no way to do I/O on granted pages. */
static void choose_mmu(void)
{
	if (!xen_pv_domain())
		xentap_mmu = &xentap_mmu_auto;
#ifdef XENTAP_PV_USER_MAP
	else
		xentap_mmu = &xentap_mmu_pv;
#endif
	if (!xentap_mmu)
		pr_warn("this kernel cannot do I/O on granted pages of a PV domain: grants are copied, not mapped\n");
}

static int __init xentap_init(void)
{
	int err;

	if (!xen_domain()) {
		pr_err("this machine does not run under Xen\n");
		return -ENODEV;
	}
	/* Another page size would need several grants for a slot. */
	BUILD_BUG_ON(PAGE_SIZE != XENTAP_SLOT_BYTES);
	/* Offsets of arenas in the device. */
	BUILD_BUG_ON(BITS_PER_LONG != 64);
	xentap_max_slots = min(xentap_max_slots, XENTAP_SLOTS_MAX);
	choose_mmu();

	err = xentap_index_init(xentap_max_grants);
	if (err)
		return err;
	err = xentap_quota_init();
	if (err)
		goto err_index;
	err = xentap_drain_init();
	if (err)
		goto err_quota;
	xentap_stats_init();
	err = xentap_chardev_init();
	if (err)
		goto err_stats;
	return 0;

err_stats:
	xentap_stats_uninit();
	xentap_drain_uninit();
err_quota:
	xentap_quota_uninit();
err_index:
	xentap_index_uninit();
	return err;
}

static void __exit xentap_exit(void)
{
	xentap_chardev_uninit();
	/* Waits for the last work of arenas whose files are gone. */
	xentap_drain_uninit();
	xentap_stats_uninit();
	/* Arenas are freed by RCU. */
	rcu_barrier();
	xentap_quota_uninit();
	xentap_index_uninit();
}

module_init(xentap_init);
module_exit(xentap_exit);

MODULE_DESCRIPTION("Xen guest grants in user-space arenas");
MODULE_LICENSE("GPL");
MODULE_VERSION(XENTAP_VERSION);
/* dom0's bus announces a disk of kind vbd3 with this name. */
MODULE_ALIAS("xen-backend:vbd3");
