// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/raw.h"

#include <errno.h>
#include <stdlib.h>

#include "store/discarder.h"
#include "store/flusher.h"

struct raw {
	struct layer layer;
	const struct image *image;
	struct discarder discarder;
	struct flusher flusher;
};

#define raw_of(layer_) ((struct raw *)((char *)(layer_) - offsetof(struct raw, layer)))

static int transfer_error(const struct io *io, long result)
{
	if (result >= 0)
		return (uint64_t)result == io->bytes ? 0 : -EIO;
	/* "Not supported" would mean the operation itself, to a frontend. */
	return result == -EOPNOTSUPP ? -EIO : (int)result;
}

static void transfer_done(struct aio_op *op, long result)
{
	struct io *io = (struct io *)((char *)op - offsetof(struct io, aio));

	io_done(io, transfer_error(io, result));
}

static void flush_done(struct aio_op *op, long result)
{
	struct io *io = (struct io *)((char *)op - offsetof(struct io, aio));

	flusher_ended(&raw_of(io->waits_in)->flusher, io, result < 0 ? (int)result : 0);
}

static void begin_flush(struct note *note)
{
	struct io *io = (struct io *)((char *)note - offsetof(struct io, note));

	io->aio.done = flush_done;
	aio_queue_flush(&io->worker->aio, &io->aio, raw_of(io->waits_in)->image->fd);
}

static void raw_submit(struct layer *layer, struct io *io)
{
	struct raw *raw = raw_of(layer);
	struct aio *aio = &io->worker->aio;
	int fd = raw->image->fd;

	io->aio.done = transfer_done;
	switch (io->op) {
	case IO_READ:
		aio_queue_read(aio, &io->aio, fd, io->iov, (int)io->nr_iov, (int64_t)io->offset);
		break;
	case IO_WRITE:
		aio_queue_write(aio, &io->aio, fd, io->iov, (int)io->nr_iov, (int64_t)io->offset);
		break;
	case IO_FLUSH:
		io->waits_in = layer;
		flusher_submit(&raw->flusher, io);
		break;
	case IO_DISCARD:
		discarder_submit(&raw->discarder, io);
		break;
	default:
		io_done(io, -EOPNOTSUPP);
	}
}

static void raw_destroy(struct layer *layer)
{
	struct raw *raw = raw_of(layer);

	discarder_uninit(&raw->discarder);
	flusher_uninit(&raw->flusher);
	free(raw);
}

static const struct layer_ops raw_ops = {
	.name = "raw",
	.submit = raw_submit,
	.destroy = raw_destroy,
};

int raw_create(const struct image *image, struct layer **out)
{
	struct raw *raw = calloc(1, sizeof(*raw));

	if (!raw)
		return -ENOMEM;
	raw->layer.ops = &raw_ops;
	raw->image = image;
	discarder_init(&raw->discarder, image);
	flusher_init(&raw->flusher, begin_flush);
	*out = &raw->layer;
	return 0;
}
