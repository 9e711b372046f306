// SPDX-License-Identifier: GPL-2.0-only
/* Linux 6.18 renamed vm_ops->find_special_page, and made it an option. */
#include <linux/mm.h>

const struct vm_operations_struct probe = { .find_normal_page = NULL };
