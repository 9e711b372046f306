// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many grants are mapped, in total and for each domain, and the limits.
 * Lock-free; any context.
 */
#include <linux/mm.h>
#include <xen/interface/xen.h>

#include "internal.h"

static atomic_t total;
/* One counter for each possible domain: 128 KiB, and no look-up to get wrong. */
static atomic_t *of_domid;

int xentap_quota_init(void)
{
	of_domid = kvcalloc(DOMID_FIRST_RESERVED, sizeof(*of_domid), GFP_KERNEL);
	return of_domid ? 0 : -ENOMEM;
}

void xentap_quota_uninit(void)
{
	kvfree(of_domid);
	of_domid = NULL;
}

static bool take_below(atomic_t *counter, unsigned int limit)
{
	return atomic_add_unless(counter, 1, limit);
}

/* 0, -EDQUOT at a limit, or -ESRCH when no domain can have this number. */
int xentap_quota_take(domid_t domid)
{
	if (domid >= DOMID_FIRST_RESERVED)
		return -ESRCH;
	if (!take_below(&total, xentap_max_grants))
		return -EDQUOT;
	if (!take_below(&of_domid[domid], xentap_max_grants_domid)) {
		atomic_dec(&total);
		return -EDQUOT;
	}
	return 0;
}

u32 xentap_quota_used(domid_t domid)
{
	return atomic_read(&of_domid[domid]);
}

void xentap_quota_give(domid_t domid)
{
	atomic_dec(&of_domid[domid]);
	atomic_dec(&total);
}
