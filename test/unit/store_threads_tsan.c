// SPDX-License-Identifier: GPL-2.0-or-later
/* The same under ThreadSanitizer. */
#include "store_threads.c"
