// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linux tells of an error that it met when it wrote data back once for each open file:
 * of two fdatasync() at the same time, one fails and the other may succeed, though what
 * it stands for is lost. So there is one at a time here, and its error is the error of
 * all that it is for, and of all that come later: nobody can tell what the store still
 * has. That several share one is cheaper, too, on disks with more than one queue.
 */
#include "store/flusher.h"

#include <stddef.h>

static void ended_run(struct note *note)
{
	struct io *io = (struct io *)((char *)note - offsetof(struct io, note));

	io_done(io, io->result);
}

/* Each on its worker's thread; this is @here's. */
static void end_all(struct io *io, int error, const struct worker *here)
{
	struct io *next;

	for (; io; io = next) {
		next = io->next;
		if (io->worker == here) {
			io_done(io, error);
			continue;
		}
		io->result = error;
		io->note.run = ended_run;
		worker_send(io->worker, &io->note);
	}
}

/* Called with the mutex held: those that wait are what the next flush is for. */
static struct io *take_waiting(struct flusher *flusher)
{
	struct io *first = flusher->waiting;

	flusher->waiting = NULL;
	flusher->end = &flusher->waiting;
	return first;
}

void flusher_ended(struct flusher *flusher, struct io *io, int error)
{
	const struct worker *here = io->worker;
	struct io *next;

	pthread_mutex_lock(&flusher->mutex);
	next = take_waiting(flusher);
	flusher->running = error ? NULL : next;
	if (error)
		flusher->error = error;
	pthread_mutex_unlock(&flusher->mutex);
	if (error) {
		end_all(next, error, here);
	} else if (next) {
		next->note.run = flusher->begin;
		worker_send(next->worker, &next->note);
	}
	end_all(io, error, here);
}

void flusher_submit(struct flusher *flusher, struct io *io)
{
	bool waits;
	int error;

	io->next = NULL;
	pthread_mutex_lock(&flusher->mutex);
	error = flusher->error;
	waits = !error && flusher->running;
	if (waits) {
		*flusher->end = io;
		flusher->end = &io->next;
	} else if (!error) {
		flusher->running = io;
	}
	pthread_mutex_unlock(&flusher->mutex);
	if (error)
		io_done(io, error);
	else if (!waits)
		flusher->begin(&io->note);
}

void flusher_init(struct flusher *flusher, void (*begin)(struct note *note))
{
	*flusher = (struct flusher){ .begin = begin };
	flusher->end = &flusher->waiting;
	pthread_mutex_init(&flusher->mutex, NULL);
}

void flusher_uninit(struct flusher *flusher)
{
	pthread_mutex_destroy(&flusher->mutex);
}
