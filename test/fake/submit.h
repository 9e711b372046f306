/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One I/O at a time through a store, from a test's own thread. */
#ifndef FAKE_SUBMIT_H
#define FAKE_SUBMIT_H

#include "store/io.h"

#define SUBMIT_UNENDED	1	/* no -errno */

struct submit {
	struct io io;
	struct iovec iov;
	int error;			/* SUBMIT_UNENDED, 0 or -errno */
};

/* Start it. @memory is of @bytes; NULL for flush and discard. */
void submit_start(struct submit *submit, struct worker *worker, struct layer *top, enum io_op op,
		  uint64_t offset, void *memory, uint64_t bytes);
/* Wait for its end: 0 or -errno; SUBMIT_UNENDED after some seconds. */
int submit_wait(struct submit *submit);

/* Both. */
int submit_io(struct worker *worker, struct layer *top, enum io_op op, uint64_t offset,
	      void *memory, uint64_t bytes);

#endif /* FAKE_SUBMIT_H */
