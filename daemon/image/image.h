/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A raw image: a regular file or a block device, opened by tap-ctl with
 * O_DIRECT and handed over. Here: is it fit to be served, and its geometry.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What blkif counts in, whatever the store's block size (xen/io/blkif.h). */
#define SECTOR_SHIFT	9
#define SECTOR_BYTES	(1u << SECTOR_SHIFT)

struct image {
	int fd;				/* -1: none */
	bool readonly;
	bool is_device;
	uint64_t sectors;		/* size, in 512-byte units */
	uint32_t sector_bytes;		/* smallest unit of requests: 512 or 4096 */
	uint32_t block_bytes;		/* smallest unit of I/O: 512 to 4096 */
	uint32_t physical_bytes;	/* unit without read-modify-write */
	/*
	 * Discard: what is smaller than the granularity, or lies across its
	 * borders, may have no effect. In bytes, as the alignment, which is the
	 * place of the first border.
	 */
	bool can_discard;
	bool discard_secure;		/* the device can, so that no trace is left */
	uint32_t discard_granularity;
	uint32_t discard_alignment;
};

/*
 * Take over @fd. On success @image owns it. On error it stays the caller's,
 * and @why (of @why_size bytes) says in one sentence what is wrong and what
 * to do. @path is only for that sentence.
 */
int image_open(struct image *image, int fd, bool readonly, const char *path,
	       char *why, size_t why_size);
/*
 * Have requests come in units of @bytes, 512 (as after image_open()) or 4096.
 * 0 or -EINVAL with the reason in @why.
 */
int image_set_sector_bytes(struct image *image, uint32_t bytes, const char *path,
			   char *why, size_t why_size);
/*
 * The image may have grown: use all of it. 0 or -errno with the reason in @why,
 * -EINVAL when it has shrunk. Other threads may use it meanwhile.
 */
int image_grow(struct image *image, const char *path, char *why, size_t why_size);
/* Also fit for an image that was never opened (fd -1). */
void image_close(struct image *image);

#endif /* IMAGE_IMAGE_H */
