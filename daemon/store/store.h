/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all frontends and queues of a disk share: the image, the layers above
 * it, and whether it can still be trusted.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "store/io.h"

/* Memory that outlives this process, in which whoever goes on with the disk looks. */
struct store_witness {
	uint32_t *word;			/* 1 when a flush has failed; NULL: not in use */
	struct store_witness *next;
};

struct store {
	struct image *image;
	/* NULL: closed. A layer can come while I/O is on its way (filter/trace.h). */
	struct layer *_Atomic top;
	/*
	 * A flush failed: what was acknowledged may be lost, and no later
	 * flush can prove otherwise. Writes fail from then on.
	 */
	atomic_bool flush_failed;
	pthread_mutex_t mutex;		/* of what follows */
	struct store_witness *witnesses;
};

/* @image stays the caller's, and must outlive the store. 0 or -ENOMEM. */
int store_open(struct store *store, struct image *image);
/* No I/O may be on its way. Harmless for one that is closed. */
void store_close(struct store *store);

/* A flush failed, whoever asked for it. False if one had before. Any thread. */
bool store_fail(struct store *store);
/* From now on @word says so, too; @witness is the caller's until it is removed. */
void store_add_witness(struct store *store, struct store_witness *witness, uint32_t *word);
/* Harmless for one that is not in use. */
void store_remove_witness(struct store *store, struct store_witness *witness);

/* See struct io. What libaio is to do waits for aio_submit(&io->worker->aio). */
static inline void store_submit(struct store *store, struct io *io)
{
	layer_submit(store->top, io);
}

#endif /* STORE_STORE_H */
