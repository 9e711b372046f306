/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one thread needs to serve I/O: a loop, libaio, timers, and an inbox for
 * what other threads want done here. Everything but worker_send() is for the
 * worker's own thread.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdatomic.h>

#include "loop/aio.h"
#include "loop/loop.h"
#include "loop/timers.h"

/* Something to be done on a worker's thread; part of the object it is about. */
struct note {
	void (*run)(struct note *note);
	struct note *next;
};

struct thread;

struct worker {
	struct loop *loop;
	struct thread *thread;		/* its own (loop/thread.h), or NULL */
	struct aio aio;
	struct timers timers;		/* I/O that they queue is submitted afterwards */
	struct loop_source inbox;	/* an eventfd */
	_Atomic(struct note *) notes;	/* the newest first */
	atomic_uint senders;		/* within worker_send() */
};

/*
 * @depth: see aio_init(). The loop stays the caller's, and must outlive the
 * worker. 0 or -errno (-EAGAIN: the host's fs.aio-max-nr is used up).
 */
int worker_init(struct worker *worker, struct loop *loop, unsigned int depth);
/* No I/O may be queued or in flight, no note on its way. */
void worker_uninit(struct worker *worker);

/*
 * Have @note->run called on @worker's thread, from its loop, once; I/O that it
 * queues is submitted afterwards. Notes of one sender run in the order they
 * were sent. From any thread; @note must be free until it runs.
 */
void worker_send(struct worker *worker, struct note *note);

#endif /* LOOP_WORKER_H */
