/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations, each of which a test can have fail; pages with a reference
 * count; user memory, with faults.
 */
#ifndef KSHIM_MEMORY_H
#define KSHIM_MEMORY_H

#include "base.h"
#include "lists.h"

typedef unsigned int gfp_t;
#define GFP_KERNEL		1u
#define GFP_KERNEL_ACCOUNT	3u
#define __GFP_ZERO		4u
#define __GFP_COMP		8u
#define __GFP_NORETRY		16u
#define __GFP_NOWARN		32u

/* True once for the allocation that the test named. Also what may sleep. */
bool kshim_allocation_fails(void);
void *kshim_alloc(size_t nr, size_t size);
void kfree(const void *memory);
#define kvfree(memory)			kfree(memory)
#define kzalloc(size, flags)		kshim_alloc(1, size)
#define kvcalloc(nr, size, flags)	kshim_alloc(nr, size)

enum kshim_page_kind {
	KSHIM_PAGE_FREE,
	KSHIM_PAGE_OWN,			/* alloc_pages(): has memory */
	KSHIM_PAGE_GRANT,		/* address space for a grant */
};

#define ORDERS			8u

struct page {
	struct page *head;		/* the first of the larger page it is part of, or itself */
	atomic_t refs;			/* of the head: of all its pages */
	unsigned int order;		/* of the head */
	struct page *next_free;		/* of the head */
	enum kshim_page_kind kind;
	u8 *memory;
};

extern struct page kshim_pages[KSHIM_PAGES];
#define page_to_pfn(page)	((unsigned long)((page) - kshim_pages))
#define pfn_to_page(pfn)	(&kshim_pages[pfn])
#define pfn_valid(pfn)		((pfn) < KSHIM_PAGES)
/* The linear mapping is never touched: any address will do. */
#define KSHIM_LINEAR		0xffff888000000000ul
#define pfn_to_kaddr(pfn)	((void *)(KSHIM_LINEAR + ((unsigned long)(pfn) << PAGE_SHIFT)))

struct page *kshim_page_new(enum kshim_page_kind kind);
/* Of a kind that has none but its owner's reference. */
void kshim_page_free(struct page *page);
struct page *alloc_pages(gfp_t flags, unsigned int order);
#define alloc_page(flags)	alloc_pages(flags, 0)
void get_page(struct page *page);
void put_page(struct page *page);
#define compound_head(page)	READ_ONCE((page)->head)
#define compound_nr(head)	(1ul << (head)->order)
#define page_count(page)	atomic_read(&compound_head(page)->refs)
#define get_page_unless_zero(page) atomic_inc_not_zero(&compound_head(page)->refs)

#define u64_to_user_ptr(address) ((void *)(uintptr_t)(address))
/* How many bytes were not copied. */
unsigned long __must_check copy_from_user(void *to, const void *from, unsigned long n);
unsigned long __must_check copy_to_user(void *to, const void *from, unsigned long n);
void *vmemdup_user(const void *from, size_t n);

#endif
