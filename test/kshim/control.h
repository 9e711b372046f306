/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests do with the shim: load the module, call it as user space would,
 * have things fail, look at what Xen holds. All counts of "the Nth" are from 1.
 */
#ifndef KSHIM_CONTROL_H
#define KSHIM_CONTROL_H

#include "kshim.h"

/* Load and unload. kshim_unload() ends with a bug when anything is left. */
int kshim_load(bool pv);
void kshim_unload(void);
/*
 * To be called before kshim_unload() when Xen has refused to unmap: forgets
 * these mappings, as a reboot would. How many there were.
 */
unsigned int kshim_forget_lost(void);
/* The last message of the module, "" if none. */
void kshim_last_message(char *text, size_t size);

/* Calls from user space; results are -errno, not errno. */
struct file *kshim_open(unsigned int flags);
void kshim_close(struct file *file);
long kshim_ioctl(struct file *file, unsigned int command, const void *argument);
ssize_t kshim_read(struct file *file, void *buffer, size_t size);
unsigned int kshim_poll(struct file *file);
/* In current->mm. Zero and *@vma, or -errno. */
int kshim_mmap(struct file *file, unsigned long nr_pages, unsigned long flags,
	       unsigned long pgoff, struct vm_area_struct **vma);
void kshim_munmap(struct vm_area_struct *vma);
int kshim_munmap_part(struct vm_area_struct *vma);
int kshim_mremap(struct vm_area_struct *vma);
int kshim_mprotect(struct vm_area_struct *vma);
/* madvise(MADV_DONTNEED) and the like; false: "not now" of one that may not sleep. */
bool kshim_zap(struct vm_area_struct *vma, unsigned long first, unsigned long nr,
	       bool blockable);
/* To be called in this thread's next kshim_munmap(), when the VMA is no longer found. */
void kshim_in_munmap(void (*function)(void *data), void *data);
/* A child that copies this VMA, after MADV_DOFORK and MADV_KEEPONFORK. */
struct vm_area_struct *kshim_fork(struct vm_area_struct *vma, struct mm_struct *child);
/* The page as direct I/O gets it, with a reference (put_page()), or NULL. */
struct page *kshim_pin(struct vm_area_struct *vma, unsigned long nr);
/* As kshim_pin(), as /proc/PID/clear_refs looks. */
struct page *kshim_look_write_locked(struct vm_area_struct *vma, unsigned long nr);
/* A page fault; 0 and a reference, or VM_FAULT_*. */
unsigned int kshim_touch(struct vm_area_struct *vma, unsigned long nr, struct page **page);
struct mm_struct *kshim_mm_new(void);
void kshim_mm_free(struct mm_struct *mm);

/* debugfs */
void kshim_debugfs(const char *name, char *text, size_t size);
/* A line "NAME VALUE" of "counters". */
long kshim_counter(const char *name);
/* All of them, by enum xentap_stat. */
void kshim_counters(long *values);

/*
 * Time and work. Without a thread, work is done by kshim_run() only, which
 * lets @ms pass, and by whoever would wait forever otherwise.
 */
void kshim_run(unsigned long ms);
bool kshim_work_waits(void);
void kshim_thread_start(void);
void kshim_thread_stop(void);

/* Failures. 0 takes it back. */
void kshim_fail_allocation(long nth);
long kshim_allocations(void);	/* since the call before; starts anew */
void kshim_fail_copy(long nth);
long kshim_copies(void);	/* as kshim_allocations() */
/*
 * After each copy from user memory that memory is overwritten with @byte, as
 * by another thread; -1: no more.
 */
void kshim_scribble(int byte);
/* User memory is here only; 0, 0: everywhere but in the first page. */
void kshim_user_memory(const void *start, size_t size);
/* mmu_interval_notifier_insert(), misc_register(): -errno, once. */
void kshim_fail_notifier(int err);
void kshim_fail_misc(int err);
/* Somebody changes the address space between read_begin and read_retry, @n times. */
void kshim_fail_retry(int n);
/* For the next @n walks there is no page table. */
void kshim_lose_tables(int n);

/* Xen: guests, grants, what is mapped. */
#define XEN_GREFS	1024u		/* of each guest */
#define XEN_GUESTS	8u		/* numbers 1 to 8 */
#define XEN_FRAMES	256u		/* machine frames of guests, from XEN_MFN on */
#define XEN_MFN		0x100000u

enum xen_operation {
	XEN_MAP_KERNEL,
	XEN_MAP_USER,
	XEN_UNMAP_KERNEL,
	XEN_UNMAP_USER,
	XEN_COPY,
	XEN_NR_OPERATIONS,
};

struct xen_mapping {
	bool live;
	bool user;
	bool refused;			/* the user's: Xen refused to unmap it */
	bool rdonly;
	domid_t domid;
	grant_ref_t gref;
	u64 mfn;
	u64 address;
};

void xen_guest_add(domid_t domid);
void xen_guest_remove(domid_t domid);
void xen_grant(domid_t domid, grant_ref_t gref, u64 mfn, bool rdonly);
void xen_revoke(domid_t domid, grant_ref_t gref);
u8 *xen_frame(u64 mfn);
/* Each operation of this kind on this grant gets this status; 0: no more. */
void xen_inject(enum xen_operation operation, domid_t domid, grant_ref_t gref, s16 status);
s16 xen_injected(enum xen_operation operation, domid_t domid, grant_ref_t gref);
/* The Nth hypercall of this kind fails as a whole. */
void xen_fail_call(enum xen_operation operation, int nth);
/* How many mappings there may be. */
void xen_limit(unsigned int handles);
unsigned int xen_count(bool user);
/* How many mappings for the kernel (or user) this grant has. */
unsigned int xen_count_grant(domid_t domid, grant_ref_t gref, bool user);
/* What the page stands for. */
bool xen_page(const struct page *page, struct xen_mapping *mapping);
/*
 * Clear the entries of user mappings that Xen refused to unmap: Linux could only
 * crash now, and a test goes on.
 */
void xen_release_entries(void);
void xen_reset(void);

/* For the shim's own parts. */
unsigned int xen_forget(void (*forget)(const struct xen_mapping *mapping));
bool xen_entry_is_granted(const pte_t *pte);
/* Xen is about to clear it: its table must be locked. */
void kshim_entry_goes(const pte_t *pte);
void kshim_put_file(struct file *file);
int kshim_call_mmap(struct file *file, struct vm_area_struct *vma);
long kshim_live_allocations(void);
bool kshim_rcu_run(void);
void kshim_zero_counters(void);
struct address_space *kshim_mapping(void);

/* Page-table entries: granted ones are Xen's. */
#define KSHIM_PTE_PRESENT	0x1ul
#define KSHIM_PTE_GRANTED	0x200ul

#endif
