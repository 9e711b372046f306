/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers of one loop, in one timerfd. For the loop's own thread. */
#ifndef LOOP_TIMERS_H
#define LOOP_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

/* Part of the object it is about. */
struct timer {
	void (*run)(struct timer *timer);
	uint64_t due_ns;		/* clock_ns() */
	struct timer *prev;
	struct timer *next;
	bool started;
};

struct timers {
	struct loop *loop;
	struct loop_source source;
	struct timer *first;		/* the next one due */
	struct timer *last;
	/* Called after timers have run, or NULL. */
	void (*after)(struct timers *timers);
};

/* 0 or -errno. */
int timers_init(struct timers *timers, struct loop *loop);
/* None may be started. */
void timers_uninit(struct timers *timers);

/*
 * Have @timer->run called once, from the loop, at @due_ns or soon after. Those
 * due at the same time run in the order they were started. It must not be
 * started.
 */
void timer_start(struct timers *timers, struct timer *timer, uint64_t due_ns);
/* Harmless for one that is not started. */
void timer_stop(struct timers *timers, struct timer *timer);

#endif /* LOOP_TIMERS_H */
