/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Discards of a raw image, off the workers' threads. Part of store/raw.c. */
#ifndef STORE_DISCARDER_H
#define STORE_DISCARDER_H

#include <pthread.h>
#include <stdbool.h>

#include "image/image.h"
#include "store/io.h"

struct discarder {
	const struct image *image;
	pthread_mutex_t mutex;		/* of all below */
	pthread_cond_t more;		/* something to do, or the end */
	struct io *first;
	struct io **end;
	bool started;
	bool stop;
	pthread_t thread;
};

void discarder_init(struct discarder *discarder, const struct image *image);
/* Nothing may be on its way. */
void discarder_uninit(struct discarder *discarder);

/*
 * Carry out @io, an IO_DISCARD. It ends at once if there is nothing to do, or
 * with -EOPNOTSUPP if the image cannot discard. Any worker's thread.
 */
void discarder_submit(struct discarder *discarder, struct io *io);

#endif /* STORE_DISCARDER_H */
