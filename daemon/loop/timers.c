// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/timers.h"

#include <errno.h>
#include <stddef.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Have the descriptor wake us when the first one is due; none: never. */
static void arm(const struct timers *timers)
{
	struct itimerspec when = { 0 };

	if (timers->first) {
		/* A time of 0 would disarm it. */
		uint64_t due_ns = timers->first->due_ns ? timers->first->due_ns : 1;

		when.it_value.tv_sec = (time_t)(due_ns / 1000000000);
		when.it_value.tv_nsec = (long)(due_ns % 1000000000);
	}
	timerfd_settime(timers->source.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void take_out(struct timers *timers, struct timer *timer)
{
	if (timer->prev)
		timer->prev->next = timer->next;
	else
		timers->first = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	else
		timers->last = timer->prev;
	timer->started = false;
}

static void timers_ready(struct loop_source *source)
{
	struct timers *timers =
		(struct timers *)((char *)source - offsetof(struct timers, source));
	uint64_t now = clock_ns();
	uint64_t count;

	if (read(source->fd, &count, sizeof(count)) < 0)
		return;
	while (timers->first && timers->first->due_ns <= now) {
		struct timer *timer = timers->first;

		take_out(timers, timer);
		timer->run(timer);
	}
	arm(timers);
	if (timers->after)
		timers->after(timers);
}

int timers_init(struct timers *timers, struct loop *loop)
{
	int err;

	*timers = (struct timers){ .loop = loop, .source = { .ready = timers_ready } };
	timers->source.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = timers->source.fd < 0 ? -errno : loop_add(loop, &timers->source);
	if (err)
		fd_close(&timers->source.fd);
	return err;
}

void timers_uninit(struct timers *timers)
{
	loop_remove(timers->loop, &timers->source);
	fd_close(&timers->source.fd);
}

/* The later ones are mostly started later: looked for from the end. */
void timer_start(struct timers *timers, struct timer *timer, uint64_t due_ns)
{
	struct timer *before = timers->last;

	while (before && before->due_ns > due_ns)
		before = before->prev;
	timer->due_ns = due_ns;
	timer->started = true;
	timer->prev = before;
	timer->next = before ? before->next : timers->first;
	if (timer->next)
		timer->next->prev = timer;
	else
		timers->last = timer;
	if (before) {
		before->next = timer;
	} else {
		timers->first = timer;
		arm(timers);
	}
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	bool was_first = timer == timers->first;

	if (!timer->started)
		return;
	take_out(timers, timer);
	if (was_first)
		arm(timers);
}
