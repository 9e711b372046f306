/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What xenio asks the kernel for by ioctl(2): for a filter of system calls. */
#ifndef XEN_XENIO_IOCTLS_H
#define XEN_XENIO_IOCTLS_H

#include <stddef.h>
#include <stdint.h>

/* The request numbers; *@nr is how many. */
const uint32_t *xenio_ioctls(size_t *nr);

#endif /* XEN_XENIO_IOCTLS_H */
