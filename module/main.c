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
MODULE_PARM_DESC(max_slots, "Slots of one arena (default 131072)");

static int __init xentap_init(void)
{
	int err;

	if (!xen_domain()) {
		pr_err("this machine does not run under Xen\n");
		return -ENODEV;
	}
	if (!xen_pv_domain()) {
		pr_err("only a paravirtualized (PV) dom0 is supported, not PVH or HVM\n");
		return -ENODEV;
	}

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
