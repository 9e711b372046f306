// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 32

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	loop->tasks_end = &loop->tasks;
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_uninit(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_add(struct loop *loop, struct loop_source *source)
{
	struct epoll_event event = {
		.events = EPOLLIN | (source->edge ? EPOLLET : 0),
		.data.ptr = source,
	};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event))
		return -errno;
	return 0;
}

int loop_watch(struct loop *loop, struct loop_source *source, unsigned int events)
{
	struct epoll_event event = { .data.ptr = source };

	if (!events) {
		/* Even then the other end's going would wake us, again and again. */
		loop_remove(loop, source);
		return 0;
	}
	event.events = (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
	if (!epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event))
		return 0;
	if (errno != ENOENT || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event))
		return -errno;
	return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	int i;

	if (source->fd >= 0)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	/* It may be among those still to be served in this round. */
	for (i = 0; i < loop->nr_batch; i++)
		if (loop->batch[i] == source)
			loop->batch[i] = NULL;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	if (task->posted)
		return;
	task->posted = true;
	task->next = NULL;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

void loop_unpost(struct loop *loop, struct loop_task *task)
{
	struct loop_task **p;

	if (!task->posted)
		return;
	for (p = &loop->tasks; *p != task; p = &(*p)->next)
		;
	*p = task->next;
	if (!*p)
		loop->tasks_end = p;
	task->posted = false;
}

/* Tasks posted by tasks wait for the next round. */
static void run_tasks(struct loop *loop)
{
	struct loop_task **end = loop->tasks_end;
	bool last = !loop->tasks;

	while (!last) {
		struct loop_task *task = loop->tasks;

		last = &task->next == end;
		loop_unpost(loop, task);
		task->run(task);
	}
}

int loop_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	struct loop_source *batch[EVENTS_MAX];
	int nr;
	int i;

	nr = epoll_wait(loop->epoll_fd, events, EVENTS_MAX,
			loop->tasks ? 0 : timeout_ms);
	if (nr < 0)
		return errno == EINTR ? 0 : -errno;

	for (i = 0; i < nr; i++)
		batch[i] = events[i].data.ptr;
	loop->batch = batch;
	loop->nr_batch = nr;
	for (i = 0; i < nr; i++)
		if (batch[i])
			batch[i]->ready(batch[i]);
	loop->nr_batch = 0;
	run_tasks(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		int err = loop_once(loop, -1);

		if (err)
			return err;
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
