/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of tapdisk: one thread, epoll, level-triggered unless a source
 * says otherwise. Sources are part of the objects they serve; the loop owns none
 * of them.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_source {
	int fd;
	/* May remove any source, its own too, and free what holds it. */
	void (*ready)(struct loop_source *source);
	/* Call @ready once each time that @fd is written to: nobody has to read it. */
	bool edge;
};

/*
 * Work to be done before the loop waits next, for work that must not starve
 * the others: posted once, run once.
 */
struct loop_task {
	void (*run)(struct loop_task *task);
	struct loop_task *next;
	bool posted;
};

struct loop {
	int epoll_fd;
	bool stopped;
	struct loop_task *tasks;	/* in order of posting */
	struct loop_task **tasks_end;
	struct loop_source **batch;	/* sources of the wake-up at hand */
	int nr_batch;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_uninit(struct loop *loop);

/* Call @source->ready whenever @source->fd can be read, but see edge. 0 or -errno. */
int loop_add(struct loop *loop, struct loop_source *source);

/* What a source is waited for. */
#define LOOP_READ	(1u << 0)
#define LOOP_WRITE	(1u << 1)

/*
 * Call @source->ready whenever one of @events is possible without waiting, or the
 * other end has gone; 0: never, as after loop_remove(). For sources in the loop and
 * others. 0 or -errno.
 */
int loop_watch(struct loop *loop, struct loop_source *source, unsigned int events);
/* Harmless for a source that is not in the loop, or whose fd is -1. */
void loop_remove(struct loop *loop, struct loop_source *source);

void loop_post(struct loop *loop, struct loop_task *task);
/* Harmless for a task that is not posted. */
void loop_unpost(struct loop *loop, struct loop_task *task);

/* Run until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One round: wait at most @timeout_ms (-1: no limit), serve what is ready. */
int loop_once(struct loop *loop, int timeout_ms);

#endif /* LOOP_LOOP_H */
