// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages and user memory. */
#include "kshim.h"
#include "control.h"

/* Pages. Of an order, those freed last are those taken next. */
struct page kshim_pages[KSHIM_PAGES];
static pthread_mutex_t page_lock = PTHREAD_MUTEX_INITIALIZER;
static struct page *free_pages[ORDERS];
static unsigned int nr_touched;

static struct page *take(unsigned int order)
{
	struct page *head = free_pages[order];

	if (head) {
		free_pages[order] = head->next_free;
		return head;
	}
	if (nr_touched + (1u << order) > KSHIM_PAGES)
		kshim_bug("out of pages: enlarge KSHIM_PAGES");
	head = &kshim_pages[nr_touched];
	nr_touched += 1u << order;
	return head;
}

static struct page *page_new(enum kshim_page_kind kind, unsigned int order)
{
	struct page *head;
	unsigned int i;

	kshim_must(order < ORDERS);
	if (kshim_allocation_fails())
		return NULL;
	pthread_mutex_lock(&page_lock);
	head = take(order);
	head->order = order;
	for (i = 0; i < 1u << order; i++) {
		kshim_must(head[i].kind == KSHIM_PAGE_FREE);
		WRITE_ONCE(head[i].head, head);
		head[i].kind = kind;
		head[i].memory = kind == KSHIM_PAGE_OWN ? calloc(1, PAGE_SIZE) : NULL;
	}
	atomic_set(&head->refs, 1);
	pthread_mutex_unlock(&page_lock);
	return head;
}

struct page *kshim_page_new(enum kshim_page_kind kind)
{
	return page_new(kind, 0);
}

struct page *alloc_pages(gfp_t flags, unsigned int order)
{
	kshim_must(!order || flags & __GFP_COMP);
	return page_new(KSHIM_PAGE_OWN, order);
}

void kshim_page_free(struct page *head)
{
	unsigned int i;

	pthread_mutex_lock(&page_lock);
	for (i = 0; i < 1u << head->order; i++) {
		kshim_must(head[i].kind != KSHIM_PAGE_FREE);
		free(head[i].memory);
		head[i].memory = NULL;
		head[i].kind = KSHIM_PAGE_FREE;
	}
	head->next_free = free_pages[head->order];
	free_pages[head->order] = head;
	pthread_mutex_unlock(&page_lock);
}

void get_page(struct page *page)
{
	if (page_count(page) < 1)
		kshim_bug("get_page() of a page that nobody owns");
	kshim_perturb();
	atomic_inc(&compound_head(page)->refs);
}

void put_page(struct page *page)
{
	if (page_count(page) < 1)
		kshim_bug("put_page() once too often");
	if (!atomic_dec_and_test(&compound_head(page)->refs))
		return;
	if (page->kind != KSHIM_PAGE_OWN)
		kshim_bug("the arena's own reference on a page was put");
	kshim_page_free(compound_head(page));
}

/* User memory. */
static long nr_copies;
static long failing_copy;
static int scribble = -1;
static uintptr_t user_start;
static size_t user_size;

void kshim_fail_copy(long nth)
{
	WRITE_ONCE(failing_copy, nth ? READ_ONCE(nr_copies) + nth : 0);
}

long kshim_copies(void)
{
	return __atomic_exchange_n(&nr_copies, 0, __ATOMIC_RELAXED);
}

void kshim_scribble(int byte)
{
	scribble = byte;
}

void kshim_user_memory(const void *start, size_t size)
{
	user_start = (uintptr_t)start;
	user_size = size;
}

static bool is_user_memory(const void *pointer, size_t n)
{
	uintptr_t address = (uintptr_t)pointer;

	if (!user_size)
		return address >= PAGE_SIZE && address < 1ul << 47;
	return address >= user_start && address - user_start <= user_size &&
	       n <= user_size - (address - user_start);
}

/* How many of @n bytes can be copied: of those that fail, half can. */
static unsigned long copyable(const void *user, unsigned long n)
{
	kshim_may_sleep("a copy from or to user memory");
	if (!n)
		return 0;
	if (__atomic_add_fetch(&nr_copies, 1, __ATOMIC_RELAXED) == READ_ONCE(failing_copy))
		return is_user_memory(user, n) ? n / 2 : 0;
	return is_user_memory(user, n) ? n : 0;
}

unsigned long copy_from_user(void *to, const void *from, unsigned long n)
{
	unsigned long done = copyable(from, n);

	memcpy(to, done ? from : "", done);
	memset((char *)to + done, 0, n - done);
	if (scribble >= 0 && done)
		memset((void *)from, scribble, done);
	return n - done;
}

unsigned long copy_to_user(void *to, const void *from, unsigned long n)
{
	unsigned long done = copyable(to, n);

	if (done)
		memcpy(to, from, done);
	return n - done;
}

void *vmemdup_user(const void *from, size_t n)
{
	void *copy = kshim_alloc(1, n);

	if (!copy)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(copy, from, n)) {
		kfree(copy);
		return ERR_PTR(-EFAULT);
	}
	return copy;
}
