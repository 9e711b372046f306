/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels. The core is written for the newest; each
 * wrapper here says what older ones have instead. XENTAP_HAVE_* come from
 * the probes beside this file.
 */
#ifndef XENTAP_COMPAT_H
#define XENTAP_COMPAT_H

#include <linux/mm.h>
#include <xen/interface/grant_table.h>

#include "compat_config.h"

/* Not in Linux 5.10's copy of Xen's interface. */
#ifndef GNTST_no_space
#define GNTST_no_space (-13)
#endif

#ifdef XENTAP_HAVE_VM_FLAGS_SET
static inline void xentap_compat_vm_flags_set(struct vm_area_struct *vma,
					      unsigned long flags)
{
	vm_flags_set(vma, flags);
}

static inline void xentap_compat_vm_flags_clear(struct vm_area_struct *vma,
						unsigned long flags)
{
	vm_flags_clear(vma, flags);
}
#else
static inline void xentap_compat_vm_flags_set(struct vm_area_struct *vma,
					      unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void xentap_compat_vm_flags_clear(struct vm_area_struct *vma,
						unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/*
 * For pages that user space maps. Before Linux 5.11 a page that is charged to a cgroup
 * says so where mappings are counted (PageKmemcg), and "Bad page map" is reported when
 * the last one goes.
 */
#ifdef PG_kmemcg
#define XENTAP_COMPAT_GFP_MAPPED GFP_KERNEL
#else
#define XENTAP_COMPAT_GFP_MAPPED GFP_KERNEL_ACCOUNT
#endif

#ifdef XENTAP_HAVE_VM_OPS_MAY_SPLIT
#define XENTAP_COMPAT_MAY_SPLIT may_split
#else
#define XENTAP_COMPAT_MAY_SPLIT split
#endif

/*
 * The page behind a granted page-table entry in a PV domain. A kernel can be
 * built without it: then there is no XENTAP_PV_USER_MAP.
 */
#if defined(XENTAP_HAVE_FIND_NORMAL_PAGE)
#define XENTAP_COMPAT_FIND_PAGE find_normal_page
#elif defined(XENTAP_HAVE_FIND_SPECIAL_PAGE)
#define XENTAP_COMPAT_FIND_PAGE find_special_page
#endif
#if defined(XENTAP_COMPAT_FIND_PAGE) && defined(CONFIG_XEN_PV)
#define XENTAP_PV_USER_MAP
#endif

/*
 * Whether somebody holds mmap_lock for writing: RWSEM_WRITER_LOCKED. Newer
 * kernels have that in a header; in older ones it is bit 0 as well, but in
 * kernel/locking/rwsem.c. PREEMPT_RT has another lock, but no Xen dom0 has
 * PREEMPT_RT. mmap_read_trylock() is no substitute: it fails for a writer that
 * waits, too.
 */
static inline bool xentap_compat_mmap_write_locked(struct mm_struct *mm)
{
#ifdef CONFIG_PREEMPT_RT
	return false;
#else
#ifndef RWSEM_WRITER_LOCKED
#define RWSEM_WRITER_LOCKED 1UL
#endif
	return atomic_long_read(&mm->mmap_lock.count) & RWSEM_WRITER_LOCKED;
#endif
}

#endif /* XENTAP_COMPAT_H */
