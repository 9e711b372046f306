// SPDX-License-Identifier: GPL-2.0-only
/*
 * The four hypercalls: map and unmap for the kernel, map and unmap for the
 * user, each for a batch, and what Xen's statuses mean.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>
#include <asm/xen/hypercall.h>
#include <xen/page.h>

#include "internal.h"
#include "compat/compat.h"

/* GNTST_* (xen/interface/grant_table.h) as -errno; only 0 is success. */
int xentap_grant_errno(s16 status)
{
	switch (status) {
	case GNTST_okay:
		return 0;
	case GNTST_bad_domain:
		return -ESRCH;
	case GNTST_bad_gntref:
		return -ENOENT;
	case GNTST_permission_denied:
		return -EACCES;
	case GNTST_bad_page:
		return -EFAULT;
	case GNTST_no_device_space:
	case GNTST_no_space:
		return -ENOSPC;
	case GNTST_eagain:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

static unsigned long kernel_address(struct page *page)
{
	return (unsigned long)pfn_to_kaddr(page_to_pfn(page));
}

void xentap_grant_map_kernel(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 flags = GNTMAP_host_map | (arena->rdonly ? GNTMAP_readonly : 0);
	int err;
	u32 i;

	for (i = 0; i < nr; i++) {
		const struct xentap_slot *slot = &arena->slots[s->slots[i]];

		s->pages[i] = arena->pages[s->slots[i]];
		gnttab_set_map_op(&s->kmap[i], kernel_address(s->pages[i]), flags,
				  slot->gref, slot->domid);
		/* Should the call as a whole fail, no entry has succeeded. */
		s->kmap[i].status = GNTST_general_error;
	}
	/*
	 * Also enters the frames in the p2m table and marks the pages
	 * foreign, so that the linear mapping and DMA find the guest's frame.
	 */
	err = gnttab_map_refs(s->kmap, NULL, s->pages, nr);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);
	if (err)
		pr_err_ratelimited("mapping %u grants failed as a whole: %d\n", nr, err);
}

void xentap_grant_unmap_kernel(struct xentap_arena *arena, u32 nr)
{
	struct xentap_scratch *s = &arena->scratch;
	u32 flags = GNTMAP_host_map | (arena->rdonly ? GNTMAP_readonly : 0);
	int err;
	u32 i;

	for (i = 0; i < nr; i++) {
		s->pages[i] = arena->pages[s->slots[i]];
		gnttab_set_unmap_op(&s->kunmap[i], kernel_address(s->pages[i]),
				    flags, arena->slots[s->slots[i]].khandle);
		s->kunmap[i].status = GNTST_general_error;
	}
	err = gnttab_unmap_refs(s->kunmap, NULL, s->pages, nr);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);
	if (err)
		pr_err_ratelimited("unmapping %u grants failed as a whole: %d\n", nr, err);
}
