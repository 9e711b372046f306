/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands between a frontend's queue and the image: a stack of layers, and
 * one I/O on its way through them.
 *
 *	queue --> layer --> layer --> ... --> raw image (store/raw.c)
 *
 * A layer is given an I/O by its submit(). It may
 *	answer it			io_done(io, error)
 *	pass it on, changed or not	layer_submit(layer->below, io)
 *	see its end, too		io_hook(io, layer, data), then pass it on
 *	keep it for a while, and then do one of these
 *	pass on others of its own in its place, and answer it when they ended.
 *
 * Threads: an I/O belongs to the worker that submitted it. Its layers run, and
 * it ends, on that worker's thread; who holds it and wants to go on from
 * another thread sends the note (worker_send()). Several workers use one stack
 * at the same time: what a layer keeps for all I/O needs a lock or atomics.
 *
 * Nothing here blocks, and nothing is allocated for an I/O that passes through.
 */
#ifndef STORE_IO_H
#define STORE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/worker.h"
#include "store/range_lock.h"

enum io_op {
	IO_READ,
	IO_WRITE,
	IO_FLUSH,	/* what was answered before is on stable storage */
	IO_DISCARD,	/* the content is of no use any more */
	IO_NR_OPS,
};

/* Flags. */
#define IO_SECURE	(1u << 0)	/* discard: must not be found again */

#define IO_HOOKS_MAX	8		/* layers that want to see one I/O end */

struct io;
struct json_object;
struct layer;
struct io_source;

/* The grant behind an address of a buffer. */
struct io_grant {
	uint32_t domid;
	uint32_t gref;
	uint64_t mfn;	/* ~0: hidden from who asks */
	int error;	/* 0, or -errno: there is none, or nobody knows */
};

struct io_source_ops {
	/*
	 * The grants behind @nr addresses within the buffers of I/O that this
	 * source has in flight; entry by entry. 0, or -errno: none was looked up.
	 * On the thread of the I/O's worker.
	 */
	int (*grants)(const struct io_source *source, const void *const *addresses,
		      unsigned int nr, struct io_grant *grants);
};

/* Where I/O comes from; outlives it. Part of whatever submits I/O. */
struct io_source {
	const struct io_source_ops *ops;	/* or NULL: no grants to be known */
	uint32_t domid;
	uint32_t devid;
};

/* One I/O. Who submits it fills in the first part, and may use it again once it ended. */
struct io {
	enum io_op op;
	unsigned int flags;
	uint64_t offset;		/* in bytes, multiples of 512, as is the length */
	uint64_t bytes;			/* 0 for a flush */
	const struct iovec *iov;	/* of reads and writes; stays as it is until done() */
	unsigned int nr_iov;
	struct worker *worker;
	const struct io_source *source;	/* or NULL: our own */
	/*
	 * It ended, well (0) or not (-errno, never a short transfer). Called once,
	 * on the worker's thread: from its loop, or while submit() still runs.
	 * Should leave all work to a loop task.
	 */
	void (*done)(struct io *io, int error);

	/* For who holds the I/O at the time; of no meaning between holders. */
	struct io *next;
	struct note note;
	struct timer timer;
	struct aio_op aio;
	struct layer *waits_in;
	uint64_t progress;
	int result;

	/* While a write or discard passes through store/rmw.c. */
	struct range range;

	unsigned int nr_hooks;		/* 0 when submitted */
	struct io_hook {
		struct layer *layer;
		uint64_t data;
	} hooks[IO_HOOKS_MAX];
};

struct layer_ops {
	const char *name;

	/*
	 * Take @io. I/O queued with libaio is submitted by whoever called the
	 * topmost layer; a layer that goes on later, from the loop, calls
	 * aio_submit() itself when it has passed on what it had.
	 */
	void (*submit)(struct layer *layer, struct io *io);

	/*
	 * An I/O that was hooked (io_hook()) ended below, with @error; @data is
	 * what was given with it. Must get io_done() sooner or later, perhaps with
	 * another error. NULL for a layer that hooks nothing.
	 */
	void (*done)(struct layer *layer, struct io *io, uint64_t data, int error);

	/*
	 * What it counted, a new object; for "tap-ctl stats". On any thread that
	 * is not a worker's, or on one. NULL: nothing to tell.
	 */
	struct json_object *(*stats)(struct layer *layer);

	/* No I/O is on its way. */
	void (*destroy)(struct layer *layer);
};

/* The head of each layer's own structure. */
struct layer {
	const struct layer_ops *ops;
	struct layer *below;		/* NULL: this is the image */
};

static inline void layer_submit(struct layer *layer, struct io *io)
{
	layer->ops->submit(layer, io);
}

/* Have @layer->ops->done called when @io ends; before it is passed on. */
static inline void io_hook(struct io *io, struct layer *layer, uint64_t data)
{
	io->hooks[io->nr_hooks++] = (struct io_hook){ layer, data };
}

/* @io ended: tell who hooked it last, in the end who submitted it. */
static inline void io_done(struct io *io, int error)
{
	const struct io_hook *hook;

	if (!io->nr_hooks) {
		io->done(io, error);
		return;
	}
	hook = &io->hooks[--io->nr_hooks];
	hook->layer->ops->done(hook->layer, io, hook->data, error);
}

#endif /* STORE_IO_H */
