// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/gate.h"

#include <stddef.h>

#define member_of(note_, name) \
	((struct gate_member *)((char *)(note_) - offsetof(struct gate_member, name)))

/* ---- at home ---- */

static void start(struct gate *gate)
{
	unsigned int i;

	gate->state = GATE_PAUSING;
	gate->awaited = gate->nr_members;
	for (i = 0; i < gate->nr_members; i++)
		worker_send(gate->members[i]->worker, &gate->members[i]->pause);
}

static void give_turn(struct gate *gate)
{
	struct gate_member *member = gate->first;

	gate->first = member->next;
	if (!gate->first)
		gate->end = &gate->first;
	gate->state = GATE_RUNNING;
	worker_send(member->worker, &member->go);
}

static void resume(struct gate *gate)
{
	unsigned int i;

	gate->state = GATE_RESUMING;
	gate->awaited = gate->nr_members;
	for (i = 0; i < gate->nr_members; i++)
		worker_send(gate->members[i]->worker, &gate->members[i]->resume);
}

static void on_ask(struct note *note)
{
	struct gate_member *member = member_of(note, ask);
	struct gate *gate = member->gate;

	member->next = NULL;
	*gate->end = member;
	gate->end = &member->next;
	if (gate->state == GATE_IDLE)
		start(gate);
}

/* Everybody has followed "pause", or "resume". */
static void on_reply(struct note *note)
{
	struct gate *gate = member_of(note, reply)->gate;

	if (--gate->awaited)
		return;
	if (gate->state == GATE_PAUSING) {
		give_turn(gate);
		return;
	}
	gate->state = GATE_IDLE;
	if (gate->first)
		start(gate);
	else
		gate->idle(gate);
}

/* All are paused and quiet: who else waits can go at once. */
static void on_over(struct note *note)
{
	struct gate *gate = member_of(note, over)->gate;

	if (gate->first)
		give_turn(gate);
	else
		resume(gate);
}

/* ---- at the members ---- */

static void on_pause(struct note *note)
{
	struct gate_member *member = member_of(note, pause);

	member->paused = true;
	member->told = false;
	member->changed(member);
}

static void on_resume(struct note *note)
{
	struct gate_member *member = member_of(note, resume);

	member->paused = false;
	member->changed(member);
	worker_send(member->gate->home, &member->reply);
}

static void on_go(struct note *note)
{
	struct gate_member *member = member_of(note, go);

	member->turn(member);
}

void gate_ask(struct gate_member *member)
{
	worker_send(member->gate->home, &member->ask);
}

void gate_over(struct gate_member *member)
{
	worker_send(member->gate->home, &member->over);
}

void gate_quiet(struct gate_member *member, bool idle)
{
	if (!member->paused || member->told || !idle)
		return;
	member->told = true;
	worker_send(member->gate->home, &member->reply);
}

void gate_init(struct gate *gate, struct worker *home, struct gate_member **members,
	       unsigned int nr_members)
{
	unsigned int i;

	gate->home = home;
	gate->state = GATE_IDLE;
	gate->members = members;
	gate->nr_members = nr_members;
	gate->first = NULL;
	gate->end = &gate->first;
	for (i = 0; i < nr_members; i++) {
		members[i]->gate = gate;
		members[i]->ask.run = on_ask;
		members[i]->over.run = on_over;
		members[i]->reply.run = on_reply;
		members[i]->pause.run = on_pause;
		members[i]->resume.run = on_resume;
		members[i]->go.run = on_go;
	}
}
