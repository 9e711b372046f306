// SPDX-License-Identifier: GPL-2.0-only
/* Linux 6.3 made vma->vm_flags const and gave vm_flags_set(), _clear(). */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTCOPY);
	vm_flags_clear(vma, VM_MAYWRITE);
}
