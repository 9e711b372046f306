/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all frontends and queues of a disk share: the image, the layers above
 * it, and whether it can still be trusted.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "image/image.h"
#include "store/io.h"

struct store {
	struct image *image;
	/* NULL: closed. A layer can come while I/O is on its way (filter/trace.h). */
	struct layer *_Atomic top;
	/*
	 * A flush failed: what was acknowledged may be lost, and no later
	 * flush can prove otherwise. Writes fail from then on.
	 */
	atomic_bool flush_failed;
};

/* @image stays the caller's, and must outlive the store. 0 or -ENOMEM. */
int store_open(struct store *store, struct image *image);
/* No I/O may be on its way. Harmless for one that is closed. */
void store_close(struct store *store);

/* See struct io. What libaio is to do waits for aio_submit(&io->worker->aio). */
static inline void store_submit(struct store *store, struct io *io)
{
	layer_submit(store->top, io);
}

#endif /* STORE_STORE_H */
