/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image for one disk that writes it, or for any number that read it. */
#ifndef CLI_IMAGE_CLAIM_H
#define CLI_IMAGE_CLAIM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Lock image @fd, opened from @path as @readonly says. 0; 1: another disk has it,
 * which is of the same virtual machine under another domain number. That is a
 * migration within this host: the old domain runs no more when the new one
 * begins to, and tapdisk is to lock the image as soon as it is free. Or -errno with
 * one sentence in @why; -EBUSY: it is in use. @why is not empty on success where
 * the file system has no locks.
 */
int image_claim(int fd, const char *path, bool readonly, char *why, size_t why_size);

#endif /* CLI_IMAGE_CLAIM_H */
