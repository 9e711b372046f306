/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Xen's interface, from its own headers, and what Linux puts around it. */
#ifndef KSHIM_XEN_H
#define KSHIM_XEN_H

#include <xen/xen.h>
#include <xen/grant_table.h>

#include "base.h"
#include "memory.h"

extern bool kshim_pv;
#define xen_domain()		true
#define xen_pv_domain()		kshim_pv

int HYPERVISOR_grant_table_op(unsigned int command, void *ops, unsigned int count);

int gnttab_alloc_pages(int nr, struct page **pages);
void gnttab_free_pages(int nr, struct page **pages);
int gnttab_map_refs(struct gnttab_map_grant_ref *ops, struct gnttab_map_grant_ref *user_ops,
		    struct page **pages, unsigned int count);
int gnttab_unmap_refs(struct gnttab_unmap_grant_ref *ops,
		      struct gnttab_unmap_grant_ref *user_ops, struct page **pages,
		      unsigned int count);

static inline void gnttab_set_map_op(struct gnttab_map_grant_ref *op, u64 address, u32 flags,
				     grant_ref_t gref, domid_t domid)
{
	*op = (struct gnttab_map_grant_ref){
		.host_addr = address, .flags = flags, .ref = gref, .dom = domid,
	};
}

static inline void gnttab_set_unmap_op(struct gnttab_unmap_grant_ref *op, u64 address,
				       u32 flags, grant_handle_t handle)
{
	*op = (struct gnttab_unmap_grant_ref){ .host_addr = address, .handle = handle };
}

/* Machine frames of this domain's own pages. */
#define KSHIM_OWN_MFN		0x10000000ul
#define xen_page_to_gfn(page)	(KSHIM_OWN_MFN + page_to_pfn(page))
#define bfn_to_local_pfn(mfn) \
	((mfn) - KSHIM_OWN_MFN < KSHIM_PAGES ? (mfn) - KSHIM_OWN_MFN : ~0ul)

#endif
