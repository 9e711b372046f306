/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What module/ needs of a kernel, for programs: included before each of its
 * sources (-include), which stay unchanged. The kernel headers that these name
 * are empty files here, made by the build.
 *
 * Memory order is the kernel's (READ_ONCE() is a relaxed access, and so on), so
 * that ThreadSanitizer sees the module's own races and no others. What would
 * be a bug in the kernel ends the program with a sentence (kshim_bug()).
 */
#ifndef KSHIM_H
#define KSHIM_H

#include "base.h"
#include "lists.h"
#include "sync.h"
#include "memory.h"
#include "xen.h"
#include "mm.h"
#include "file.h"
#include "trace.h"

#endif
