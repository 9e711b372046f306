/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Barriers, which are ordered against the requests of all queues: what any
 * queue took before a barrier has ended when it runs, and nothing is taken
 * while it runs. One gate for a frontend, at home in one worker; its members are
 * the queues, each with its own worker; between them go only notes.
 *
 *	member ask -> home: pause all -> members, each when it is idle: quiet
 *	-> home: go -> member over -> home: the next one's turn, or resume all
 */
#ifndef VBD_GATE_H
#define VBD_GATE_H

#include <stdbool.h>

#include "loop/worker.h"

struct gate;

struct gate_member {
	struct gate *gate;
	struct worker *worker;
	/* Its barrier may run now; gate_over() must follow. */
	void (*turn)(struct gate_member *member);
	/* paused has changed; gate_quiet() is due. */
	void (*changed)(struct gate_member *member);
	bool paused;			/* take nothing from the ring */

	bool told;			/* that we are quiet */
	struct note ask, over, reply;	/* to the gate */
	struct note pause, resume, go;	/* from it */
	struct gate_member *next;	/* that waits for its turn */
};

struct gate {
	struct worker *home;
	void (*idle)(struct gate *gate);	/* it has become so; at home */

	enum { GATE_IDLE, GATE_PAUSING, GATE_RUNNING, GATE_RESUMING } state;
	struct gate_member **members;
	unsigned int nr_members;
	unsigned int awaited;			/* replies */
	struct gate_member *first;		/* those that wait, in order */
	struct gate_member **end;
};

/* @members stays the caller's; each has its worker and functions filled in. */
void gate_init(struct gate *gate, struct worker *home, struct gate_member **members,
	       unsigned int nr_members);

/* At home. */
static inline bool gate_is_idle(const struct gate *gate)
{
	return gate->state == GATE_IDLE && !gate->first;
}

/* At the member's worker. A barrier was taken; nothing more until it is over. */
void gate_ask(struct gate_member *member);
void gate_over(struct gate_member *member);
/* Whether the queue is @idle, but for its own barrier; after each change. */
void gate_quiet(struct gate_member *member, bool idle);

#endif /* VBD_GATE_H */
