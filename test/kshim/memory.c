// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages and user memory. */
#include "kshim.h"
#include "control.h"

/* Pages. The one freed last is the one taken next. */
struct page kshim_pages[KSHIM_PAGES];
static pthread_mutex_t page_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int free_pages[KSHIM_PAGES];
static unsigned int nr_free;
static unsigned int nr_touched;

struct page *kshim_page_new(enum kshim_page_kind kind)
{
	struct page *page;

	if (kshim_allocation_fails())
		return NULL;
	pthread_mutex_lock(&page_lock);
	if (nr_free)
		page = &kshim_pages[free_pages[--nr_free]];
	else if (nr_touched < KSHIM_PAGES)
		page = &kshim_pages[nr_touched++];
	else
		kshim_bug("out of pages: enlarge KSHIM_PAGES");
	kshim_must(page->kind == KSHIM_PAGE_FREE);
	page->kind = kind;
	page->memory = kind == KSHIM_PAGE_OWN ? calloc(1, PAGE_SIZE) : NULL;
	atomic_set(&page->refs, 1);
	pthread_mutex_unlock(&page_lock);
	return page;
}

void kshim_page_free(struct page *page)
{
	pthread_mutex_lock(&page_lock);
	kshim_must(page->kind != KSHIM_PAGE_FREE);
	free(page->memory);
	page->memory = NULL;
	page->kind = KSHIM_PAGE_FREE;
	free_pages[nr_free++] = page_to_pfn(page);
	pthread_mutex_unlock(&page_lock);
}

void get_page(struct page *page)
{
	if (page_count(page) < 1)
		kshim_bug("get_page() of a page that nobody owns");
	kshim_perturb();
	atomic_inc(&page->refs);
}

void put_page(struct page *page)
{
	if (page_count(page) < 1)
		kshim_bug("put_page() once too often");
	if (!atomic_dec_and_test(&page->refs))
		return;
	if (page->kind != KSHIM_PAGE_OWN)
		kshim_bug("the arena's own reference on a page was put");
	kshim_page_free(page);
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
