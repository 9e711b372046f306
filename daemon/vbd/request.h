/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request on its way, and the checks of what a guest asks for. A request
 * is on one list of its queue at a time, or with the store, or waiting for pages to
 * drain, or for its turn as a barrier.
 */
#ifndef VBD_REQUEST_H
#define VBD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "image/image.h"
#include "store/io.h"
#include "xen/blkif.h"
#include "xen/xenio.h"

struct mover;
struct queue;

struct request {
	struct io io;
	struct queue *queue;
	struct request *next;
	struct blkif_request wire;	/* our copy, checked */
	struct blkif_segment *segments;	/* wire's, or of an indirect request */
	struct blkif_segment *indirect;	/* room for the latter */
	uint32_t bytes;			/* of data */
	int error;			/* 0 or -errno, for the response */

	struct mover *mover;		/* moves the data; NULL: no room yet */
	unsigned int way, avoid;	/* enum data_way; bits of those that failed */
	bool lost;			/* the module lost a slot of it */
	bool again;			/* to be moved anew, another way */
	bool written;			/* a barrier, but for its last flush */
	uint16_t draining;		/* pages that I/O still holds */
	uint32_t run;			/* slot or page of segment 0; the others follow */
	uint64_t mapped[BLKIF_INDIRECT_MAX / 64];	/* segments that have a grant mapped */
	uint16_t *kept;			/* entries of persistent grants, for each segment */
	int nr_iov;
	struct iovec *iov;		/* room for BLKIF_INDIRECT_MAX */
};

struct request_list {
	struct request *first;
	struct request **end;
};

static inline void request_list_init(struct request_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static inline void request_list_add(struct request_list *list, struct request *request)
{
	request->next = NULL;
	*list->end = request;
	list->end = &request->next;
}

/* The first one, or NULL. */
static inline struct request *request_list_take(struct request_list *list)
{
	struct request *request = list->first;

	if (!request)
		return NULL;
	list->first = request->next;
	if (!list->first)
		list->end = &list->first;
	return request;
}

/* What a frontend may ask for. In sectors of 512 bytes. */
struct request_limits {
	uint64_t sectors;		/* the disk's size */
	uint32_t block_sectors;		/* everything is a multiple of this */
	bool readonly;
	bool discard;			/* was offered */
	bool discard_secure;
	uint32_t discard_sectors;	/* granularity */
	uint32_t discard_offset;	/* where the first whole piece begins */
};

static inline bool request_is_read(const struct request *request)
{
	return request->wire.op == BLKIF_READ;
}

/* Nothing but a flush: of no data of its own. */
static inline bool request_is_flush(const struct request *request)
{
	return (request->wire.op == BLKIF_FLUSH || request->wire.op == BLKIF_BARRIER) &&
	       !request->wire.nr_segments;
}

/*
 * Is the request, but for its segments, one that the protocol allows? 0, or
 * -EOPNOTSUPP (operation), -EROFS, -EINVAL. Of an indirect one, this is to be
 * known before its pages are looked at.
 */
int request_check(const struct request *request, const struct request_limits *limits);

/* The same for the segments, and where all lies. 0 with bytes set, or -EINVAL. */
int request_check_segments(struct request *request, const struct request_limits *limits);

/*
 * A discard's range, cut down to whole pieces: @sector and @nr, which is 0 when
 * there is none. 0 or -EINVAL.
 */
int request_discard_range(const struct request *request, const struct request_limits *limits,
			  uint64_t *sector, uint64_t *nr);

/* Fill in iov; @page says where the pages are, one after the other. */
void request_gather_run(struct request *request, uint8_t *page);

/* Add segment @i, whose page is at @page, to iov; neighbours become one. */
void request_gather(struct request *request, unsigned int i, uint8_t *page);

static inline bool request_is_mapped(const struct request *request, unsigned int i)
{
	return request->mapped[i / 64] >> (i % 64) & 1;
}

static inline void request_set_mapped(struct request *request, unsigned int i)
{
	request->mapped[i / 64] |= 1ull << (i % 64);
}

#endif /* VBD_REQUEST_H */
