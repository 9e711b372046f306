// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two writes into one block must not both read it before either wrote it: the
 * later one would bring back what was there before the other. So each write
 * holds the range of its blocks; one that has to read first holds it alone.
 * Writes of whole blocks need not wait for one another, and pass through with
 * nothing but an entry in the list of ranges; a discard counts as one, lest
 * what was discarded is written again. Reads need no lock: while a block is
 * written, its other bytes are written as they were.
 *
 * A buffer takes a small piece of a long I/O at a time, and there are only a
 * few: whoever finds none waits in line, so that memory stays bounded whatever
 * a guest asks for. An I/O that waits for a buffer has its range already, and
 * one that has a buffer waits for nothing but the store: no circle.
 */
#include "store/rmw.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/range_lock.h"

#define BOUNCE_BYTES	65536u
#define BOUNCES_MAX	16u	/* 1 MiB for each disk */
#define MEMORY_ALIGN	4096u

struct rmw;

/* A buffer, and the I/O it works for. */
struct bounce {
	struct io io;			/* what it asks of the store */
	struct iovec iov;
	struct rmw *rmw;
	struct io *parent;
	struct bounce *next;		/* free; and of all */
	struct bounce *next_of_all;
	uint8_t *data;
	uint64_t at;			/* parent is done up to here */
	uint64_t piece_end;		/* of the parent's bytes at hand */
	uint64_t start, end;		/* the blocks around them */
	enum { STEP_HEAD, STEP_TAIL, STEP_DATA, STEP_DONE } step;
};

struct rmw {
	struct layer layer;
	uint32_t block_bytes;
	struct range_lock ranges;

	pthread_mutex_t mutex;		/* of all below */
	struct bounce *free;
	struct bounce *all;
	unsigned int nr_bounces;
	struct io *waiting;		/* for a buffer, in order */
	struct io **waiting_end;
};

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

static uint64_t block_down(const struct rmw *rmw, uint64_t byte)
{
	return byte & ~(uint64_t)(rmw->block_bytes - 1);
}

static uint64_t block_up(const struct rmw *rmw, uint64_t byte)
{
	return block_down(rmw, byte + rmw->block_bytes - 1);
}

static bool is_aligned(const struct rmw *rmw, uint64_t byte)
{
	return !(byte & (rmw->block_bytes - 1));
}

/* Older kernels want each part of the memory aligned, too, and its address. */
static bool can_pass(const struct rmw *rmw, const struct io *io)
{
	uint64_t bits = io->offset | io->bytes;
	unsigned int i;

	for (i = 0; i < io->nr_iov; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return is_aligned(rmw, bits);
}

/* ---- ranges ---- */

static void go(struct rmw *rmw, struct io *io);

static void granted_run(struct note *note)
{
	struct io *io = container_of(note, struct io, note);
	struct layer *layer = io->waits_in;

	go(container_of(layer, struct rmw, layer), io);
}

static void unlock(struct rmw *rmw, struct io *io)
{
	struct range *granted = range_unlock(&rmw->ranges, &io->range);

	while (granted) {
		struct io *other = container_of(granted, struct io, range);

		/* Before it is sent: from then on it is its worker's. */
		granted = granted->granted;
		other->note.run = granted_run;
		worker_send(other->worker, &other->note);
	}
}

/* ---- buffers ---- */

static struct bounce *bounce_create(struct rmw *rmw)
{
	struct bounce *bounce = calloc(1, sizeof(*bounce));
	void *data;

	if (!bounce)
		return NULL;
	if (posix_memalign(&data, MEMORY_ALIGN, BOUNCE_BYTES)) {
		free(bounce);
		return NULL;
	}
	bounce->data = data;
	bounce->rmw = rmw;
	bounce->next_of_all = rmw->all;
	rmw->all = bounce;
	rmw->nr_bounces++;
	return bounce;
}

/* A buffer for @io, or NULL: it waits, since one exists from the beginning. */
static struct bounce *bounce_get(struct rmw *rmw, struct io *io)
{
	struct bounce *bounce;

	pthread_mutex_lock(&rmw->mutex);
	bounce = rmw->free;
	if (bounce)
		rmw->free = bounce->next;
	else if (rmw->nr_bounces < BOUNCES_MAX)
		bounce = bounce_create(rmw);
	if (!bounce) {
		io->next = NULL;
		*rmw->waiting_end = io;
		rmw->waiting_end = &io->next;
	}
	pthread_mutex_unlock(&rmw->mutex);
	return bounce;
}

static void bounce_start(struct bounce *bounce, struct io *parent);

static void handed_over_run(struct note *note)
{
	struct bounce *bounce = container_of(note, struct bounce, io.note);

	bounce_start(bounce, bounce->parent);
}

static void bounce_put(struct bounce *bounce)
{
	struct rmw *rmw = bounce->rmw;
	struct io *heir;

	pthread_mutex_lock(&rmw->mutex);
	heir = rmw->waiting;
	if (heir) {
		rmw->waiting = heir->next;
		if (!rmw->waiting)
			rmw->waiting_end = &rmw->waiting;
	} else {
		bounce->next = rmw->free;
		rmw->free = bounce;
	}
	pthread_mutex_unlock(&rmw->mutex);
	if (!heir)
		return;
	bounce->parent = heir;
	bounce->io.note.run = handed_over_run;
	worker_send(heir->worker, &bounce->io.note);
}

/* ---- an I/O, piece by piece ---- */

/* Between the piece's place in the buffer and the parent's memory. */
static void copy_piece(struct bounce *bounce, bool to_parent)
{
	const struct io *parent = bounce->parent;
	uint8_t *data = bounce->data + (bounce->at - bounce->start);
	uint64_t skip = bounce->at - parent->offset;
	uint64_t left = bounce->piece_end - bounce->at;
	const struct iovec *iov;

	for (iov = parent->iov; left; iov++) {
		uint8_t *memory = (uint8_t *)iov->iov_base + skip;
		uint64_t length;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		length = iov->iov_len - skip < left ? iov->iov_len - skip : left;
		if (to_parent)
			memcpy(memory, data, length);
		else
			memcpy(data, memory, length);
		data += length;
		left -= length;
		skip = 0;
	}
}

static void transfer(struct bounce *bounce, enum io_op op, uint64_t start, uint64_t end)
{
	bounce->iov = (struct iovec){ bounce->data + (start - bounce->start), end - start };
	bounce->io.op = op;
	bounce->io.offset = start;
	bounce->io.bytes = end - start;
	layer_submit(bounce->rmw->layer.below, &bounce->io);
}

static void bounce_end(struct bounce *bounce, int error)
{
	struct rmw *rmw = bounce->rmw;
	struct io *parent = bounce->parent;

	bounce_put(bounce);
	if (parent->op == IO_WRITE)
		unlock(rmw, parent);
	io_done(parent, error);
}

/* Its blocks are a piece of the parent that fits into the buffer. */
static void choose_piece(struct bounce *bounce)
{
	const struct rmw *rmw = bounce->rmw;
	uint64_t parent_end = bounce->parent->offset + bounce->parent->bytes;

	bounce->start = block_down(rmw, bounce->at);
	bounce->end = bounce->start + BOUNCE_BYTES;
	if (bounce->end > block_up(rmw, parent_end))
		bounce->end = block_up(rmw, parent_end);
	bounce->piece_end = bounce->end < parent_end ? bounce->end : parent_end;
	bounce->step = bounce->parent->op == IO_WRITE ? STEP_HEAD : STEP_DATA;
}

static bool must_read_tail(const struct bounce *bounce)
{
	const struct rmw *rmw = bounce->rmw;
	bool read_as_head = !is_aligned(rmw, bounce->at) &&
			    bounce->end - bounce->start == rmw->block_bytes;

	return !is_aligned(rmw, bounce->piece_end) && !read_as_head;
}

/* Start the next transfer of the piece at hand; false: there is none left. */
static bool next_step(struct bounce *bounce)
{
	const struct rmw *rmw = bounce->rmw;
	bool write = bounce->parent->op == IO_WRITE;

	switch (bounce->step++) {
	case STEP_HEAD:
		if (!is_aligned(rmw, bounce->at)) {
			transfer(bounce, IO_READ, bounce->start,
				 bounce->start + rmw->block_bytes);
			return true;
		}
		bounce->step++;
		/* fall through */
	case STEP_TAIL:
		if (must_read_tail(bounce)) {
			transfer(bounce, IO_READ, bounce->end - rmw->block_bytes, bounce->end);
			return true;
		}
		bounce->step++;
		/* fall through */
	case STEP_DATA:
		if (write)
			copy_piece(bounce, false);
		transfer(bounce, write ? IO_WRITE : IO_READ, bounce->start, bounce->end);
		return true;
	default:
		if (!write)
			copy_piece(bounce, true);
		return false;
	}
}

static void step_ended(struct io *io, int error)
{
	struct bounce *bounce = container_of(io, struct bounce, io);
	const struct io *parent = bounce->parent;

	if (error) {
		bounce_end(bounce, error);
		return;
	}
	if (next_step(bounce))
		return;
	bounce->at = bounce->piece_end;
	if (bounce->at == parent->offset + parent->bytes) {
		bounce_end(bounce, 0);
		return;
	}
	choose_piece(bounce);
	next_step(bounce);
}

static void bounce_start(struct bounce *bounce, struct io *parent)
{
	bounce->parent = parent;
	bounce->io.worker = parent->worker;
	bounce->io.source = parent->source;
	bounce->io.iov = &bounce->iov;
	bounce->io.nr_iov = 1;
	bounce->io.done = step_ended;
	bounce->at = parent->offset;
	choose_piece(bounce);
	next_step(bounce);
}

static void start_bounced(struct rmw *rmw, struct io *io)
{
	struct bounce *bounce = bounce_get(rmw, io);

	if (bounce)
		bounce_start(bounce, io);
}

/* ---- the layer ---- */

/* @io has its range. */
static void go(struct rmw *rmw, struct io *io)
{
	if (io->range.exclusive) {
		start_bounced(rmw, io);
		return;
	}
	io_hook(io, &rmw->layer, 0);
	layer_submit(rmw->layer.below, io);
}

static void rmw_submit(struct layer *layer, struct io *io)
{
	struct rmw *rmw = container_of(layer, struct rmw, layer);

	if (io->op == IO_FLUSH) {
		layer_submit(layer->below, io);
		return;
	}
	if (io->op == IO_READ) {
		if (can_pass(rmw, io))
			layer_submit(layer->below, io);
		else
			start_bounced(rmw, io);
		return;
	}
	io->waits_in = layer;
	io->range.start = block_down(rmw, io->offset);
	io->range.end = block_up(rmw, io->offset + io->bytes);
	io->range.exclusive = io->op == IO_WRITE && !can_pass(rmw, io);
	if (range_lock(&rmw->ranges, &io->range))
		go(rmw, io);
}

static void rmw_done(struct layer *layer, struct io *io, uint64_t data, int error)
{
	(void)data;
	unlock(container_of(layer, struct rmw, layer), io);
	io_done(io, error);
}

static void rmw_destroy(struct layer *layer)
{
	struct rmw *rmw = container_of(layer, struct rmw, layer);

	while (rmw->all) {
		struct bounce *bounce = rmw->all;

		rmw->all = bounce->next_of_all;
		free(bounce->data);
		free(bounce);
	}
	pthread_mutex_destroy(&rmw->mutex);
	range_lock_uninit(&rmw->ranges);
	free(rmw);
}

static const struct layer_ops rmw_ops = {
	.name = "rmw",
	.submit = rmw_submit,
	.done = rmw_done,
	.destroy = rmw_destroy,
};

int rmw_create(struct layer *below, uint32_t block_bytes, struct layer **out)
{
	struct rmw *rmw = calloc(1, sizeof(*rmw));

	if (!rmw)
		return -ENOMEM;
	rmw->layer = (struct layer){ .ops = &rmw_ops, .below = below };
	rmw->block_bytes = block_bytes;
	rmw->waiting_end = &rmw->waiting;
	range_lock_init(&rmw->ranges);
	pthread_mutex_init(&rmw->mutex, NULL);
	rmw->free = bounce_create(rmw);
	if (!rmw->free) {
		rmw_destroy(&rmw->layer);
		return -ENOMEM;
	}
	*out = &rmw->layer;
	return 0;
}
