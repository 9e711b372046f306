// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces, and what user space and the kernel do to them. */
#include "kshim.h"
#include "control.h"

/* All mappings of the device, as rmap finds them. */
static pthread_mutex_t rmap_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(mapped);
static int failing_notifier;
static int failing_retries;
static int losing_tables;
/* The page table whose lock this thread holds to have Xen clear entries. */
static __thread struct mm_struct *locked_mm;
static __thread unsigned long locked_table;
static __thread bool table_lost;

static unsigned long self(void)
{
	return (unsigned long)pthread_self();
}

struct mm_struct *kshim_mm_new(void)
{
	struct mm_struct *mm = calloc(1, sizeof(*mm));

	pthread_rwlock_init(&mm->lock, NULL);
	pthread_mutex_init(&mm->page_tables, NULL);
	pthread_mutex_init(&mm->notifier_lock, NULL);
	INIT_LIST_HEAD(&mm->vmas);
	INIT_LIST_HEAD(&mm->notifiers);
	mm->next_address = 0x7f0000000000ul;
	return mm;
}

void kshim_mm_free(struct mm_struct *mm)
{
	kshim_must(list_empty(&mm->vmas) && list_empty(&mm->notifiers));
	free(mm);
}

/* mmap_lock */
void mmap_read_lock(struct mm_struct *mm)
{
	kshim_may_sleep("mmap_read_lock");
	kshim_must(READ_ONCE(mm->writer) != self());
	pthread_rwlock_rdlock(&mm->lock);
	__atomic_fetch_add(&mm->readers, 1, __ATOMIC_RELAXED);
}

void mmap_read_unlock(struct mm_struct *mm)
{
	__atomic_fetch_sub(&mm->readers, 1, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&mm->lock);
}

static void mmap_write_lock(struct mm_struct *mm)
{
	pthread_rwlock_wrlock(&mm->lock);
	WRITE_ONCE(mm->writer, self());
}

static void mmap_write_unlock(struct mm_struct *mm)
{
	WRITE_ONCE(mm->writer, 0);
	pthread_rwlock_unlock(&mm->lock);
}

static bool is_locked(struct mm_struct *mm)
{
	return READ_ONCE(mm->readers) || READ_ONCE(mm->writer) == self();
}

void mmap_assert_locked(struct mm_struct *mm)
{
	kshim_must(is_locked(mm));
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *found = NULL;
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	list_for_each_entry(vma, &mm->vmas, in_mm)
		if (vma->vm_end > address && (!found || vma->vm_start < found->vm_start))
			found = vma;
	return found;
}

/* Page tables. */
static pte_t *entry(struct vm_area_struct *vma, unsigned long address)
{
	kshim_must(address >= vma->vm_start && address < vma->vm_end);
	return &vma->ptes[(address - vma->vm_start) >> PAGE_SHIFT];
}

static unsigned long read_entry(const pte_t *pte)
{
	return __atomic_load_n(&pte->pte, __ATOMIC_RELAXED);
}

void pte_clear(struct mm_struct *mm, unsigned long address, pte_t *pte)
{
	if (read_entry(pte) & KSHIM_PTE_GRANTED && xen_entry_is_granted(pte))
		kshim_bug("the kernel clears a granted entry by itself");
	__atomic_store_n(&pte->pte, 0, __ATOMIC_RELAXED);
}

static struct vm_area_struct *mapped_at(const struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *found = NULL;
	struct vm_area_struct *vma;

	pthread_mutex_lock(&rmap_lock);
	list_for_each_entry(vma, &mapped, in_mapping)
		if (vma->vm_mm == mm && address >= vma->vm_start && address < vma->vm_end)
			found = vma;
	pthread_mutex_unlock(&rmap_lock);
	return found;
}

/* Tables that do not exist yet are made; only for that mmap_lock is needed. */
int apply_to_page_range(struct mm_struct *mm, unsigned long address, unsigned long size,
			pte_fn_t function, void *data)
{
	struct vm_area_struct *vma = mapped_at(mm, address);
	unsigned long end = address + size;
	int err = 0;

	kshim_must(vma && end <= vma->vm_end);
	table_lost = losing_tables > 0;
	if (table_lost) {
		losing_tables--;
		return -EINVAL;
	}
	if (pte_none(*entry(vma, address)) && is_locked(mm) && kshim_allocation_fails())
		return -ENOMEM;
	pthread_mutex_lock(&mm->page_tables);
	locked_mm = mm;
	for (; address < end && !err; address += PAGE_SIZE) {
		locked_table = address >> PMD_SHIFT;
		err = function(entry(vma, address), address, data);
	}
	locked_mm = NULL;
	pthread_mutex_unlock(&mm->page_tables);
	return err;
}

void kshim_lose_tables(int n)
{
	losing_tables = n;
}

void kshim_entry_goes(const pte_t *pte)
{
	const struct vm_area_struct *found = NULL;
	struct vm_area_struct *vma;

	if (table_lost)
		return;
	pthread_mutex_lock(&rmap_lock);
	list_for_each_entry(vma, &mapped, in_mapping)
		if (pte >= vma->ptes && pte < vma->ptes + vma_pages(vma))
			found = vma;
	pthread_mutex_unlock(&rmap_lock);
	kshim_must(found);
	if (locked_mm != found->vm_mm ||
	    locked_table != (found->vm_start + ((pte - found->ptes) << PAGE_SHIFT)) >> PMD_SHIFT)
		kshim_bug("an entry goes without the lock of its table");
}

int vm_insert_pages(struct vm_area_struct *vma, unsigned long address, struct page **pages,
		    unsigned long *nr)
{
	struct mm_struct *mm = vma->vm_mm;
	int err = 0;

	mmap_assert_locked(mm);
	for (; *nr && !err; address += PAGE_SIZE, pages++) {
		if (kshim_allocation_fails())
			return -ENOMEM;
		pthread_mutex_lock(&mm->page_tables);
		if (!pte_none(*entry(vma, address))) {
			err = -EBUSY;
		} else {
			get_page(*pages);
			WRITE_ONCE(entry(vma, address)->pte,
				   page_to_pfn(*pages) << PAGE_SHIFT | KSHIM_PTE_PRESENT);
			--*nr;
		}
		pthread_mutex_unlock(&mm->page_tables);
	}
	return err;
}

/* Pages @first up to, not with, @end. */
static void clear_entries(struct vm_area_struct *vma, unsigned long first, unsigned long end)
{
	pthread_mutex_lock(&vma->vm_mm->page_tables);
	for (; first < end; first++) {
		unsigned long was = read_entry(&vma->ptes[first]);

		if (!was)
			continue;
		pte_clear(vma->vm_mm, vma->vm_start + (first << PAGE_SHIFT), &vma->ptes[first]);
		if (!(was & KSHIM_PTE_GRANTED))
			put_page(pfn_to_page(was >> PAGE_SHIFT));
	}
	pthread_mutex_unlock(&vma->vm_mm->page_tables);
}

void unmap_mapping_range(struct address_space *mapping, loff_t start, loff_t length, int all)
{
	unsigned long first = start >> PAGE_SHIFT;
	unsigned long end = first + (length >> PAGE_SHIFT);
	struct vm_area_struct *vma;

	kshim_must(mapping == kshim_mapping() && all);
	kshim_may_sleep("unmap_mapping_range");
	pthread_mutex_lock(&rmap_lock);
	list_for_each_entry(vma, &mapped, in_mapping) {
		unsigned long from = max(first, vma->vm_pgoff);
		unsigned long to = min(end, vma->vm_pgoff + vma_pages(vma));

		if (from < to)
			clear_entries(vma, from - vma->vm_pgoff, to - vma->vm_pgoff);
	}
	pthread_mutex_unlock(&rmap_lock);
}

/* Notifiers: invalidations of an address space are one at a time. */
int mmu_interval_notifier_insert(struct mmu_interval_notifier *notifier, struct mm_struct *mm,
				 unsigned long start, unsigned long length,
				 const struct mmu_interval_notifier_ops *ops)
{
	int err = __atomic_exchange_n(&failing_notifier, 0, __ATOMIC_RELAXED);

	if (err)
		return err;
	if (kshim_allocation_fails())
		return -ENOMEM;
	pthread_mutex_lock(&mm->notifier_lock);
	notifier->mm = mm;
	notifier->start = start;
	notifier->end = start + length;
	notifier->ops = ops;
	notifier->seq = mm->seq;
	list_add_tail(&notifier->node, &mm->notifiers);
	pthread_mutex_unlock(&mm->notifier_lock);
	return 0;
}

void mmu_interval_notifier_remove(struct mmu_interval_notifier *notifier)
{
	kshim_may_sleep("mmu_interval_notifier_remove");
	pthread_mutex_lock(&notifier->mm->notifier_lock);
	list_del(&notifier->node);
	pthread_mutex_unlock(&notifier->mm->notifier_lock);
}

unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *notifier)
{
	unsigned long seq;

	/* Waits for the one that is under way. */
	pthread_mutex_lock(&notifier->mm->notifier_lock);
	seq = READ_ONCE(notifier->seq);
	pthread_mutex_unlock(&notifier->mm->notifier_lock);
	return seq;
}

bool mmu_interval_read_retry(struct mmu_interval_notifier *notifier, unsigned long seq)
{
	if (READ_ONCE(failing_retries) > 0) {
		__atomic_fetch_sub(&failing_retries, 1, __ATOMIC_RELAXED);
		if (current->killed_later)
			current->killed = true;
		return true;
	}
	return READ_ONCE(notifier->seq) != seq;
}

void kshim_fail_retry(int n)
{
	WRITE_ONCE(failing_retries, n);
}

void kshim_fail_notifier(int err)
{
	WRITE_ONCE(failing_notifier, err);
}

/* Notify, then clear: as all of mm/ does. False: refused, not to sleep. */
static bool invalidate(struct vm_area_struct *vma, unsigned long first, unsigned long end,
		       bool blockable)
{
	struct mmu_notifier_range range = {
		.start = vma->vm_start + (first << PAGE_SHIFT),
		.end = vma->vm_start + (end << PAGE_SHIFT),
		.blockable = blockable,
	};
	struct mm_struct *mm = vma->vm_mm;
	struct mmu_interval_notifier *notifier;
	bool done = true;

	pthread_mutex_lock(&mm->notifier_lock);
	mm->seq++;
	list_for_each_entry(notifier, &mm->notifiers, node)
		if (notifier->start < range.end && range.start < notifier->end)
			done &= notifier->ops->invalidate(notifier, &range, mm->seq);
	xen_release_entries();
	if (done)
		clear_entries(vma, first, end);
	pthread_mutex_unlock(&mm->notifier_lock);
	return done;
}

/* Mappings. */
static struct vm_area_struct *vma_new(struct mm_struct *mm, unsigned long pages)
{
	struct vm_area_struct *vma = calloc(1, sizeof(*vma));

	vma->ptes = calloc(pages, sizeof(*vma->ptes));
	vma->vm_mm = mm;
	vma->vm_start = mm->next_address;
	vma->vm_end = vma->vm_start + (pages << PAGE_SHIFT);
	/* Neighbours do not touch. */
	mm->next_address = vma->vm_end + PAGE_SIZE;
	return vma;
}

static void vma_link(struct vm_area_struct *vma)
{
	list_add_tail(&vma->in_mm, &vma->vm_mm->vmas);
	pthread_mutex_lock(&rmap_lock);
	list_add_tail(&vma->in_mapping, &mapped);
	pthread_mutex_unlock(&rmap_lock);
}

static void vma_free(struct vm_area_struct *vma)
{
	free(vma->ptes);
	free(vma);
}

int kshim_mmap(struct file *file, unsigned long nr_pages, unsigned long flags,
	       unsigned long pgoff, struct vm_area_struct **result)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int err;

	mmap_write_lock(mm);
	vma = vma_new(mm, nr_pages);
	vma->vm_flags = flags | VM_MAYWRITE | VM_MAYEXEC;
	vma->vm_pgoff = pgoff;
	vma->vm_file = file;
	err = kshim_call_mmap(file, vma);
	if (!err) {
		atomic_inc(&file->refs);
		vma_link(vma);
		*result = vma;
	}
	mmap_write_unlock(mm);
	if (err)
		vma_free(vma);
	return err;
}

/* Its VMA is no longer to be found. */
static void unmap(struct vm_area_struct *vma)
{
	kshim_must(invalidate(vma, 0, vma_pages(vma), true));
	pthread_mutex_lock(&rmap_lock);
	list_del(&vma->in_mapping);
	pthread_mutex_unlock(&rmap_lock);
	if (vma->vm_ops->close)
		vma->vm_ops->close(vma);
}

static __thread void (*in_munmap)(void *data);
static __thread void *in_munmap_data;

void kshim_in_munmap(void (*function)(void *data), void *data)
{
	in_munmap = function;
	in_munmap_data = data;
}

void kshim_munmap(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;

	/* As mm/: only the tree is changed with the lock held for writing. */
	mmap_write_lock(mm);
	list_del(&vma->in_mm);
	mmap_write_unlock(mm);
	if (in_munmap)
		in_munmap(in_munmap_data);
	in_munmap = NULL;
	mmap_read_lock(mm);
	unmap(vma);
	mmap_read_unlock(mm);
	kshim_put_file(vma->vm_file);
	vma_free(vma);
}

int kshim_munmap_part(struct vm_area_struct *vma)
{
	if (!vma->vm_ops->may_split)
		return 0;
	return vma->vm_ops->may_split(vma, vma->vm_start + PAGE_SIZE);
}

int kshim_mprotect(struct vm_area_struct *vma)
{
	if (!vma->vm_ops->mprotect)
		return 0;
	return vma->vm_ops->mprotect(vma, vma->vm_start, vma->vm_end, VM_READ);
}

static struct vm_area_struct *vma_copy(struct vm_area_struct *vma, struct mm_struct *mm)
{
	struct vm_area_struct *copy = vma_new(mm, vma_pages(vma));

	copy->vm_flags = vma->vm_flags;
	copy->vm_pgoff = vma->vm_pgoff;
	copy->vm_ops = vma->vm_ops;
	copy->vm_private_data = vma->vm_private_data;
	copy->vm_file = vma->vm_file;
	atomic_inc(&copy->vm_file->refs);
	if (copy->vm_ops->open)
		copy->vm_ops->open(copy);
	vma_link(copy);
	return copy;
}

/* To a new place: a second VMA, entries moved, then asked; if refused, back. */
int kshim_mremap(struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	struct vm_area_struct *copy;
	int err;

	mmap_write_lock(mm);
	copy = vma_copy(vma, mm);
	kshim_must(invalidate(vma, 0, vma_pages(vma), true));
	err = vma->vm_ops->mremap(copy);
	kshim_must(err);
	list_del(&copy->in_mm);
	unmap(copy);
	mmap_write_unlock(mm);
	kshim_put_file(copy->vm_file);
	vma_free(copy);
	return err;
}

struct vm_area_struct *kshim_fork(struct vm_area_struct *vma, struct mm_struct *child)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *copy;
	unsigned long i;

	/* Who forks is the parent. */
	current->mm = vma->vm_mm;
	mmap_write_lock(vma->vm_mm);
	mmap_write_lock(child);
	copy = vma_copy(vma, child);
	xen_release_entries();
	pthread_mutex_lock(&vma->vm_mm->page_tables);
	for (i = 0; i < vma_pages(vma); i++) {
		unsigned long value = read_entry(&vma->ptes[i]);

		if (value & KSHIM_PTE_GRANTED)
			kshim_bug("fork copies a granted entry");
		if (value)
			get_page(pfn_to_page(value >> PAGE_SHIFT));
		WRITE_ONCE(copy->ptes[i].pte, value);
	}
	pthread_mutex_unlock(&vma->vm_mm->page_tables);
	mmap_write_unlock(child);
	mmap_write_unlock(vma->vm_mm);
	current->mm = mm;
	return copy;
}

bool kshim_zap(struct vm_area_struct *vma, unsigned long first, unsigned long nr, bool blockable)
{
	bool done;

	mmap_read_lock(vma->vm_mm);
	done = invalidate(vma, first, first + nr, blockable);
	mmap_read_unlock(vma->vm_mm);
	return done;
}

static struct page *look(struct vm_area_struct *vma, unsigned long nr)
{
	unsigned long address = vma->vm_start + (nr << PAGE_SHIFT);
	struct page *page = NULL;
	unsigned long value;

	pthread_mutex_lock(&vma->vm_mm->page_tables);
	value = read_entry(&vma->ptes[nr]);
	if (value & KSHIM_PTE_GRANTED) {
		page = vma->vm_ops->find_normal_page(vma, address);
	} else if (value) {
		page = pfn_to_page(value >> PAGE_SHIFT);
	}
	if (page)
		get_page(page);
	pthread_mutex_unlock(&vma->vm_mm->page_tables);
	return page;
}

struct page *kshim_pin(struct vm_area_struct *vma, unsigned long nr)
{
	struct page *page;

	mmap_read_lock(vma->vm_mm);
	page = look(vma, nr);
	mmap_read_unlock(vma->vm_mm);
	return page;
}

struct page *kshim_look_write_locked(struct vm_area_struct *vma, unsigned long nr)
{
	struct page *page;

	mmap_write_lock(vma->vm_mm);
	page = look(vma, nr);
	mmap_write_unlock(vma->vm_mm);
	return page;
}

unsigned int kshim_touch(struct vm_area_struct *vma, unsigned long nr, struct page **page)
{
	struct vm_fault fault = { .vma = vma, .pgoff = vma->vm_pgoff + nr };
	unsigned int result;

	if (!vma->vm_ops->fault)
		return VM_FAULT_SIGBUS;
	result = vma->vm_ops->fault(&fault);
	if (!result)
		*page = fault.page;
	return result;
}
