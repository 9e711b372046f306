/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces: VMAs, page-table entries, notifiers. */
#ifndef KSHIM_MM_H
#define KSHIM_MM_H

#include "base.h"
#include "lists.h"
#include "memory.h"
#include "sync.h"

struct file;
struct vm_area_struct;
struct mmu_interval_notifier;

typedef struct { unsigned long pte; } pte_t;
typedef int (*pte_fn_t)(pte_t *pte, unsigned long address, void *data);
typedef unsigned int vm_fault_t;

#define VM_FAULT_SIGBUS	2u

struct vm_fault {
	struct vm_area_struct *vma;
	unsigned long pgoff;
	struct page *page;
};

struct vm_operations_struct {
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	int (*may_split)(struct vm_area_struct *vma, unsigned long address);
	int (*mremap)(struct vm_area_struct *vma);
	int (*mprotect)(struct vm_area_struct *vma, unsigned long start, unsigned long end,
			unsigned long flags);
	vm_fault_t (*fault)(struct vm_fault *vmf);
	struct page *(*find_normal_page)(struct vm_area_struct *vma, unsigned long address);
};

#define VM_READ		0x1ul
#define VM_WRITE	0x2ul
#define VM_EXEC		0x4ul
#define VM_SHARED	0x8ul
#define VM_MAYWRITE	0x20ul
#define VM_MAYEXEC	0x40ul
#define VM_DONTCOPY	0x20000ul
#define VM_WIPEONFORK	0x2000000ul
#define VM_DONTEXPAND	0x40000ul
#define VM_DONTDUMP	0x4000000ul
#define VM_MIXEDMAP	0x10000000ul

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_pgoff;
	unsigned long vm_flags;
	struct mm_struct *vm_mm;
	const struct vm_operations_struct *vm_ops;
	void *vm_private_data;
	struct file *vm_file;
	struct list_head in_mm;
	struct list_head in_mapping;
	pte_t *ptes;			/* one for each page */
};

#define vma_pages(vma) (((vma)->vm_end - (vma)->vm_start) >> PAGE_SHIFT)

struct address_space { int unused; };

struct mm_struct {
	pthread_rwlock_t lock;		/* mmap_lock */
	int readers;
	unsigned long writer;
	struct list_head vmas;
	pthread_mutex_t page_tables;
	unsigned long next_address;
	/* Of notifiers; changes are one at a time here. */
	pthread_mutex_t notifier_lock;
	struct list_head notifiers;
	unsigned long seq;
};

void mmap_read_lock(struct mm_struct *mm);
void mmap_read_unlock(struct mm_struct *mm);
void mmap_assert_locked(struct mm_struct *mm);
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long address);

#define pte_none(entry) (__atomic_load_n(&(entry).pte, __ATOMIC_RELAXED) == 0)
void pte_clear(struct mm_struct *mm, unsigned long address, pte_t *pte);
int apply_to_page_range(struct mm_struct *mm, unsigned long address, unsigned long size,
			pte_fn_t function, void *data);
int vm_insert_pages(struct vm_area_struct *vma, unsigned long address, struct page **pages,
		    unsigned long *nr);
void unmap_mapping_range(struct address_space *mapping, loff_t start, loff_t length, int all);

/* Of a small page table, so that an arena has several: 4 entries. */
#define PMD_SHIFT		(PAGE_SHIFT + 2)
/* Bits of an entry, as on x86. */
#define _PAGE_BIT_SOFTW1	9
#define _PAGE_SPECIAL		(1ul << 9)
#define _PAGE_SOFT_DIRTY	(1ul << 11)

/* The machine address of an entry is its address here. */
typedef struct { u64 maddr; } xmaddr_t;
#define arbitrary_virt_to_machine(pte) ((xmaddr_t){ (uintptr_t)(pte) })

struct mmu_notifier_range {
	unsigned long start;
	unsigned long end;
	bool blockable;
};

#define mmu_notifier_range_blockable(range) ((range)->blockable)

struct mmu_interval_notifier_ops {
	bool (*invalidate)(struct mmu_interval_notifier *notifier,
			   const struct mmu_notifier_range *range, unsigned long seq);
};

struct mmu_interval_notifier {
	struct mm_struct *mm;
	struct list_head node;
	unsigned long start;
	unsigned long end;
	unsigned long seq;
	const struct mmu_interval_notifier_ops *ops;
};

int mmu_interval_notifier_insert(struct mmu_interval_notifier *notifier, struct mm_struct *mm,
				 unsigned long start, unsigned long length,
				 const struct mmu_interval_notifier_ops *ops);
void mmu_interval_notifier_remove(struct mmu_interval_notifier *notifier);
unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *notifier);
bool mmu_interval_read_retry(struct mmu_interval_notifier *notifier, unsigned long seq);
#define mmu_interval_set_seq(notifier, value) WRITE_ONCE((notifier)->seq, value)

#endif
