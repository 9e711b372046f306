/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request on its way, and the checks of what a guest asks for. A request
 * is on one list of its vbd at a time, or with the kernel, or waiting for
 * pages to drain.
 */
#ifndef VBD_REQUEST_H
#define VBD_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "image/image.h"
#include "loop/aio.h"
#include "xen/blkif.h"
#include "xen/xenio.h"

struct vbd;

struct request {
	struct aio_op aio;
	struct vbd *vbd;
	struct request *next;
	struct blkif_request wire;	/* our copy, checked */
	enum xenio_arena arena;
	uint32_t slot;			/* of segment 0; the others follow */
	uint16_t mapped;		/* segments that have a grant mapped */
	uint8_t draining;		/* pages that I/O still holds */
	int error;			/* 0 or -errno, for the response */
	uint32_t bytes;
	int nr_iov;
	struct iovec iov[BLKIF_SEGMENTS_MAX];
};

struct request_list {
	struct request *first;
	struct request **end;
};

void request_list_init(struct request_list *list);
void request_list_add(struct request_list *list, struct request *request);
/* The first one, or NULL. */
struct request *request_list_take(struct request_list *list);

/*
 * Is @wire a request that the protocol and @image allow (xen/io/blkif.h)? 0,
 * or -EOPNOTSUPP (operation), -EROFS, -EINVAL. @bytes: its length.
 */
int request_check(const struct blkif_request *wire, const struct image *image,
		  bool readonly, uint32_t *bytes);

/* Fill in iov from the segments' slots; neighbours become one. */
void request_gather(struct request *request, const struct xenio *xenio);

#endif /* VBD_REQUEST_H */
