// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/bottom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

/* What a block device of older kernels says to direct I/O. */
static int check(const struct bottom *bottom, const struct io *io)
{
	uint64_t bits = io->offset | io->bytes;
	uint64_t sum = 0;
	unsigned int i;

	if (io->op == IO_FLUSH)
		return 0;
	if (io->bytes > bottom->bytes || io->offset > bottom->bytes - io->bytes)
		return -EINVAL;
	if (io->op == IO_DISCARD)
		return 0;
	for (i = 0; i < io->nr_iov; i++) {
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
		sum += io->iov[i].iov_len;
	}
	return bits & (bottom->block_bytes - 1) || sum != io->bytes ? -EINVAL : 0;
}

static void move(struct bottom *bottom, const struct io *io)
{
	uint8_t *place = bottom->data + io->offset;
	unsigned int i;

	pthread_mutex_lock(&bottom->mutex);
	for (i = 0; i < io->nr_iov; i++) {
		if (io->op == IO_READ)
			memcpy(io->iov[i].iov_base, place, io->iov[i].iov_len);
		else
			memcpy(place, io->iov[i].iov_base, io->iov[i].iov_len);
		place += io->iov[i].iov_len;
	}
	pthread_mutex_unlock(&bottom->mutex);
}

static void end_one(struct bottom_queue *queue, unsigned int i)
{
	struct io *io = queue->pending[i];

	memmove(&queue->pending[i], &queue->pending[i + 1],
		(--queue->nr - i) * sizeof(queue->pending[0]));
	if (io->op == IO_WRITE && !queue->bottom->error)
		move(queue->bottom, io);
	io_done(io, queue->bottom->error);
}

/* Some of what is in flight, in any order. */
static void queue_run(struct loop_task *task)
{
	struct bottom_queue *queue = container_of(task, struct bottom_queue, task);
	unsigned int n = 1 + (unsigned int)rand_r(&queue->seed) % 3;

	while (n-- && queue->nr)
		end_one(queue, (unsigned int)rand_r(&queue->seed) % queue->nr);
	if (queue->nr)
		loop_post(queue->worker->loop, task);
}

static struct bottom_queue *queue_of(struct bottom *bottom, const struct io *io)
{
	unsigned int i;

	for (i = 0; i < bottom->nr_queues; i++)
		if (bottom->queues[i].worker == io->worker)
			return &bottom->queues[i];
	abort();
}

static void bottom_submit(struct layer *layer, struct io *io)
{
	struct bottom *bottom = container_of(layer, struct bottom, layer);
	struct bottom_queue *queue = queue_of(bottom, io);
	int err = check(bottom, io);

	atomic_fetch_add(&bottom->ops[io->op], 1);
	if (err || queue->nr == BOTTOM_PENDING) {
		atomic_fetch_add(&bottom->refused, 1);
		io_done(io, err ? err : -EAGAIN);
		return;
	}
	if (io->op == IO_READ)
		move(bottom, io);
	queue->pending[queue->nr++] = io;
	if (!bottom->manual)
		loop_post(io->worker->loop, &queue->task);
}

/* The test owns it. */
static void bottom_destroy(struct layer *layer)
{
	(void)layer;
}

static const struct layer_ops bottom_ops = {
	.name = "bottom",
	.submit = bottom_submit,
	.destroy = bottom_destroy,
};

void bottom_init(struct bottom *bottom, uint64_t bytes, uint32_t block_bytes)
{
	*bottom = (struct bottom){
		.layer = { .ops = &bottom_ops },
		.data = calloc(1, bytes),
		.bytes = bytes,
		.block_bytes = block_bytes,
	};
	if (!bottom->data)
		abort();
	pthread_mutex_init(&bottom->mutex, NULL);
}

void bottom_uninit(struct bottom *bottom)
{
	pthread_mutex_destroy(&bottom->mutex);
	free(bottom->data);
}

void bottom_add_worker(struct bottom *bottom, struct worker *worker)
{
	struct bottom_queue *queue = &bottom->queues[bottom->nr_queues++];

	*queue = (struct bottom_queue){
		.task = { .run = queue_run },
		.bottom = bottom,
		.worker = worker,
		.seed = bottom->nr_queues,
	};
}

unsigned int bottom_pending(const struct bottom *bottom)
{
	return bottom->queues[0].nr;
}

const struct io *bottom_peek(const struct bottom *bottom, unsigned int i)
{
	return bottom->queues[0].pending[i];
}

void bottom_end(struct bottom *bottom, unsigned int i)
{
	end_one(&bottom->queues[0], i);
}
