/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block protocol's shared ring (xen/io/blkif.h, xen/io/ring.h), from the
 * backend's side, in the three layouts that frontends use. Everything in the
 * ring is guest memory: it may change at any time and is never trusted. A
 * request is copied once; the copy is all that anybody sees.
 */
#ifndef XEN_BLKIF_H
#define XEN_BLKIF_H

#include <stdbool.h>
#include <stdint.h>

#define BLKIF_PAGE_BYTES	4096u
#define BLKIF_SEGMENTS_MAX	11u	/* of one request, without indirection */
#define BLKIF_INDIRECT_MAX	256u	/* with it: as many as we offer */
#define BLKIF_INDIRECT_PAGES	8u	/* room for that in the protocol */
#define BLKIF_SEGMENT_BYTES	8u
#define BLKIF_SECTORS_PER_PAGE	8u
#define BLKIF_RING_PAGES_MAX	16u

/* Operations. */
enum blkif_op {
	BLKIF_READ = 0,
	BLKIF_WRITE = 1,
	BLKIF_BARRIER = 2,
	BLKIF_FLUSH = 3,
	BLKIF_DISCARD = 5,
	BLKIF_INDIRECT = 6,
};

#define BLKIF_DISCARD_SECURE	(1u << 0)	/* flag of a discard */

/* What the frontend is told; made from -errno by blkif_status() alone. */
enum blkif_status {
	BLKIF_OKAY = 0,
	BLKIF_ERROR = -1,
	BLKIF_EOPNOTSUPP = -2,
};

enum blkif_status blkif_status(int err);

enum blkif_protocol {
	BLKIF_NATIVE,
	BLKIF_X86_32,
	BLKIF_X86_64,
};

/* Protocol by the name of our control protocol. 0 or -EINVAL. */
int blkif_protocol_parse(const char *name, enum blkif_protocol *protocol);

struct blkif_segment {
	uint32_t gref;
	uint8_t first_sect;	/* within the page, in 512-byte units */
	uint8_t last_sect;	/* inclusive */
};

/* A request, copied out of the ring and not yet checked. */
struct blkif_request {
	uint64_t id;		/* the frontend's; opaque, need not be unique */
	uint64_t sector;	/* in 512-byte units */
	uint64_t nr_sectors;	/* of a discard */
	uint8_t op;		/* of an indirect one, the one inside */
	uint8_t flags;		/* of a discard */
	bool indirect;		/* segments are in the pages below */
	uint16_t nr_segments;
	uint32_t pages[BLKIF_INDIRECT_PAGES];	/* grants */
	struct blkif_segment segments[BLKIF_SEGMENTS_MAX];
};

/* The largest entry of a ring is 112 bytes. */
#define BLKIF_ENTRY_WORDS	28u

/* An entry as it was copied out of the ring, whatever its layout. */
struct blkif_entry {
	uint32_t words[BLKIF_ENTRY_WORDS];
};

struct blkif_layout;

struct ring {
	const struct blkif_layout *layout;
	volatile void *shared;
	uint32_t entries;	/* a power of two */
	uint32_t req_cons;	/* next request to take */
	uint32_t rsp_prod;	/* next response to write; ours alone */
	uint32_t rsp_pushed;	/* rsp_prod as the frontend was last told */
	bool halted;		/* the frontend broke the ring's rules */
};

/* How many requests a ring of @nr_pages (1, 2, 4, 8 or 16) holds. */
uint32_t ring_entries(enum blkif_protocol protocol, uint32_t nr_pages);

/*
 * Start where the last backend stopped. @shared: the ring's pages, mapped in a
 * row. 0, or -EPROTO when the frontend's indices make no sense.
 */
int ring_attach(struct ring *ring, enum blkif_protocol protocol, void *shared,
		uint32_t nr_pages);

/*
 * After ring_attach(): requests up to @req_cons were taken by a backend before
 * us, which did not answer all of them. 0, or -EPROTO when that cannot be so.
 */
int ring_resume(struct ring *ring, uint32_t req_cons);

/*
 * How many requests wait. Reads the frontend's index once. -EPROTO when it
 * is further ahead than a ring can hold, or has moved back; the ring is halted then,
 * for good.
 */
int ring_waiting(struct ring *ring);

/* Whether all requests are taken, or nobody will; on any thread, as of now. */
bool ring_is_empty(const struct ring *ring);

/* Copy the next request, one of those that ring_waiting() counted. */
void ring_take(struct ring *ring, struct blkif_entry *copy);
/* What such a copy says; nothing of it is checked. */
void ring_parse(const struct ring *ring, const struct blkif_entry *entry_copy,
		struct blkif_request *request);

/* One segment as it stands in the ring and in indirect pages, @from a copy. */
struct blkif_segment blkif_segment(const uint8_t from[BLKIF_SEGMENT_BYTES]);

/* Write a response; the frontend sees it after ring_push(). */
void ring_respond(struct ring *ring, uint64_t id, uint8_t op,
		  enum blkif_status status);

/* Publish responses; true: the frontend wants to be notified of them. */
bool ring_push(struct ring *ring);

/*
 * Ask for an event with the @ahead-th request from now, 1 being the next; true:
 * that one has come already.
 */
bool ring_ask_event(struct ring *ring, uint32_t ahead);

#endif /* XEN_BLKIF_H */
