// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on every kernel: if not, no probe can be trusted. */
#include <linux/mm.h>
