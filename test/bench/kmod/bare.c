// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypercalls that mapping a batch of grants needs at least, each measured
 * by itself: no checks, no books, no system call around them.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>
#include <xen/grant_table.h>
#include <xen/page.h>

#include "bench.h"

static struct page *pages[BENCH_PAGES_MAX];	/* where grants are mapped */
static struct page *own[BENCH_PAGES_MAX];	/* where they are copied to */
static u32 grefs[BENCH_PAGES_MAX];
static u64 entries[BENCH_PAGES_MAX];		/* machine addresses */
static struct gnttab_map_grant_ref kmap[BENCH_PAGES_MAX];
static struct gnttab_map_grant_ref umap[BENCH_PAGES_MAX];
static struct gnttab_unmap_grant_ref kunmap[BENCH_PAGES_MAX];
static struct gnttab_unmap_grant_ref uunmap[BENCH_PAGES_MAX];
static struct gnttab_copy copy[BENCH_PAGES_MAX];

#define USER_FLAGS (GNTMAP_host_map | GNTMAP_application_map | \
		    GNTMAP_contains_pte | (1 << _GNTMAP_guest_avail0))

static unsigned long kernel_address(struct page *page)
{
	return (unsigned long)pfn_to_kaddr(page_to_pfn(page));
}

static void free_own(void)
{
	u32 i;

	for (i = 0; i < BENCH_PAGES_MAX && own[i]; i++)
		__free_page(own[i]);
}

int bench_bare_init(void)
{
	u32 i;

	for (i = 0; i < BENCH_PAGES_MAX; i++) {
		own[i] = alloc_page(GFP_KERNEL);
		if (!own[i]) {
			free_own();
			return -ENOMEM;
		}
	}
	if (gnttab_alloc_pages(BENCH_PAGES_MAX, pages)) {
		free_own();
		return -ENOMEM;
	}
	return 0;
}

void bench_bare_exit(void)
{
	gnttab_free_pages(BENCH_PAGES_MAX, pages);
	free_own();
}

static int note_entry(pte_t *pte, unsigned long addr, void *data)
{
	const struct vm_area_struct *vma = data;

	entries[(addr - vma->vm_start) >> PAGE_SHIFT] =
		arbitrary_virt_to_machine(pte).maddr;
	return 0;
}

static int walk(struct bench_bare *bare, struct vm_area_struct *vma)
{
	u64 begin = rdtsc_ordered();
	int err = apply_to_page_range(vma->vm_mm, vma->vm_start,
				      (unsigned long)bare->nr << PAGE_SHIFT,
				      note_entry, vma);

	bare->walk = rdtsc_ordered() - begin;
	return err;
}

static int call(unsigned int op, void *ops, u32 nr, u64 *time)
{
	u64 begin = rdtsc_ordered();
	int err = HYPERVISOR_grant_table_op(op, ops, nr);

	*time = rdtsc_ordered() - begin;
	return err;
}

static void prepare_maps(const struct bench_bare *bare)
{
	u32 i;

	for (i = 0; i < bare->nr; i++) {
		gnttab_set_map_op(&kmap[i], kernel_address(pages[i]),
				  GNTMAP_host_map, grefs[i], bare->domid);
		gnttab_set_map_op(&umap[i], entries[i], USER_FLAGS, grefs[i],
				  bare->domid);
	}
}

static void prepare_unmaps(const struct bench_bare *bare)
{
	u32 i;

	for (i = 0; i < bare->nr; i++) {
		gnttab_set_unmap_op(&kunmap[i], kernel_address(pages[i]),
				    GNTMAP_host_map, kmap[i].handle);
		gnttab_set_unmap_op(&uunmap[i], entries[i], USER_FLAGS,
				    umap[i].handle);
	}
}

/* Each has succeeded; a failure would be measured as a cheap success. */
#define all_okay(ops, nr) ({				\
	bool okay = true;				\
	u32 n;						\
							\
	for (n = 0; n < (nr); n++)			\
		okay &= (ops)[n].status == GNTST_okay;	\
	okay;						\
})

static int two_mappings(struct bench_bare *bare)
{
	u32 nr = bare->nr;

	prepare_maps(bare);
	if (call(GNTTABOP_map_grant_ref, kmap, nr, &bare->map_kernel) ||
	    call(GNTTABOP_map_grant_ref, umap, nr, &bare->map_user) ||
	    !all_okay(kmap, nr) || !all_okay(umap, nr))
		return -EIO;
	prepare_unmaps(bare);
	if (call(GNTTABOP_unmap_grant_ref, uunmap, nr, &bare->unmap_user) ||
	    call(GNTTABOP_unmap_grant_ref, kunmap, nr, &bare->unmap_kernel) ||
	    !all_okay(uunmap, nr) || !all_okay(kunmap, nr))
		return -EIO;
	return 0;
}

static int by_refs(struct bench_bare *bare)
{
	u64 begin;
	int err;

	prepare_maps(bare);
	begin = rdtsc_ordered();
	err = gnttab_map_refs(kmap, NULL, pages, bare->nr);
	bare->refs = rdtsc_ordered() - begin;
	if (err || !all_okay(kmap, bare->nr))
		return -EIO;
	prepare_unmaps(bare);
	begin = rdtsc_ordered();
	err = gnttab_unmap_refs(kunmap, NULL, pages, bare->nr);
	bare->refs += rdtsc_ordered() - begin;
	return err || !all_okay(kunmap, bare->nr) ? -EIO : 0;
}

static int copies(struct bench_bare *bare)
{
	u32 i;

	for (i = 0; i < bare->nr; i++)
		copy[i] = (struct gnttab_copy){
			.source.u.ref = grefs[i],
			.source.domid = bare->domid,
			.dest.u.gmfn = xen_page_to_gfn(own[i]),
			.dest.domid = DOMID_SELF,
			.len = PAGE_SIZE,
			.flags = GNTCOPY_source_gref,
		};
	if (call(GNTTABOP_copy, copy, bare->nr, &bare->copy) ||
	    !all_okay(copy, bare->nr))
		return -EIO;
	return 0;
}

/* After an error grants may stay mapped: the benchmark is over then. */
int bench_bare(struct bench_bare *bare, struct vm_area_struct *vma)
{
	int err;

	if (copy_from_user(grefs, u64_to_user_ptr(bare->grefs),
			   bare->nr * sizeof(*grefs)))
		return -EFAULT;
	err = walk(bare, vma);
	if (!err)
		err = two_mappings(bare);
	if (!err)
		err = by_refs(bare);
	if (!err)
		err = copies(bare);
	return err;
}
