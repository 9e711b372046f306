// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/worker.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* The senders' stack, turned over: the oldest first. */
static struct note *take_notes(struct worker *worker)
{
	struct note *stack = atomic_exchange(&worker->notes, NULL);
	struct note *list = NULL;

	while (stack) {
		struct note *note = stack;

		stack = note->next;
		note->next = list;
		list = note;
	}
	return list;
}

static void inbox_ready(struct loop_source *source)
{
	struct worker *worker =
		(struct worker *)((char *)source - offsetof(struct worker, inbox));
	struct note *note;
	uint64_t count;

	/* Before the notes are taken, so that a later one wakes us again. */
	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	note = take_notes(worker);
	while (note) {
		struct note *next = note->next;

		/* It may send itself again, or be freed. */
		note->run(note);
		note = next;
	}
	aio_submit(&worker->aio);
}

static void timers_ran(struct timers *timers)
{
	aio_submit(&((struct worker *)((char *)timers - offsetof(struct worker, timers)))->aio);
}

static int inbox_init(struct worker *worker)
{
	int err;

	atomic_init(&worker->notes, NULL);
	atomic_init(&worker->senders, 0);
	worker->inbox.ready = inbox_ready;
	worker->inbox.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = worker->inbox.fd < 0 ? -errno : loop_add(worker->loop, &worker->inbox);
	if (err)
		fd_close(&worker->inbox.fd);
	return err;
}

int worker_init(struct worker *worker, struct loop *loop, unsigned int depth)
{
	int err;

	worker->loop = loop;
	worker->thread = NULL;
	err = aio_init(&worker->aio, loop, depth);
	if (err)
		return err;
	err = timers_init(&worker->timers, loop);
	if (err)
		goto err_aio;
	worker->timers.after = timers_ran;
	err = inbox_init(worker);
	if (err)
		goto err_timers;
	return 0;

err_timers:
	timers_uninit(&worker->timers);
err_aio:
	aio_uninit(&worker->aio);
	return err;
}

void worker_uninit(struct worker *worker)
{
	/* A note can run before its sender has written to the eventfd. */
	while (atomic_load(&worker->senders))
		sched_yield();
	loop_remove(worker->loop, &worker->inbox);
	fd_close(&worker->inbox.fd);
	timers_uninit(&worker->timers);
	aio_uninit(&worker->aio);
}

void worker_send(struct worker *worker, struct note *note)
{
	const uint64_t one = 1;
	struct note *first;

	atomic_fetch_add(&worker->senders, 1);
	first = atomic_load(&worker->notes);
	do {
		note->next = first;
	} while (!atomic_compare_exchange_weak(&worker->notes, &first, note));
	/* Only the first of a batch wakes; an eventfd near 0 refuses nothing. */
	if (!first && write(worker->inbox.fd, &one, sizeof(one)) < 0)
		log_error("cannot wake a worker: %m");
	atomic_fetch_sub(&worker->senders, 1);
}
