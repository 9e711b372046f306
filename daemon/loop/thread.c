// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/thread.h"

#include <semaphore.h>
#include <signal.h>
#include <stddef.h>

struct errand {
	struct note note;
	int (*function)(void *context);
	void *context;
	int result;
	sem_t done;
};

static void run_errand(struct note *note)
{
	struct errand *errand = (struct errand *)((char *)note - offsetof(struct errand, note));

	errand->result = errand->function(errand->context);
	sem_post(&errand->done);
}

int worker_run(struct worker *worker, int (*function)(void *context), void *context)
{
	struct errand errand = {
		.note = { .run = run_errand }, .function = function, .context = context,
	};

	if (!worker->thread || pthread_equal(worker->thread->id, pthread_self()))
		return function(context);
	sem_init(&errand.done, 0, 0);
	worker_send(worker, &errand.note);
	while (sem_wait(&errand.done))
		;
	sem_destroy(&errand.done);
	return errand.result;
}

static void *thread_main(void *context)
{
	/* Ends early only if epoll itself fails; nothing can be done about that here. */
	loop_run(context);
	return NULL;
}

/* Signals are the main thread's. */
static int create(struct thread *thread)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&thread->id, NULL, thread_main, &thread->loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int thread_start(struct thread *thread, unsigned int depth)
{
	int err;

	err = loop_init(&thread->loop);
	if (err)
		return err;
	err = worker_init(&thread->worker, &thread->loop, depth);
	if (err)
		goto err_loop;
	err = create(thread);
	if (err)
		goto err_worker;
	/* Only those who start threads run errands, so that nobody sees it too early. */
	thread->worker.thread = thread;
	return 0;

err_worker:
	worker_uninit(&thread->worker);
err_loop:
	loop_uninit(&thread->loop);
	return err;
}

static int end_loop(void *loop)
{
	loop_stop(loop);
	return 0;
}

void thread_stop(struct thread *thread)
{
	worker_run(&thread->worker, end_loop, &thread->loop);
	pthread_join(thread->id, NULL);
	worker_uninit(&thread->worker);
	loop_uninit(&thread->loop);
}
