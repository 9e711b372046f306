// SPDX-License-Identifier: GPL-2.0-only
/* Linux 5.11 renamed vm_ops->split. */
#include <linux/mm.h>

const struct vm_operations_struct probe = { .may_split = NULL };
