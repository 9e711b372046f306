/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flushes of one store, one at a time: those that come while one is under way share
 * the next. How one is done is its user's affair.
 */
#ifndef STORE_FLUSHER_H
#define STORE_FLUSHER_H

#include <pthread.h>

#include "store/io.h"

struct flusher {
	void (*begin)(struct note *note);
	pthread_mutex_t mutex;		/* of all below */
	struct io *running;		/* what the flush under way is for; NULL: there is none */
	struct io *waiting;		/* what the next one is for, */
	struct io **end;		/* in the order of their coming */
	int error;			/* of one that failed, and of all from then on */
};

/*
 * @begin: flush the store for the I/O whose note it gets, on the thread of that one's
 * worker, and call flusher_ended() there.
 */
void flusher_init(struct flusher *flusher, void (*begin)(struct note *note));
/* Nothing may be on its way. */
void flusher_uninit(struct flusher *flusher);

/*
 * Take @io, an IO_FLUSH: what had ended when it came is durable when it ends well.
 * Any worker's thread.
 */
void flusher_submit(struct flusher *flusher, struct io *io);
/* The flush that was begun for @io has ended, with 0 or -errno. */
void flusher_ended(struct flusher *flusher, struct io *io, int error);

#endif /* STORE_FLUSHER_H */
