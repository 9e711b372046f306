/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to do next for one disk of one guest: the state machine between
 * frontend, toolstack and tapdisk, as a pure function. Nothing here looks at
 * xenstore, a socket or a clock.
 *
 * Watches come late, twice and joined together, so the machine knows no
 * events: it looks at how things are and names one action that brings them
 * closer to how they should be. Whoever calls it acts, looks again, and asks
 * again, until the answer is VBD_WAIT.
 */
#ifndef TAPBACK_DECIDE_H
#define TAPBACK_DECIDE_H

#include <stdbool.h>

/* States of either side, as in Xen's public header io/xenbus.h. */
enum xenbus_state {
	XENBUS_GONE		= 0,	/* no such node, or "unknown" */
	XENBUS_INITIALISING	= 1,
	XENBUS_INIT_WAIT	= 2,
	XENBUS_INITIALISED	= 3,
	XENBUS_CONNECTED	= 4,
	XENBUS_CLOSING		= 5,
	XENBUS_CLOSED		= 6,
};

/* The disk's tapdisk, as far as this disk is concerned. */
enum vbd_link {
	VBD_LINK_NONE,		/* not spoken to yet */
	VBD_LINK_BUSY,		/* its answer is awaited */
	VBD_LINK_PAUSED,	/* known; its image is closed, and nothing is connected */
	VBD_LINK_READY,		/* known; the frontend's ring is not connected */
	VBD_LINK_FRESH,		/* serves the ring; the frontend was not told yet */
	VBD_LINK_CONNECTED,	/* serves the frontend's ring */
	VBD_LINK_LOST,		/* ended or unfit; nothing is connected any more */
};

struct vbd_view {
	enum xenbus_state frontend;
	enum xenbus_state backend;	/* as it stands in xenstore */
	enum vbd_link link;
	bool online;		/* the toolstack wants the disk to persist */
	bool script_done;	/* the hotplug script wrote "connected" */
	bool domain_dead;	/* the guest will never run again */
	/*
	 * The ring that the frontend offers cannot be connected, and is not
	 * tried again until it let go of it; see vbd_see_frontend().
	 */
	bool refused;
	bool resume;		/* the ring was served, by a tapdisk that was killed or paused */
	bool resize;		/* the disk is said to have another size */
	bool resized;		/* its size is known, and to be told */
	bool awaits_pages;	/* busy, as I/O of a tapdisk that was given up has pages */
};

enum vbd_action {
	VBD_WAIT,		/* nothing until something changes */
	VBD_INIT,		/* (re)start: publish the shape, go to InitWait */
	VBD_LOOK_UP,		/* make the acquaintance of tapdisk */
	VBD_CONNECT,		/* hand the frontend's ring to tapdisk */
	VBD_PUBLISH,		/* tell the frontend: size, Connected */
	VBD_ASK_SIZE,		/* ask tapdisk how large the disk is now */
	VBD_PUBLISH_SIZE,	/* tell the frontend, by Connected once more */
	VBD_DISCONNECT,		/* take it away, after all I/O ended */
	VBD_FAIL,		/* say why it cannot go on, go to Closing */
	VBD_CLOSING,		/* follow the frontend to Closing */
	VBD_CLOSED,		/* nothing is connected: go to Closed */
	VBD_DROP_LINK,		/* no more business with tapdisk */
	VBD_FORGET,		/* the toolstack removed the device */
};

enum vbd_action vbd_decide(const struct vbd_view *view);

/*
 * The frontend's state node says @state, 0 for a node that is gone. States
 * that no frontend has are ignored: false, and nothing changes.
 */
bool vbd_see_frontend(struct vbd_view *view, unsigned int state);

#endif /* TAPBACK_DECIDE_H */
