/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock on an image: one disk that writes it, or any number that read it. It
 * belongs to the open file (F_OFD_SETLK, fcntl(2)), so that it goes with the
 * descriptor to another process and ends with the last one; on a network file
 * system it holds between hosts where the server has locks.
 *
 * It is not among the bytes that QEMU locks: libxl has QEMU open a raw image once
 * more for the emulated disk of an HVM guest, which must not be refused.
 */
#ifndef IMAGE_LOCK_H
#define IMAGE_LOCK_H

#include <stdbool.h>

/*
 * Lock @fd, which is open as @readonly says. 0; -EBUSY: another disk has it in a
 * way that does not go with this one; or -errno, where the file system has no
 * locks. Does not wait, and may be tried again.
 */
int image_lock(int fd, bool readonly);

#endif /* IMAGE_LOCK_H */
