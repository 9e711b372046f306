// SPDX-License-Identifier: GPL-2.0-or-later
/* The state machine of a disk, one table row for each thing it must do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "tapback/decide.h"

enum flag {
	ONLINE = 1,	/* the toolstack wants the disk to persist */
	SCRIPT = 2,	/* the hotplug script is done */
	DEAD = 4,
	REFUSED = 8,
	RESUME = 16,
};

struct row {
	unsigned int frontend, backend;
	enum vbd_link link;
	unsigned int flags;
	enum vbd_action expect;
	const char *what;
};

#define NONE	VBD_LINK_NONE
#define BUSY	VBD_LINK_BUSY
#define PAUSED	VBD_LINK_PAUSED
#define READY	VBD_LINK_READY
#define FRESH	VBD_LINK_FRESH
#define CONN	VBD_LINK_CONNECTED
#define LOST	VBD_LINK_LOST
#define ON	ONLINE | SCRIPT

static const struct row rows[] = {
	/* A new device. */
	{ 1, 1, NONE, ONLINE, VBD_INIT, "InitWait at once, before the script runs" },
	{ 4, 1, NONE, ONLINE, VBD_INIT, "also when the frontend was faster" },
	{ 6, 1, NONE, ONLINE, VBD_INIT, "also when it is Closed" },
	{ 1, 1, NONE, 0, VBD_INIT, "whatever online says" },
	{ 0, 1, NONE, ONLINE, VBD_WAIT, "not before there is a frontend" },
	{ 1, 2, NONE, ONLINE, VBD_WAIT, "the script has not run" },
	{ 1, 2, NONE, ON, VBD_LOOK_UP, "the script has run" },
	{ 1, 2, BUSY, ON, VBD_WAIT, "tapdisk is being asked" },
	{ 1, 2, READY, ON, VBD_WAIT, "the frontend has no ring yet" },
	{ 3, 2, NONE, ONLINE, VBD_WAIT, "ring, but no disk yet" },
	{ 4, 2, NONE, ONLINE, VBD_WAIT, "ring, but no disk yet" },
	{ 3, 2, NONE, ON, VBD_LOOK_UP, "ring, and the script has run" },
	/* Connecting. */
	{ 3, 2, READY, ON, VBD_CONNECT, "Initialised" },
	{ 4, 2, READY, ON, VBD_CONNECT, "Connected without Initialised" },
	{ 3, 2, BUSY, ON, VBD_WAIT, "tapdisk is connecting" },
	{ 3, 2, FRESH, ON, VBD_PUBLISH, "tapdisk connected" },
	{ 4, 2, FRESH, ON, VBD_PUBLISH, "tapdisk connected, frontend ahead" },
	{ 1, 2, FRESH, ON, VBD_DISCONNECT, "the frontend started over meanwhile" },
	{ 6, 2, FRESH, ON, VBD_DISCONNECT, "the frontend closed meanwhile" },
	{ 5, 2, FRESH, ON, VBD_CLOSING, "the frontend is closing meanwhile" },
	{ 0, 2, FRESH, ON, VBD_DISCONNECT, "the frontend vanished meanwhile" },
	{ 3, 2, CONN, ON, VBD_DISCONNECT, "tapdisk had it already: start clean" },
	{ 3, 4, CONN, ON, VBD_WAIT, "connected" },
	{ 4, 4, CONN, ON, VBD_WAIT, "connected; again 3 or 4 is ignored" },
	{ 1, 4, CONN, ON, VBD_WAIT, "1 while connected is ignored" },
	/* Refusing. */
	{ 3, 2, READY, ON | REFUSED, VBD_FAIL, "its ring is unfit" },
	{ 4, 4, READY, ON | REFUSED, VBD_FAIL, "tapdisk does not serve it any more" },
	{ 3, 5, READY, ON | REFUSED, VBD_WAIT, "it must let go first" },
	{ 4, 6, READY, ON | REFUSED, VBD_WAIT, "not tried again" },

	/* Its tapdisk was killed, and there is another one. */
	{ 4, 4, NONE, ON | RESUME, VBD_LOOK_UP, "who is it" },
	{ 4, 4, READY, ON | RESUME, VBD_CONNECT, "it goes on" },
	{ 3, 2, READY, ON | RESUME, VBD_CONNECT, "before the frontend was told, too" },
	{ 5, 4, READY, ON | RESUME, VBD_CONNECT, "a frontend that closes may wait for answers" },
	{ 5, 5, READY, ON | RESUME, VBD_CONNECT, "the same, a moment later" },
	{ 4, 5, READY, SCRIPT | RESUME, VBD_CONNECT, "unplugged, but still in use" },
	{ 6, 5, READY, ON | RESUME, VBD_CLOSED, "it has closed meanwhile" },
	{ 0, 4, READY, ON | RESUME, VBD_CLOSED, "it is gone" },
	{ 4, 4, READY, ON | RESUME | DEAD, VBD_CLOSED, "its domain is" },
	{ 4, 4, BUSY, ON | RESUME, VBD_WAIT, "not yet" },
	/* Its image is closed for a while. */
	{ 4, 4, PAUSED, ON | RESUME, VBD_WAIT, "the guest waits" },
	{ 3, 2, PAUSED, ON, VBD_WAIT, "a new ring does, too" },
	{ 1, 2, PAUSED, ON, VBD_WAIT, "there is none yet" },
	{ 5, 4, PAUSED, ON | RESUME, VBD_CLOSING, "follow to Closing" },
	{ 5, 5, PAUSED, ON | RESUME, VBD_WAIT, "it may wait for answers" },
	{ 6, 5, PAUSED, ON | RESUME, VBD_CLOSED, "it waits for nothing any more" },
	{ 1, 6, PAUSED, ON, VBD_INIT, "and comes back" },
	{ 4, 5, PAUSED, SCRIPT | RESUME, VBD_WAIT, "unplugged, but still in use" },
	{ 3, 5, PAUSED, SCRIPT, VBD_CLOSED, "unplugged, and never connected" },
	{ 6, 5, PAUSED, SCRIPT | RESUME, VBD_CLOSED, "unplugged, and let go" },
	{ 6, 6, PAUSED, SCRIPT, VBD_DROP_LINK, "unplugged" },
	{ 4, 6, PAUSED, SCRIPT | RESUME, VBD_DROP_LINK, "the toolstack does not wait" },
	{ 0, 4, PAUSED, ON | RESUME, VBD_CLOSED, "its frontend is gone" },
	{ 4, 4, PAUSED, ON | RESUME | DEAD, VBD_CLOSED, "its domain is" },
	{ 4, 0, PAUSED, ON | RESUME, VBD_FORGET, "the disk is" },
	/* Closing by the frontend. */
	{ 5, 4, CONN, ON, VBD_CLOSING, "follow to Closing" },
	{ 5, 2, READY, ON, VBD_CLOSING, "follow to Closing, never connected" },
	{ 5, 5, CONN, ON, VBD_WAIT, "serve the ring until Closed" },
	{ 6, 5, CONN, ON, VBD_DISCONNECT, "Closed: let tapdisk finish" },
	{ 6, 4, CONN, ON, VBD_DISCONNECT, "Closed without Closing" },
	{ 6, 5, BUSY, ON, VBD_WAIT, "tapdisk is finishing" },
	{ 6, 5, READY, ON, VBD_CLOSED, "finished" },
	{ 6, 4, READY, ON, VBD_CLOSED, "finished, without Closing" },
	{ 6, 2, READY, ON, VBD_CLOSED, "closed before it connected" },
	{ 6, 6, READY, ON, VBD_WAIT, "closed, ready for a reconnect" },
	{ 5, 6, READY, ON, VBD_WAIT, "Closing after Closed" },
	{ 5, 6, FRESH, ON, VBD_DISCONNECT, "Closing before it could be told of its new ring" },
	/* Coming back. */
	{ 1, 6, READY, ON, VBD_INIT, "frontend starts over" },
	{ 1, 5, CONN, ON, VBD_DISCONNECT, "starts over, its 6 was not seen" },
	{ 1, 5, READY, ON, VBD_CLOSED, "starts over, its 6 was not seen" },
	{ 1, 4, READY, ON, VBD_CLOSED, "started over while tapdisk finished" },
	{ 4, 6, READY, ON, VBD_CONNECT, "6 to 4 without 1" },
	{ 3, 6, READY, ON, VBD_CONNECT, "6 to 3 without 1" },
	{ 4, 6, NONE, ON, VBD_LOOK_UP, "6 to 4, tapdisk not known" },
	{ 4, 4, READY, ON, VBD_CONNECT, "back while tapdisk finished" },
	{ 4, 5, CONN, ON, VBD_DISCONNECT, "5 to 4: leftovers first" },
	{ 4, 5, READY, ON, VBD_CONNECT, "5 to 4, leftovers gone" },
	{ 4, 5, FRESH, ON, VBD_PUBLISH, "5 to 4, connected" },
	/* Unplugging. */
	{ 4, 5, CONN, SCRIPT, VBD_WAIT, "the guest may finish" },
	{ 5, 5, CONN, SCRIPT, VBD_WAIT, "the guest is finishing" },
	{ 6, 5, CONN, SCRIPT, VBD_DISCONNECT, "the guest finished" },
	{ 1, 5, CONN, SCRIPT, VBD_DISCONNECT, "the guest started over" },
	{ 3, 5, FRESH, SCRIPT, VBD_DISCONNECT, "it was never told" },
	{ 6, 5, READY, SCRIPT, VBD_CLOSED, "tapdisk finished" },
	{ 1, 5, READY, SCRIPT, VBD_CLOSED, "a guest without driver" },
	{ 1, 5, NONE, 0, VBD_CLOSED, "the script failed" },
	{ 3, 5, NONE, 0, VBD_CLOSED, "the script failed, the guest waits" },
	{ 4, 5, LOST, SCRIPT, VBD_CLOSED, "tapdisk is gone" },
	{ 5, 5, LOST, SCRIPT, VBD_CLOSED, "tapdisk is gone" },
	{ 6, 6, READY, SCRIPT, VBD_DROP_LINK, "unplugged" },
	{ 1, 6, READY, SCRIPT, VBD_DROP_LINK, "unplugged: never back to InitWait" },
	{ 1, 6, NONE, SCRIPT, VBD_WAIT, "unplugged" },
	{ 4, 6, LOST, SCRIPT, VBD_DROP_LINK, "unplugged" },
	{ 4, 6, CONN, SCRIPT, VBD_DISCONNECT, "the toolstack does not wait" },
	{ 4, 4, CONN, SCRIPT, VBD_WAIT, "online=0 alone changes nothing" },
	{ 3, 2, READY, SCRIPT, VBD_CONNECT, "online=0 alone changes nothing" },
	/* The frontend is gone. */
	{ 0, 4, CONN, ON, VBD_DISCONNECT, "vanished while connected" },
	{ 0, 5, CONN, SCRIPT, VBD_DISCONNECT, "forced unplug" },
	{ 0, 5, BUSY, SCRIPT, VBD_WAIT, "tapdisk is finishing" },
	{ 0, 4, READY, ON, VBD_CLOSED, "finished" },
	{ 0, 2, READY, ON, VBD_CLOSED, "vanished before connecting" },
	{ 0, 2, NONE, ONLINE, VBD_CLOSED, "vanished before the script ran" },
	{ 0, 6, READY, ON, VBD_DROP_LINK, "closed" },
	{ 0, 6, NONE, ON, VBD_WAIT, "closed" },
	{ 4, 4, CONN, ON | DEAD, VBD_DISCONNECT, "the guest is dead" },
	{ 4, 4, READY, ON | DEAD, VBD_CLOSED, "the guest is dead" },
	{ 4, 5, CONN, SCRIPT | DEAD, VBD_DISCONNECT, "unplugged from a dead guest" },
	/* The backend directory is gone. */
	{ 4, 0, CONN, ON, VBD_DISCONNECT, "removed while connected" },
	{ 4, 0, FRESH, ON, VBD_DISCONNECT, "removed while connecting" },
	{ 4, 0, BUSY, ON, VBD_WAIT, "removed, tapdisk is asked something" },
	{ 4, 0, READY, ON, VBD_FORGET, "removed" },
	{ 4, 0, NONE, 0, VBD_FORGET, "removed before the script ran" },
	{ 0, 0, LOST, 0, VBD_FORGET, "removed, tapdisk gone" },
	{ 4, 1, CONN, ON, VBD_DISCONNECT, "removed and made anew" },
	{ 4, 1, LOST, ON, VBD_INIT, "removed and made anew" },
	/* tapdisk ended. */
	{ 4, 4, LOST, ON, VBD_FAIL, "while connected" },
	{ 1, 2, LOST, ON, VBD_FAIL, "before the frontend came" },
	{ 3, 2, LOST, ON, VBD_FAIL, "while connecting" },
	{ 5, 4, LOST, ON, VBD_FAIL, "while the frontend began to close" },
	{ 4, 5, LOST, ON, VBD_WAIT, "the frontend must let go" },
	{ 5, 5, LOST, ON, VBD_WAIT, "the frontend lets go" },
	{ 6, 5, LOST, ON, VBD_CLOSED, "the frontend let go" },
	{ 6, 4, LOST, ON, VBD_CLOSED, "while it finished" },
	{ 1, 5, LOST, ON, VBD_CLOSED, "the frontend has no ring" },
	{ 1, 6, LOST, ON, VBD_WAIT, "nothing to come back to" },
	{ 3, 6, LOST, ON, VBD_WAIT, "nothing to connect to" },
	{ 0, 4, LOST, ON, VBD_CLOSED, "and the guest too" },
	/* tapback was restarted. */
	{ 4, 4, NONE, ON, VBD_LOOK_UP, "is it still connected?" },
	{ 5, 5, NONE, ON, VBD_LOOK_UP, "is it still connected?" },
	{ 0, 4, NONE, ON, VBD_LOOK_UP, "grants of a dead guest may be mapped" },
	{ 0, 5, NONE, SCRIPT, VBD_LOOK_UP, "grants of a dead guest may be mapped" },
	{ 6, 6, NONE, ON, VBD_WAIT, "it was closed" },
};

static void every_row(void **state)
{
	const struct row *row;
	enum vbd_action got;

	(void)state;
	for (row = rows; row < rows + sizeof(rows) / sizeof(rows[0]); row++) {
		const struct vbd_view view = {
			.frontend = row->frontend,
			.backend = row->backend,
			.link = row->link,
			.online = row->flags & ONLINE,
			.script_done = row->flags & SCRIPT,
			.domain_dead = row->flags & DEAD,
			.refused = row->flags & REFUSED,
			.resume = row->flags & RESUME,
		};

		got = vbd_decide(&view);
		if (got != row->expect)
			fail_msg("frontend %u, backend %u, link %d, flags %#x (%s): %d, not %d",
				 row->frontend, row->backend, row->link, row->flags, row->what,
				 got, row->expect);
	}
}

/* What an action does to the view, when all goes well. */
static void perform(struct vbd_view *view, enum vbd_action action)
{
	switch (action) {
	case VBD_INIT:
		if (view->backend == XENBUS_INITIALISING)
			view->link = VBD_LINK_NONE;
		view->backend = XENBUS_INIT_WAIT;
		break;
	case VBD_LOOK_UP:
	case VBD_DISCONNECT:
		view->link = VBD_LINK_READY;
		break;
	case VBD_CONNECT:
		view->link = view->resume && view->backend != XENBUS_INIT_WAIT ?
			     VBD_LINK_CONNECTED : VBD_LINK_FRESH;
		view->resume = false;
		break;
	case VBD_PUBLISH:
		view->link = VBD_LINK_CONNECTED;
		view->backend = XENBUS_CONNECTED;
		break;
	case VBD_FAIL:
	case VBD_CLOSING:
		view->backend = XENBUS_CLOSING;
		break;
	case VBD_CLOSED:
		view->resume = false;
		view->backend = XENBUS_CLOSED;
		break;
	case VBD_DROP_LINK:
		view->resume = false;
		view->link = VBD_LINK_NONE;
		break;
	default:
		break;
	}
}

/*
 * From every view there is, the actions come to rest, and a guest that is
 * gone or a device that was removed never keeps a connection.
 */
static void it_always_comes_to_rest(void **state)
{
	unsigned int frontend, backend, link, flags;
	enum vbd_action action = VBD_WAIT;
	struct vbd_view view;
	int steps;

	(void)state;
	for (frontend = 0; frontend <= 6; frontend++)
	for (backend = 0; backend <= 6; backend++)
	for (link = VBD_LINK_NONE; link <= VBD_LINK_LOST; link++)
	for (flags = 0; flags < 32; flags++) {
		if (frontend == 2 || link == VBD_LINK_BUSY)
			continue;
		view = (struct vbd_view){
			.frontend = frontend, .backend = backend, .link = link,
			.online = flags & ONLINE, .script_done = flags & SCRIPT,
			.domain_dead = flags & DEAD, .refused = flags & REFUSED,
			.resume = flags & RESUME,
		};
		for (steps = 0; steps < 10; steps++) {
			action = vbd_decide(&view);
			if (action == VBD_WAIT || action == VBD_FORGET)
				break;
			perform(&view, action);
		}
		if (steps == 10)
			fail_msg("no rest: frontend %u, backend %u, link %u, flags %#x: at %d",
				 frontend, backend, link, flags, action);
		if (frontend == 0 || (flags & DEAD) || backend == 0)
			assert_false(view.link == VBD_LINK_CONNECTED ||
				     view.link == VBD_LINK_FRESH);
	}
}

static void junk_states_change_nothing(void **state)
{
	static const unsigned int junk[] = { 2, 7, 8, 9, 100, 4000000000u };
	struct vbd_view view = { .frontend = XENBUS_CONNECTED, .refused = true };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
		assert_false(vbd_see_frontend(&view, junk[i]));
	assert_int_equal(view.frontend, XENBUS_CONNECTED);
	assert_true(view.refused);
}

static void a_refused_ring_stays_refused_until_let_go(void **state)
{
	static const unsigned int lets_go[] = { 0, 1, 5, 6 };
	struct vbd_view view = { .frontend = XENBUS_INITIALISED, .refused = true };
	size_t i;

	(void)state;
	assert_true(vbd_see_frontend(&view, 4));
	assert_true(view.refused);
	assert_true(vbd_see_frontend(&view, 3));
	assert_true(view.refused);
	for (i = 0; i < sizeof(lets_go) / sizeof(lets_go[0]); i++) {
		view.refused = true;
		assert_true(vbd_see_frontend(&view, lets_go[i]));
		assert_false(view.refused);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(it_always_comes_to_rest),
		cmocka_unit_test(junk_states_change_nothing),
		cmocka_unit_test(a_refused_ring_stays_refused_until_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
