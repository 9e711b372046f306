// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/submit.h"

#include <stdlib.h>

#include "base/clock.h"

#define PATIENCE_MS 10000

static void ended(struct io *io, int error)
{
	struct submit *submit = (struct submit *)((char *)io - offsetof(struct submit, io));

	/* An I/O ends once. */
	if (submit->error != SUBMIT_UNENDED)
		abort();
	submit->error = error;
}

void submit_start(struct submit *submit, struct worker *worker, struct layer *top, enum io_op op,
		  uint64_t offset, void *memory, uint64_t bytes)
{
	*submit = (struct submit){ .error = SUBMIT_UNENDED, .iov = { memory, bytes } };
	submit->io = (struct io){
		.op = op, .offset = offset, .bytes = bytes, .iov = &submit->iov,
		.nr_iov = memory ? 1 : 0, .worker = worker, .done = ended,
	};
	layer_submit(top, &submit->io);
	aio_submit(&worker->aio);
}

int submit_wait(struct submit *submit)
{
	uint64_t deadline = clock_ms() + PATIENCE_MS;

	while (submit->error == SUBMIT_UNENDED && clock_ms() < deadline)
		if (loop_once(submit->io.worker->loop, 10))
			abort();
	return submit->error;
}

int submit_io(struct worker *worker, struct layer *top, enum io_op op, uint64_t offset,
	      void *memory, uint64_t bytes)
{
	struct submit submit;

	submit_start(&submit, worker, top, op, offset, memory, bytes);
	return submit_wait(&submit);
}
