/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of an image have data. A file system may have to read, or to wait for
 * a discard under way, before it answers: a thread asks it, started with the first
 * question.
 */
#ifndef NBD_EXTENTS_H
#define NBD_EXTENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "loop/worker.h"

#define EXTENTS_MAX	64u	/* of one answer */

struct extent {
	uint32_t bytes;
	bool hole;		/* reads as zeros, and takes no space */
};

struct extents_query {
	/* The first part is the asker's. */
	uint64_t start;
	uint64_t end;			/* less than 4 GiB behind it; both multiples of 512 */
	unsigned int max;		/* extents that are wanted, up to EXTENTS_MAX */
	struct worker *worker;		/* run() is called there, once */
	struct note note;
	void *asker;

	/* From the start on, without gaps, at least one; maybe not to the end. */
	struct extent extents[EXTENTS_MAX];
	unsigned int nr;
	struct extents_query *next;
};

struct extents {
	const struct image *image;
	pthread_mutex_t mutex;		/* of all below */
	pthread_cond_t more;		/* something to do, or the end */
	struct extents_query *first;
	struct extents_query **end;
	bool started;
	bool stop;
	pthread_t thread;
};

void extents_init(struct extents *extents, const struct image *image);
/* No question may be open. */
void extents_uninit(struct extents *extents);

/* Have @query answered; from the worker's loop, never at once. */
void extents_ask(struct extents *extents, struct extents_query *query);

#endif /* NBD_EXTENTS_H */
