/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In place of module/compat/compat.h, whose include guard this takes: the kernel
 * that the shim is has all features.
 */
#ifndef XENTAP_COMPAT_H
#define XENTAP_COMPAT_H

#define XENTAP_PV_USER_MAP
#define XENTAP_HAVE_VM_OPS_MPROTECT
#define XENTAP_COMPAT_MAY_SPLIT	may_split
#define XENTAP_COMPAT_GFP_MAPPED GFP_KERNEL_ACCOUNT
#define XENTAP_COMPAT_FIND_PAGE	find_normal_page

#define xentap_compat_vm_flags_set(vma, flags)		((void)((vma)->vm_flags |= (flags)))
#define xentap_compat_vm_flags_clear(vma, flags)	((void)((vma)->vm_flags &= ~(flags)))
#define xentap_compat_mmap_write_locked(mm)		(READ_ONCE((mm)->writer) != 0)

#endif
