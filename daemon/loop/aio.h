/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libaio, in batches: requests queue up and are submitted together; what
 * ended is reaped together, after an eventfd woke the loop.
 */
#ifndef LOOP_AIO_H
#define LOOP_AIO_H

#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "loop/loop.h"

/* One operation, part of the request it serves. */
struct aio_op {
	struct iocb iocb;
	/*
	 * Called once, from aio_submit() or the loop; @result is the number of
	 * bytes moved, or -errno. Should leave all work to a loop task, so that
	 * it is done for all operations that ended together.
	 */
	void (*done)(struct aio_op *op, long result);
	struct aio_op *next;
};

struct aio {
	io_context_t context;
	struct loop *loop;
	struct loop_source source;	/* the eventfd */
	struct aio_op *queue;		/* not yet submitted, in order */
	struct aio_op **queue_end;
	unsigned int in_flight;
};

/*
 * @depth: operations the kernel holds at one time; more wait in the queue.
 * 0 or -errno (-EAGAIN: the host's fs.aio-max-nr is used up).
 */
int aio_init(struct aio *aio, struct loop *loop, unsigned int depth);
/* Nothing may be queued or in flight. */
void aio_uninit(struct aio *aio);

/* @iov must stay valid until done(). @offset in bytes. */
void aio_queue_read(struct aio *aio, struct aio_op *op, int fd,
		    const struct iovec *iov, int nr_iov, int64_t offset);
void aio_queue_write(struct aio *aio, struct aio_op *op, int fd,
		     const struct iovec *iov, int nr_iov, int64_t offset);
/* As fdatasync(2). */
void aio_queue_flush(struct aio *aio, struct aio_op *op, int fd);

/* Submit what is queued, as much as the kernel takes. */
void aio_submit(struct aio *aio);

#endif /* LOOP_AIO_H */
