// SPDX-License-Identifier: GPL-2.0-only
/* The page behind a special page-table entry, up to Linux 6.17. */
#include <linux/mm.h>

const struct vm_operations_struct probe = { .find_special_page = NULL };
