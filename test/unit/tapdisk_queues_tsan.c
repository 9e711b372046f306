// SPDX-License-Identifier: GPL-2.0-or-later
/* The same tests under ThreadSanitizer. */
#include "tapdisk_queues.c"
