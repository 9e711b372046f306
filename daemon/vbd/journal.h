/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in flight, in memory that outlives this process: when it is killed, the
 * next one takes the same requests up again, and no guest sees more than a pause.
 * The ring alone does not do for that: responses overwrite requests that are not
 * answered yet.
 *
 * One entry for each request of a queue, written by that queue's thread, by plain
 * stores: before a request counts as taken, before its response is in the ring,
 * and after that is published. Whatever is found in the memory is harmless: it
 * is checked as what stands in a ring.
 *
 * It holds grants' numbers, and never a guest's data.
 */
#ifndef VBD_JOURNAL_H
#define VBD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen/blkif.h"

/* The first word of the memory. Others than tapdisk look at it (tapdisk/ctl_proto.h). */
enum journal_state {
	JOURNAL_EMPTY = 0,	/* nothing was taken yet */
	JOURNAL_SERVING = 1,	/* there may be requests to be taken up */
	JOURNAL_ENDED = 2,	/* the backend was told to end */
};

struct journal_shape {
	uint32_t protocol;	/* enum blkif_protocol */
	uint32_t nr_queues;
	uint32_t entries;	/* of each ring */
};

struct journal_head {
	uint32_t state;
	uint32_t flush_failed;	/* writes are refused, as by the backend before */
	struct journal_shape shape;
	uint32_t pad;
	uint64_t io_lock;	/* where its user locks the image; 0: nowhere */
	uint32_t reserved[8];
};

enum journal_entry_state {
	JOURNAL_FREE = 0,
	JOURNAL_IN_FLIGHT = 1,
	JOURNAL_ANSWERED = 2,	/* in the ring, or about to be; perhaps published */
};

struct journal_entry {
	uint32_t state;
	uint32_t req;			/* the request's index */
	uint32_t rsp;			/* the response's, */
	int32_t status;			/* and enum blkif_status of it */
	struct blkif_entry wire;	/* as it was copied out of the ring */
};

struct journal_queue {
	uint32_t req_cons;		/* what is before this was taken */
	uint32_t reserved[15];
	struct journal_entry entries[];
};

_Static_assert(sizeof(struct journal_head) == 64 && sizeof(struct journal_entry) == 128 &&
	       sizeof(struct journal_queue) == 64, "processes of other builds read it");

size_t journal_bytes(const struct journal_shape *shape);

/*
 * Begin to use @memory, zeroed or left by another backend. 1: there may be
 * requests to be taken up; 0: it is new; -EINVAL: it is of another ring, or ended.
 */
int journal_open(struct journal_head *memory, const struct journal_shape *shape);
/* From now on it matters. */
void journal_begin(struct journal_head *memory);
/* It does not any more. */
void journal_end(struct journal_head *memory);

/* A queue's part; each function does nothing for one that has none (NULL). */
struct journal_queue *journal_queue(struct journal_head *memory, unsigned int index);
/* The ring is new. */
void journal_queue_init(struct journal_queue *queue, uint32_t req_cons);
/* Request number @req was copied; @slot is who handles it. */
void journal_take(struct journal_queue *queue, uint32_t slot, uint32_t req,
		  const struct blkif_entry *wire);
/* Response number @rsp is about to be written. */
void journal_answer(struct journal_queue *queue, uint32_t slot, uint32_t rsp,
		    enum blkif_status status);
/* It is published. */
void journal_free(struct journal_queue *queue, uint32_t slot);

/* Each slot is in one of these; each has room for a ring's. */
struct journal_found {
	uint16_t *slots;	/* to be done again, in the order they were taken */
	uint16_t *answered;	/* in the order of the responses */
	uint16_t *free;
	uint32_t nr, nr_answered, nr_free;
};

/*
 * For a ring that was just attached: resume it, and write again the responses that
 * the frontend was not told of. 0, -ENOMEM, or -EPROTO: journal and ring do not agree.
 */
int journal_recover(struct journal_queue *queue, struct ring *ring,
		    struct journal_found *found);
/* The copy of such a request. */
struct blkif_entry journal_wire(const struct journal_queue *queue, uint32_t slot);

/* Tests end the process at the Nth of these. */
#ifdef VBD_KILL_POINTS
void kill_point(void);
#else
static inline void kill_point(void)
{
}
#endif

#endif /* VBD_JOURNAL_H */
