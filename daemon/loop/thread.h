/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A worker that has a thread of its own. */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include <pthread.h>

#include "loop/worker.h"

struct thread {
	struct worker worker;
	struct loop loop;
	pthread_t id;
};

/* @depth as for worker_init(). 0 or -errno. */
int thread_start(struct thread *thread, unsigned int depth);
/* Nothing may be in flight, and nobody may send notes any more. */
void thread_stop(struct thread *thread);

/*
 * Have @worker's thread, or this one when it has none, run @function, and wait
 * for its result. Only for what does not wait itself.
 */
int worker_run(struct worker *worker, int (*function)(void *context), void *context);

#endif /* LOOP_THREAD_H */
