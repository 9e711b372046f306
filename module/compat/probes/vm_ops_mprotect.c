// SPDX-License-Identifier: GPL-2.0-only
/* Linux 5.11 asks vm_ops->mprotect; before, what may change is in vm_flags. */
#include <linux/mm.h>

static int probe_mprotect(struct vm_area_struct *vma, unsigned long start,
			  unsigned long end, unsigned long flags)
{
	return 0;
}

const struct vm_operations_struct probe = { .mprotect = probe_mprotect };
