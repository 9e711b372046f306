// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Xen's grant operations, with its own books of who maps what. What would
 * corrupt memory or leak on a real host ends the program.
 */
#include "kshim.h"
#include "control.h"

#define HANDLES	16384u

struct grant {
	bool used;
	bool rdonly;
	u64 mfn;
	/* of XEN_MAP_KERNEL and so on; 0: none */
	s16 injected[XEN_NR_OPERATIONS];
	unsigned int nr_kernel;
	unsigned int nr_user;
};

struct guest {
	bool exists;
	struct grant grants[XEN_GREFS];
};

bool kshim_pv;

static pthread_mutex_t xen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct guest guests[XEN_GUESTS + 1];
static struct xen_mapping mappings[HANDLES];
static u32 free_handles[HANDLES];
static u32 nr_free;
static u32 nr_touched;
static u32 handle_limit = HANDLES;
static unsigned int nr_live[2];
static u32 handle_of_page[KSHIM_PAGES];	/* and 1; 0: stands for nothing */
static u8 *frames[XEN_FRAMES];
static int failing_call[XEN_NR_OPERATIONS];

static struct guest *guest_of(domid_t domid)
{
	return domid && domid <= XEN_GUESTS ? &guests[domid] : NULL;
}

static struct grant *grant_of(domid_t domid, grant_ref_t gref)
{
	struct guest *guest = guest_of(domid);

	return guest && gref < XEN_GREFS ? &guest->grants[gref] : NULL;
}

static void lock(void)
{
	pthread_mutex_lock(&xen_lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&xen_lock);
}

/* What tests say and ask. */
void xen_guest_add(domid_t domid)
{
	lock();
	guest_of(domid)->exists = true;
	unlock();
}

void xen_guest_remove(domid_t domid)
{
	lock();
	guest_of(domid)->exists = false;
	unlock();
}

void xen_grant(domid_t domid, grant_ref_t gref, u64 mfn, bool rdonly)
{
	struct grant *grant = grant_of(domid, gref);

	kshim_must(mfn - XEN_MFN < XEN_FRAMES);
	lock();
	grant->used = true;
	grant->mfn = mfn;
	grant->rdonly = rdonly;
	unlock();
}

void xen_revoke(domid_t domid, grant_ref_t gref)
{
	lock();
	grant_of(domid, gref)->used = false;
	unlock();
}

static u8 *frame(u64 mfn)
{
	kshim_must(mfn - XEN_MFN < XEN_FRAMES);
	if (!frames[mfn - XEN_MFN])
		frames[mfn - XEN_MFN] = calloc(1, PAGE_SIZE);
	return frames[mfn - XEN_MFN];
}

u8 *xen_frame(u64 mfn)
{
	u8 *memory;

	lock();
	memory = frame(mfn);
	unlock();
	return memory;
}

void xen_inject(enum xen_operation operation, domid_t domid, grant_ref_t gref, s16 status)
{
	lock();
	grant_of(domid, gref)->injected[operation] = status;
	unlock();
}

s16 xen_injected(enum xen_operation operation, domid_t domid, grant_ref_t gref)
{
	const struct grant *grant = grant_of(domid, gref);

	return grant ? grant->injected[operation] : 0;
}

void xen_fail_call(enum xen_operation operation, int nth)
{
	lock();
	failing_call[operation] = nth;
	unlock();
}

void xen_limit(unsigned int handles)
{
	lock();
	handle_limit = min(handles, HANDLES);
	unlock();
}

unsigned int xen_count(bool user)
{
	unsigned int count;

	lock();
	count = nr_live[user];
	unlock();
	return count;
}

unsigned int xen_count_grant(domid_t domid, grant_ref_t gref, bool user)
{
	const struct grant *grant = grant_of(domid, gref);
	unsigned int count;

	lock();
	count = user ? grant->nr_user : grant->nr_kernel;
	unlock();
	return count;
}

bool xen_page(const struct page *page, struct xen_mapping *mapping)
{
	u32 handle;

	lock();
	handle = handle_of_page[page_to_pfn(page)];
	if (handle)
		*mapping = mappings[handle - 1];
	unlock();
	return handle;
}

bool xen_entry_is_granted(const pte_t *pte)
{
	bool found = false;
	u32 i;

	lock();
	for (i = 0; i < nr_touched && !found; i++)
		found = mappings[i].live && mappings[i].user && !mappings[i].refused &&
			mappings[i].address == (uintptr_t)pte;
	unlock();
	return found;
}

static struct page *page_at(u64 address)
{
	unsigned long pfn = (address - KSHIM_LINEAR) >> PAGE_SHIFT;

	kshim_must(address >= KSHIM_LINEAR && pfn < KSHIM_PAGES && !(address % PAGE_SIZE));
	return &kshim_pages[pfn];
}

/* Mappings. */
static void mapping_end(u32 handle)
{
	struct xen_mapping *mapping = &mappings[handle];
	struct grant *grant = grant_of(mapping->domid, mapping->gref);

	mapping->live = false;
	nr_live[mapping->user]--;
	if (mapping->user)
		grant->nr_user--;
	else
		grant->nr_kernel--;
	free_handles[nr_free++] = handle;
}

unsigned int xen_forget(void (*forget)(const struct xen_mapping *mapping))
{
	unsigned int nr = 0;
	u32 i;

	lock();
	for (i = 0; i < nr_touched; i++) {
		if (!mappings[i].live)
			continue;
		if (!mappings[i].user) {
			forget(&mappings[i]);
			kshim_page_free(page_at(mappings[i].address));
			nr++;
		}
		mapping_end(i);
	}
	memset(handle_of_page, 0, sizeof(handle_of_page));
	unlock();
	return nr;
}

void xen_release_entries(void)
{
	u32 i;

	lock();
	for (i = 0; i < nr_touched; i++)
		if (mappings[i].live && mappings[i].refused && mappings[i].address) {
			WRITE_ONCE(((pte_t *)(uintptr_t)mappings[i].address)->pte, 0);
			mappings[i].address = 0;
		}
	unlock();
}

void xen_reset(void)
{
	u32 i;

	lock();
	kshim_must(!nr_live[0] && !nr_live[1]);
	memset(guests, 0, sizeof(guests));
	memset(failing_call, 0, sizeof(failing_call));
	handle_limit = HANDLES;
	for (i = 0; i < XEN_FRAMES; i++) {
		free(frames[i]);
		frames[i] = NULL;
	}
	unlock();
}

/* The grant, if it can be used so, or a status. */
static s16 find_grant(domid_t domid, grant_ref_t gref, bool rdonly,
		      enum xen_operation operation, struct grant **grant)
{
	const struct guest *guest = guest_of(domid);

	if (!guest || !guest->exists)
		return GNTST_bad_domain;
	*grant = grant_of(domid, gref);
	if (!*grant)
		return GNTST_bad_gntref;
	if ((*grant)->injected[operation])
		return (*grant)->injected[operation];
	if (!(*grant)->used || ((*grant)->rdonly && !rdonly))
		return GNTST_general_error;
	return GNTST_okay;
}

static void set_entry(u64 address, unsigned long from, unsigned long to)
{
	pte_t *pte = (pte_t *)(uintptr_t)address;
	unsigned long old;

	if (!to)
		kshim_entry_goes(pte);
	old = __atomic_exchange_n(&pte->pte, to, __ATOMIC_SEQ_CST);
	if (old != from)
		kshim_bug("a granted entry was %#lx where Xen expects %#lx", old, from);
}

static unsigned long entry_of(const struct grant *grant)
{
	return grant->mfn << PAGE_SHIFT | KSHIM_PTE_GRANTED | KSHIM_PTE_PRESENT;
}

/* Make what the mapping is for stand for the frame. */
static void map_at(struct gnttab_map_grant_ref *op, const struct grant *grant, bool user,
		   u32 handle)
{
	struct page *page;

	if (user) {
		set_entry(op->host_addr, 0, entry_of(grant));
		return;
	}
	page = page_at(op->host_addr);
	kshim_must(page->kind == KSHIM_PAGE_GRANT);
	if (handle_of_page[page_to_pfn(page)])
		kshim_bug("a page is to stand for two grants");
	if (page_count(page) != 1)
		kshim_bug("a page with %d references is mapped anew", page_count(page));
	handle_of_page[page_to_pfn(page)] = handle + 1;
}

static void map_one(struct gnttab_map_grant_ref *op)
{
	bool user = op->flags & GNTMAP_contains_pte;
	bool rdonly = op->flags & GNTMAP_readonly;
	struct grant *grant = NULL;
	u32 handle;

	op->status = find_grant(op->dom, op->ref, rdonly,
				user ? XEN_MAP_USER : XEN_MAP_KERNEL, &grant);
	if (op->status)
		return;
	if (nr_live[0] + nr_live[1] >= handle_limit) {
		op->status = GNTST_no_space;
		return;
	}
	kshim_must(op->flags & GNTMAP_host_map);
	handle = nr_free ? free_handles[--nr_free] : nr_touched++;
	map_at(op, grant, user, handle);
	mappings[handle] = (struct xen_mapping){
		.live = true, .user = user, .rdonly = rdonly, .domid = op->dom,
		.gref = op->ref, .mfn = grant->mfn, .address = op->host_addr,
	};
	nr_live[user]++;
	if (user)
		grant->nr_user++;
	else
		grant->nr_kernel++;
	op->handle = handle;
	op->dev_bus_addr = grant->mfn << PAGE_SHIFT;
}

static void unmap_at(const struct xen_mapping *mapping, const struct grant *grant)
{
	struct page *page;

	if (mapping->user) {
		set_entry(mapping->address, mapping->mfn << PAGE_SHIFT | KSHIM_PTE_GRANTED |
			  KSHIM_PTE_PRESENT, 0);
		return;
	}
	page = page_at(mapping->address);
	if (page_count(page) != 1)
		kshim_bug("a page with %d references loses its frame", page_count(page));
	if (grant->nr_user == grant->nr_kernel)
		kshim_bug("the kernel's mapping goes before the user's");
	handle_of_page[page_to_pfn(page)] = 0;
}

static void unmap_one(struct gnttab_unmap_grant_ref *op)
{
	struct xen_mapping *mapping = &mappings[min(op->handle, HANDLES - 1)];
	struct grant *grant;

	if (op->handle >= nr_touched || !mapping->live)
		kshim_bug("unmap of handle %u, which maps nothing", op->handle);
	/* Once refused, always refused. */
	if (mapping->refused) {
		op->status = GNTST_general_error;
		return;
	}
	if (mapping->address != op->host_addr)
		kshim_bug("unmap of handle %u at the wrong address", op->handle);
	grant = grant_of(mapping->domid, mapping->gref);
	op->status = grant->injected[mapping->user ? XEN_UNMAP_USER : XEN_UNMAP_KERNEL];
	if (op->status) {
		mapping->refused = mapping->user;
		return;
	}
	unmap_at(mapping, grant);
	mapping_end(op->handle);
}

/* The memory that one side of a copy means, or a status. */
static s16 copy_side(const struct gnttab_copy_ptr *side, bool by_gref, bool rdonly, u16 len,
		     u8 **memory)
{
	struct grant *grant = NULL;
	unsigned long pfn;
	s16 status;

	kshim_must(side->offset + len <= PAGE_SIZE);
	if (by_gref) {
		status = find_grant(side->domid, side->u.ref, rdonly, XEN_COPY, &grant);
		if (!status)
			*memory = frame(grant->mfn) + side->offset;
		return status;
	}
	kshim_must(side->domid == DOMID_SELF);
	pfn = bfn_to_local_pfn(side->u.gmfn);
	kshim_must(pfn_valid(pfn) && pfn_to_page(pfn)->kind == KSHIM_PAGE_OWN);
	*memory = pfn_to_page(pfn)->memory + side->offset;
	return GNTST_okay;
}

static void copy_one(struct gnttab_copy *op)
{
	bool from_gref = op->flags & GNTCOPY_source_gref;
	bool to_gref = op->flags & GNTCOPY_dest_gref;
	u8 *from = NULL;
	u8 *to = NULL;

	kshim_must(from_gref != to_gref);
	op->status = copy_side(&op->source, from_gref, true, op->len, &from);
	if (!op->status)
		op->status = copy_side(&op->dest, to_gref, false, op->len, &to);
	if (!op->status)
		memcpy(to, from, op->len);
}

/* A call that fails as a whole has refused each of its operations. */
static void refuse_all(const struct gnttab_unmap_grant_ref *ops, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		mappings[ops[i].handle].refused = true;
}

static enum xen_operation operation_of(unsigned int command, const void *ops)
{
	const struct gnttab_unmap_grant_ref *unmap = ops;
	const struct gnttab_map_grant_ref *map = ops;

	switch (command) {
	case GNTTABOP_map_grant_ref:
		return map->flags & GNTMAP_contains_pte ? XEN_MAP_USER : XEN_MAP_KERNEL;
	case GNTTABOP_unmap_grant_ref:
		return unmap->handle < nr_touched && mappings[unmap->handle].user ?
		       XEN_UNMAP_USER : XEN_UNMAP_KERNEL;
	case GNTTABOP_copy:
		return XEN_COPY;
	default:
		kshim_bug("grant table operation %u", command);
	}
}

int HYPERVISOR_grant_table_op(unsigned int command, void *ops, unsigned int count)
{
	unsigned int i;
	int err = 0;

	kshim_must(count > 0);
	lock();
	i = operation_of(command, ops);
	if (failing_call[i] && !--failing_call[i])
		err = -ENOSYS;
	if (err && i == XEN_UNMAP_USER)
		refuse_all(ops, count);
	for (i = 0; i < count && !err; i++) {
		if (command == GNTTABOP_map_grant_ref)
			map_one((struct gnttab_map_grant_ref *)ops + i);
		else if (command == GNTTABOP_unmap_grant_ref)
			unmap_one((struct gnttab_unmap_grant_ref *)ops + i);
		else
			copy_one((struct gnttab_copy *)ops + i);
	}
	unlock();
	return err;
}

/* What Linux puts around it. */
int gnttab_map_refs(struct gnttab_map_grant_ref *ops, struct gnttab_map_grant_ref *user_ops,
		    struct page **pages, unsigned int count)
{
	unsigned int i;

	kshim_must(!user_ops);
	for (i = 0; i < count; i++)
		kshim_must(page_at(ops[i].host_addr) == pages[i]);
	return HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, ops, count);
}

int gnttab_unmap_refs(struct gnttab_unmap_grant_ref *ops,
		      struct gnttab_unmap_grant_ref *user_ops, struct page **pages,
		      unsigned int count)
{
	unsigned int i;

	kshim_must(!user_ops);
	for (i = 0; i < count; i++)
		kshim_must(page_at(ops[i].host_addr) == pages[i]);
	return HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, ops, count);
}

int gnttab_alloc_pages(int nr, struct page **pages)
{
	int i;

	if (kshim_allocation_fails())
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		pages[i] = kshim_page_new(KSHIM_PAGE_GRANT);
		if (!pages[i]) {
			gnttab_free_pages(i, pages);
			return -ENOMEM;
		}
	}
	return 0;
}

void gnttab_free_pages(int nr, struct page **pages)
{
	struct xen_mapping mapping;
	int i;

	for (i = 0; i < nr; i++) {
		if (page_count(pages[i]) != 1)
			kshim_bug("a page with %d references is freed", page_count(pages[i]));
		if (xen_page(pages[i], &mapping))
			kshim_bug("a page that stands for a grant is freed");
		kshim_must(pages[i]->kind == KSHIM_PAGE_GRANT);
		kshim_page_free(pages[i]);
	}
}
