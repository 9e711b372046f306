// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on no kernel: if it does, no probe can be trusted. */
#include <linux/mm.h>

void probe(void);
void probe(void)
{
	xentap_no_kernel_has_this();
}
