// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/decide.h"

bool vbd_see_frontend(struct vbd_view *view, unsigned int state)
{
	switch (state) {
	case XENBUS_INITIALISED:
	case XENBUS_CONNECTED:
		break;
	case XENBUS_GONE:
	case XENBUS_INITIALISING:
	case XENBUS_CLOSING:
	case XENBUS_CLOSED:
		/* It let go of the ring that was refused. */
		view->refused = false;
		break;
	default:
		return false;
	}
	view->frontend = (enum xenbus_state)state;
	return true;
}

/* Whether tapdisk has the guest's pages in use. */
static bool is_connected(const struct vbd_view *view)
{
	return view->link == VBD_LINK_FRESH || view->link == VBD_LINK_CONNECTED;
}

/* The frontend may still use the ring that is, or was and will be, served. */
static bool waits_for_frontend(const struct vbd_view *view)
{
	if (view->link != VBD_LINK_CONNECTED &&
	    (view->link != VBD_LINK_PAUSED || !view->resume))
		return false;
	/* Closed: the toolstack does not wait for the guest. */
	return view->backend != XENBUS_CLOSED && view->frontend != XENBUS_INITIALISING &&
	       view->frontend != XENBUS_CLOSED;
}

/*
 * The toolstack is unplugging the disk. It waits ten seconds for Closed, so
 * only what is really connected is waited for: a frontend that uses its ring
 * may finish, all others have nothing to finish.
 */
static enum vbd_action decide_unplug(const struct vbd_view *view)
{
	if (view->link == VBD_LINK_FRESH)
		return VBD_DISCONNECT;
	if (waits_for_frontend(view))
		return VBD_WAIT;
	if (view->link == VBD_LINK_CONNECTED)
		return VBD_DISCONNECT;
	if (view->backend != XENBUS_CLOSED)
		return VBD_CLOSED;
	return view->link == VBD_LINK_NONE ? VBD_WAIT : VBD_DROP_LINK;
}

/* There is no frontend and there will be none. */
static enum vbd_action decide_no_frontend(const struct vbd_view *view)
{
	if (is_connected(view))
		return VBD_DISCONNECT;
	if (view->backend != XENBUS_CLOSED)
		return VBD_CLOSED;
	return view->link == VBD_LINK_NONE ? VBD_WAIT : VBD_DROP_LINK;
}

/* A new device, or one that the toolstack made anew in an old one's place. */
static enum vbd_action decide_new(const struct vbd_view *view)
{
	if (is_connected(view))
		return VBD_DISCONNECT;
	if (view->frontend == XENBUS_GONE)
		return VBD_WAIT;
	return VBD_INIT;
}

/* The frontend has no ring yet, or dropped the one it had. */
static enum vbd_action decide_initialising(const struct vbd_view *view)
{
	switch (view->backend) {
	case XENBUS_CLOSING:
		return is_connected(view) ? VBD_DISCONNECT : VBD_CLOSED;
	case XENBUS_CLOSED:
		if (is_connected(view))
			return VBD_DISCONNECT;
		/* Without a tapdisk there is nothing to come back to. */
		return view->link == VBD_LINK_LOST ? VBD_WAIT : VBD_INIT;
	case XENBUS_CONNECTED:
		/*
		 * While a ring is served this cannot be told from a watch that
		 * comes late: a new ring comes by way of Closed only.
		 */
		return view->link == VBD_LINK_READY ? VBD_CLOSED : VBD_WAIT;
	default:
		return view->link == VBD_LINK_FRESH ? VBD_DISCONNECT : VBD_WAIT;
	}
}

static enum vbd_action decide_in_use(const struct vbd_view *view)
{
	/* Unless Connected, it is left from before it closed. */
	if (view->backend != XENBUS_CONNECTED)
		return VBD_DISCONNECT;
	if (view->resized)
		return VBD_PUBLISH_SIZE;
	return view->resize ? VBD_ASK_SIZE : VBD_WAIT;
}

/* The frontend offers a ring. It may skip Initialised. */
static enum vbd_action decide_offer(const struct vbd_view *view)
{
	if (view->link == VBD_LINK_FRESH)
		return VBD_PUBLISH;
	if (view->link == VBD_LINK_CONNECTED)
		return decide_in_use(view);
	if (view->refused)
		return view->backend == XENBUS_INIT_WAIT ||
		       view->backend == XENBUS_CONNECTED ? VBD_FAIL : VBD_WAIT;
	if (view->link == VBD_LINK_READY)
		return VBD_CONNECT;
	if (view->link == VBD_LINK_NONE && view->script_done)
		return VBD_LOOK_UP;
	return VBD_WAIT;
}

static enum vbd_action decide_closing(const struct vbd_view *view)
{
	/* It has closed before it was told that its new ring is served, if it could be told. */
	if (view->backend == XENBUS_CLOSED && is_connected(view))
		return VBD_DISCONNECT;
	/*
	 * The ring is served until the frontend is Closed: it may still send
	 * requests, and wait for their answers.
	 */
	if (view->backend == XENBUS_CLOSING || view->backend == XENBUS_CLOSED)
		return VBD_WAIT;
	return VBD_CLOSING;
}

static enum vbd_action decide_closed(const struct vbd_view *view)
{
	if (is_connected(view))
		return VBD_DISCONNECT;
	return view->backend == XENBUS_CLOSED ? VBD_WAIT : VBD_CLOSED;
}

/*
 * Whether tapdisk must be asked before anything is decided: for a new disk,
 * or for one that was in use when tapback was restarted.
 */
static bool must_look_up(const struct vbd_view *view)
{
	return view->link == VBD_LINK_NONE && view->script_done &&
	       (view->backend == XENBUS_INIT_WAIT ||
		view->backend == XENBUS_CONNECTED ||
		view->backend == XENBUS_CLOSING);
}

/*
 * The ring is to be served as if nothing had happened, whatever else is to be done
 * with the disk: also a frontend that is Closing may still wait for answers.
 */
static bool must_resume(const struct vbd_view *view)
{
	return view->resume && view->link == VBD_LINK_READY && view->backend != XENBUS_CLOSED &&
	       (view->frontend == XENBUS_INITIALISED || view->frontend == XENBUS_CONNECTED ||
		view->frontend == XENBUS_CLOSING);
}

enum vbd_action vbd_decide(const struct vbd_view *view)
{
	/* Nobody is left to be told that the pages are free. */
	if (view->awaits_pages && view->backend == XENBUS_GONE)
		return VBD_FORGET;
	if (view->link == VBD_LINK_BUSY)
		return VBD_WAIT;
	if (view->backend == XENBUS_GONE)
		return is_connected(view) ? VBD_DISCONNECT : VBD_FORGET;
	if (view->backend == XENBUS_INITIALISING)
		return decide_new(view);
	if (must_look_up(view))
		return VBD_LOOK_UP;
	if (view->frontend == XENBUS_GONE || view->domain_dead)
		return decide_no_frontend(view);
	if (must_resume(view))
		return VBD_CONNECT;
	if (!view->online && (view->backend == XENBUS_CLOSING ||
			      view->backend == XENBUS_CLOSED))
		return decide_unplug(view);
	if (view->link == VBD_LINK_LOST && view->frontend != XENBUS_CLOSED &&
	    view->backend != XENBUS_CLOSING && view->backend != XENBUS_CLOSED)
		return VBD_FAIL;

	switch (view->frontend) {
	case XENBUS_INITIALISED:
	case XENBUS_CONNECTED:
		return decide_offer(view);
	case XENBUS_CLOSING:
		return decide_closing(view);
	case XENBUS_CLOSED:
		return decide_closed(view);
	default:
		return decide_initialising(view);
	}
}
