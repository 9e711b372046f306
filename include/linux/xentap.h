/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xentap for other kernel modules: which grant stands behind a machine frame
 * or a page. All symbols are EXPORT_SYMBOL_GPL; build with
 * KBUILD_EXTRA_SYMBOLS naming the Module.symvers of xentap.ko.
 *
 * Any context but NMI, interrupts included. Without a hold, an answer may be stale as
 * soon as it is there: user space can unmap the grant at any time. With one,
 * the grant stays mapped, and its page valid, until xentap_grant_put(); the
 * guest does not get its page back before, so hold it briefly.
 */
#ifndef _LINUX_XENTAP_H
#define _LINUX_XENTAP_H

#include <linux/types.h>
#include <xen/interface/grant_table.h>
#include <xen/interface/xen.h>

struct page;

/**
 * struct xentap_grant - a grant that is mapped
 * @mfn:	machine frame number of the guest's page
 * @page:	the page of this domain that stands for it
 * @gref:	grant reference
 * @handle:	Xen's handle of the kernel mapping, which stays xentap's
 * @domid:	domain that granted it
 * @rdonly:	mapped read-only
 */
struct xentap_grant {
	u64 mfn;
	struct page *page;
	grant_ref_t gref;
	grant_handle_t handle;
	domid_t domid;
	bool rdonly;
};

/**
 * xentap_mfn_grants - all grants that stand behind a machine frame
 * @mfn:	machine frame number
 * @grants:	room for @nr answers
 * @nr:		may be 0
 *
 * A frame can be granted, and a grant be mapped, more than once. Returns how
 * many there are, which may be more than @nr; counting ends at 1024.
 */
unsigned int xentap_mfn_grants(u64 mfn, struct xentap_grant *grants,
			       unsigned int nr);

/**
 * xentap_mfn_get - one grant behind a machine frame, held
 * @mfn:	machine frame number
 * @grant:	the answer; give it back by xentap_grant_put()
 *
 * 0, or -ENOENT when the frame is mapped by no grant of ours.
 */
int xentap_mfn_get(u64 mfn, struct xentap_grant *grant);

/**
 * xentap_page_grant - the grant that a page of this domain stands for
 * @page:	any page
 * @grant:	the answer
 *
 * 0, or -ENOENT when the page is not one of ours, or stands for no grant now,
 * or for one that is being unmapped.
 */
int xentap_page_grant(struct page *page, struct xentap_grant *grant);

/* As xentap_page_grant(), held: give it back by xentap_grant_put(). */
int xentap_page_get(struct page *page, struct xentap_grant *grant);

/* End of a hold that xentap_mfn_get() or xentap_page_get() gave. */
void xentap_grant_put(const struct xentap_grant *grant);

/**
 * xentap_mfn_to_page - a page of this domain that stands for a machine frame
 * @mfn:	machine frame number
 *
 * One that a grant maps, else, in a paravirtualized domain, this domain's own
 * page by Xen's global machine-to-physical table. NULL when there is none. The
 * caller owns a reference: put_page().
 */
struct page *xentap_mfn_to_page(u64 mfn);

#endif /* _LINUX_XENTAP_H */
