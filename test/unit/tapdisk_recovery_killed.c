// SPDX-License-Identifier: GPL-2.0-or-later
/* The same with backends that can be made to die at each store. */
#include "tapdisk_recovery.c"
