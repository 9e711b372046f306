// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool: pages of this domain's own that user space has mapped, and copies
 * between them and grants, which Xen does for a whole list at once. For small
 * requests that is cheaper than to map their grants.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/xen/hypercall.h>
#include <xen/page.h>

#include "internal.h"
#include "compat/compat.h"

#define POOL_ORDER	5u		/* 128 KiB: what a request that is copied may need */

struct xentap_pool {
	u32 nr_pages;
	struct page **pages;

	/* lock: one list at a time; the members below */
	struct mutex lock;
	struct xentap_copy *entries;
	struct gnttab_copy *ops;
	u32 *order;			/* ops[i] is asked for by entries[order[i]] */
};

void xentap_pool_free(struct xentap_pool *pool)
{
	u32 i, n;

	if (!pool)
		return;
	/* I/O may still hold some. */
	for (i = 0; i < pool->nr_pages && pool->pages[i]; i += n) {
		n = compound_nr(pool->pages[i]);
		put_page(pool->pages[i]);
	}
	xentap_stat_add(XENTAP_STAT_POOL_PAGES, -(long)i);
	kvfree(pool->pages);
	kvfree(pool->entries);
	kvfree(pool->ops);
	kvfree(pool->order);
	mutex_destroy(&pool->lock);
	kfree(pool);
}

/* 1 << *@order pages, or a smaller power of two if there are not as many in a row. */
static struct page *alloc_row(unsigned int *order)
{
	for (;; --*order) {
		gfp_t gfp = XENTAP_COMPAT_GFP_MAPPED | __GFP_ZERO;
		struct page *page;

		if (*order)
			gfp |= __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
		page = alloc_pages(gfp, *order);
		if (page || !*order)
			return page;
	}
}

/*
 * In large pages, for the sake of direct I/O: get_user_pages_fast() takes a single
 * page that belongs to no file for a secret one, perhaps, and goes the slow way
 * (gup_fast_folio_allowed(), Linux 6.12); and what is in one large page is one piece
 * for a bio.
 */
static int alloc_pages_of(struct xentap_pool *pool, u32 nr_pages)
{
	unsigned int order = POOL_ORDER;
	u32 i, j;

	pool->pages = kvcalloc(nr_pages, sizeof(*pool->pages), GFP_KERNEL_ACCOUNT);
	if (!pool->pages)
		return -ENOMEM;
	pool->nr_pages = nr_pages;
	for (i = 0; i < nr_pages; i += 1u << order) {
		struct page *row;

		order = min_t(unsigned int, order, ilog2(nr_pages - i));
		row = alloc_row(&order);
		if (!row)
			return -ENOMEM;
		for (j = 0; j < 1u << order; j++)
			pool->pages[i + j] = row + j;
		xentap_stat_add(XENTAP_STAT_POOL_PAGES, 1l << order);
		if (fatal_signal_pending(current))
			return -ENOMEM;
	}
	return 0;
}

struct xentap_pool *xentap_pool_new(u32 nr_pages)
{
	struct xentap_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return NULL;
	mutex_init(&pool->lock);
	pool->entries = kvcalloc(XENTAP_BATCH_MAX, sizeof(*pool->entries),
				 GFP_KERNEL_ACCOUNT);
	pool->ops = kvcalloc(XENTAP_BATCH_MAX, sizeof(*pool->ops),
			     GFP_KERNEL_ACCOUNT);
	pool->order = kvcalloc(XENTAP_BATCH_MAX, sizeof(*pool->order),
			       GFP_KERNEL_ACCOUNT);
	if (!pool->entries || !pool->ops || !pool->order ||
	    alloc_pages_of(pool, nr_pages)) {
		xentap_pool_free(pool);
		return NULL;
	}
	return pool;
}

static vm_fault_t pool_fault(struct vm_fault *vmf)
{
	const struct xentap_pool *pool = vmf->vma->vm_private_data;
	unsigned long nr = vmf->pgoff - XENTAP_POOL_PGOFF;

	if (nr >= pool->nr_pages)
		return VM_FAULT_SIGBUS;
	nr = array_index_nospec(nr, pool->nr_pages);
	get_page(pool->pages[nr]);
	vmf->page = pool->pages[nr];
	return 0;
}

static const struct vm_operations_struct pool_vm_ops = {
	.fault = pool_fault,
};

/* The VMA holds the file and the file the pool. */
int xentap_pool_mmap(struct xentap_pool *pool, struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_pgoff - XENTAP_POOL_PGOFF;

	if (!(vma->vm_flags & VM_SHARED) || first >= pool->nr_pages ||
	    vma_pages(vma) > pool->nr_pages - first)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	xentap_compat_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	xentap_compat_vm_flags_clear(vma, VM_MAYEXEC);
	vma->vm_private_data = pool;
	vma->vm_ops = &pool_vm_ops;
	return 0;
}

static int copy_check(const struct xentap_pool *pool,
		      const struct xentap_copy *copy, int domid)
{
	if (copy->page >= pool->nr_pages || !copy->len ||
	    copy->page_offset + copy->len > XENTAP_SLOT_BYTES ||
	    copy->gref_offset + copy->len > XENTAP_SLOT_BYTES ||
	    copy->flags & ~XENTAP_COPY_F_TO_GUEST)
		return -EINVAL;
	if (domid != XENTAP_NO_DOMID && copy->domid != domid)
		return -EPERM;
	return copy->domid < DOMID_FIRST_RESERVED ? 0 : -ESRCH;
}

static void copy_prepare(const struct xentap_pool *pool,
			 const struct xentap_copy *copy, struct gnttab_copy *op)
{
	bool to_guest = copy->flags & XENTAP_COPY_F_TO_GUEST;
	u32 page = array_index_nospec(copy->page, pool->nr_pages);
	typeof(op->source) own = {
		.u.gmfn = xen_page_to_gfn(pool->pages[page]),
		.domid = DOMID_SELF,
		.offset = copy->page_offset,
	};
	typeof(op->source) guest = {
		.u.ref = copy->gref,
		.domid = copy->domid,
		.offset = copy->gref_offset,
	};

	*op = (struct gnttab_copy){
		.len = copy->len,
		.flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref,
		/* Should the call as a whole fail, no entry has succeeded. */
		.status = GNTST_general_error,
	};
	op->source = to_guest ? own : guest;
	op->dest = to_guest ? guest : own;
}

/* The list is in pool->entries; statuses are left there. */
static void copy_all(struct xentap_pool *pool, u32 nr, int domid)
{
	u32 n = 0;
	u32 i;

	for (i = 0; i < nr; i++) {
		struct xentap_copy *copy = &pool->entries[i];

		copy->status = copy_check(pool, copy, domid);
		if (copy->status)
			continue;
		copy_prepare(pool, copy, &pool->ops[n]);
		pool->order[n++] = i;
	}
	if (!n)
		return;
	if (HYPERVISOR_grant_table_op(GNTTABOP_copy, pool->ops, n))
		pr_err_ratelimited("copying %u pieces failed as a whole\n", n);
	xentap_stat_add(XENTAP_STAT_HYPERCALLS, 1);
	xentap_stat_add(XENTAP_STAT_COPY_BATCHES, 1);
	xentap_stat_add(XENTAP_STAT_COPIES, n);
	for (i = 0; i < n; i++)
		pool->entries[pool->order[i]].status =
			xentap_grant_errno(pool->ops[i].status);
}

int xentap_pool_copy(struct xentap_pool *pool, struct xentap_copy __user *entries,
		     u32 nr, int domid)
{
	size_t bytes = nr * sizeof(*entries);
	int err;

	err = mutex_lock_killable(&pool->lock);
	if (err)
		return err;
	if (copy_from_user(pool->entries, entries, bytes)) {
		err = -EFAULT;
	} else {
		copy_all(pool, nr, domid);
		if (copy_to_user(entries, pool->entries, bytes))
			err = -EFAULT;
	}
	mutex_unlock(&pool->lock);
	return err;
}
