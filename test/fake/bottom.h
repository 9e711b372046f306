/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory, as the lowest layer of a store. It takes whole blocks only
 * and is as unhelpful as a disk may be: a read sees the disk as it is when the
 * read is asked for, a write changes it only when it ends, and what is in
 * flight ends in any order, late.
 */
#ifndef FAKE_BOTTOM_H
#define FAKE_BOTTOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/io.h"

#define BOTTOM_WORKERS	8u
#define BOTTOM_PENDING	1024u

struct bottom;

struct bottom_queue {
	struct loop_task task;
	struct bottom *bottom;
	struct worker *worker;
	struct io *pending[BOTTOM_PENDING];
	unsigned int nr;
	unsigned int seed;
};

struct bottom {
	struct layer layer;
	pthread_mutex_t mutex;		/* of data, which a real disk has not */
	uint8_t *data;
	uint64_t bytes;
	uint32_t block_bytes;
	bool manual;			/* ends nothing by itself */
	int error;			/* of all I/O that ends from now on */
	atomic_uint refused;		/* what was not aligned, or out of range */
	atomic_uint ops[IO_NR_OPS];
	struct bottom_queue queues[BOTTOM_WORKERS];
	unsigned int nr_queues;
};

void bottom_init(struct bottom *bottom, uint64_t bytes, uint32_t block_bytes);
void bottom_uninit(struct bottom *bottom);
/* Before any I/O, and for each worker whose I/O comes here. */
void bottom_add_worker(struct bottom *bottom, struct worker *worker);

/* For manual ones, of the first worker: what is in flight, oldest first. */
unsigned int bottom_pending(const struct bottom *bottom);
const struct io *bottom_peek(const struct bottom *bottom, unsigned int i);
/* End the I/O at place @i. */
void bottom_end(struct bottom *bottom, unsigned int i);

#endif /* FAKE_BOTTOM_H */
