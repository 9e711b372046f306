// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/aio.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define AIO_BATCH 32

/*
 * What ended lies in memory that the kernel shares with us, at the address that is
 * the context's name; the kernel moves the tail, we the head. Taken from there it
 * costs no system call.
 */
struct aio_ring {
	uint32_t id;
	uint32_t nr;
	uint32_t head;
	uint32_t tail;
	uint32_t magic;
	uint32_t compatible;
	uint32_t incompatible;
	uint32_t header_bytes;
	struct io_event events[];
};

#define AIO_RING_MAGIC 0xa10a10a1u

static int reap(const struct aio *aio, struct io_event *events)
{
	struct aio_ring *ring = (struct aio_ring *)aio->context;
	struct timespec no_wait = { 0 };
	uint32_t head, tail;
	int nr = 0;

	/* Another layout than the one we know. */
	if (ring->magic != AIO_RING_MAGIC || ring->incompatible ||
	    ring->header_bytes != sizeof(*ring))
		return io_getevents(aio->context, 0, AIO_BATCH, events, &no_wait);
	head = ring->head;
	tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	for (; head != tail && nr < AIO_BATCH; head = (head + 1) % ring->nr)
		events[nr++] = ring->events[head];
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	return nr;
}

/* The eventfd has fired: take all that ended, then submit what waited. */
static void aio_ready(struct loop_source *source)
{
	struct aio *aio = (struct aio *)((char *)source - offsetof(struct aio, source));
	struct io_event events[AIO_BATCH];
	int nr;
	int i;

	do {
		nr = reap(aio, events);
		for (i = 0; i < nr; i++) {
			struct aio_op *op = events[i].data;

			aio->in_flight--;
			op->done(op, (long)events[i].res);
		}
	} while (nr == AIO_BATCH);
	aio_submit(aio);
}

int aio_init(struct aio *aio, struct loop *loop, unsigned int depth)
{
	int err;

	*aio = (struct aio){ .loop = loop };
	aio->queue_end = &aio->queue;
	aio->source.ready = aio_ready;
	aio->source.edge = true;
	aio->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (aio->source.fd < 0)
		return -errno;
	err = io_setup((int)depth, &aio->context);
	if (err)
		goto err_close;
	err = loop_add(loop, &aio->source);
	if (err)
		goto err_context;
	return 0;

err_context:
	io_destroy(aio->context);
err_close:
	close(aio->source.fd);
	return err;
}

void aio_uninit(struct aio *aio)
{
	loop_remove(aio->loop, &aio->source);
	io_destroy(aio->context);
	close(aio->source.fd);
}

static void enqueue(struct aio *aio, struct aio_op *op)
{
	op->iocb.data = op;
	io_set_eventfd(&op->iocb, aio->source.fd);
	op->next = NULL;
	*aio->queue_end = op;
	aio->queue_end = &op->next;
}

void aio_queue_read(struct aio *aio, struct aio_op *op, int fd,
		    const struct iovec *iov, int nr_iov, int64_t offset)
{
	/* Of one piece the kernel need not copy the list. */
	if (nr_iov == 1)
		io_prep_pread(&op->iocb, fd, iov->iov_base, iov->iov_len, offset);
	else
		io_prep_preadv(&op->iocb, fd, iov, nr_iov, offset);
	enqueue(aio, op);
}

void aio_queue_write(struct aio *aio, struct aio_op *op, int fd,
		     const struct iovec *iov, int nr_iov, int64_t offset)
{
	if (nr_iov == 1)
		io_prep_pwrite(&op->iocb, fd, iov->iov_base, iov->iov_len, offset);
	else
		io_prep_pwritev(&op->iocb, fd, iov, nr_iov, offset);
	enqueue(aio, op);
}

void aio_queue_flush(struct aio *aio, struct aio_op *op, int fd)
{
	io_prep_fdsync(&op->iocb, fd);
	enqueue(aio, op);
}

static struct aio_op *dequeue(struct aio *aio)
{
	struct aio_op *op = aio->queue;

	aio->queue = op->next;
	if (!aio->queue)
		aio->queue_end = &aio->queue;
	return op;
}

static int collect(struct aio *aio, struct iocb **iocbs)
{
	struct aio_op *op;
	int nr = 0;

	for (op = aio->queue; op && nr < AIO_BATCH; op = op->next)
		iocbs[nr++] = &op->iocb;
	return nr;
}

void aio_submit(struct aio *aio)
{
	struct iocb *iocbs[AIO_BATCH];
	int taken;
	int nr;

	while ((nr = collect(aio, iocbs)) > 0) {
		taken = io_submit(aio->context, nr, iocbs);
		/* The kernel holds as much as it can; the rest waits its turn. */
		if (taken == -EAGAIN && aio->in_flight)
			return;
		if (taken == -EINTR)
			continue;
		/* An error is the first operation's alone. */
		if (taken <= 0) {
			struct aio_op *op = dequeue(aio);

			op->done(op, taken ? taken : -EIO);
			continue;
		}
		aio->in_flight += (unsigned int)taken;
		while (taken--)
			dequeue(aio);
	}
}
