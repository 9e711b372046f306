// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "tapback/exchange.h"
#include "tapback/frontend.h"
#include "tapback/publish.h"
#include "tapback/xentop.h"

#define ANSWER_TIMEOUT_MS	30000	/* for any answer of a tapdisk */
#define REVIVER_TIMEOUT_MS	120000	/* for another tapdisk */
#define BUSY_LOOK_MS		1000	/* between looks at what is overdue */
#define LOOKS_MAX		32	/* at once, for a guest that changes its mind */
#define LOOK_REFILL_MS		50	/* for one more */
#define LOOKS_HEARING		8	/* earned before a frontend that was too loud is heard again */
#define STEPS_MAX		16	/* of one look; more are a fault of ours */
/*
 * A guest that rewrites its nodes all the time makes each try fail, and one is of up to
 * 140 nodes.
 */
#define RING_TRIES		3
#define GUEST_LOG_BURST		5

static void say(struct device *device, int priority, const char *what)
{
	if (log_limited(&device->guest_log))
		log_printf(priority, "domain %u, disk %u: %s", device->domid, device->devid,
			   what);
}

/* Tell everybody device->why. */
static void report(struct device *device)
{
	say(device, LOG_ERR, device->why);
	publish_error(device);
	device->unreported = false;
}

static int node_path(const struct device *device, const char *name,
		     char path[STORE_PATH_MAX + 64])
{
	return snprintf(path, STORE_PATH_MAX + 64, "%s/%s", device->backend, name);
}

static int read_node(const struct device *device, const char *name, char **text)
{
	char path[STORE_PATH_MAX + 64];

	node_path(device, name, path);
	return store_read(device->tapback->store, XBT_NULL, path, text);
}

static int read_number(const struct device *device, const char *name, uint32_t max,
		       uint32_t *number)
{
	char path[STORE_PATH_MAX + 64];

	node_path(device, name, path);
	return store_read_u32(device->tapback->store, XBT_NULL, path, max, number);
}

/* Whether the toolstack's node @name starts with @prefix. */
static bool node_starts(const struct device *device, const char *name, const char *prefix)
{
	CLEANUP_FREE char *text = NULL;

	return !read_node(device, name, &text) && !strncmp(text, prefix, strlen(prefix));
}

static void frontend_state(const struct device *device, char path[STORE_PATH_MAX + 64],
			   char token[32])
{
	snprintf(path, STORE_PATH_MAX + 64, "%s/state", device->frontend);
	snprintf(token, 32, "frontend/%u/%u", device->domid, device->devid);
}

/*
 * A guest can write faster than we may look; each time we would be woken, to see that it is
 * not time yet.
 */
static void stop_hearing(struct device *device)
{
	char path[STORE_PATH_MAX + 64], token[32];

	if (!*device->frontend || device->deaf)
		return;
	frontend_state(device, path, token);
	store_unwatch(device->tapback->store, path, token);
	device->deaf = true;
}

/* 0 or -errno, and then it stays deaf. A new watch fires at once, so nothing is missed. */
static int hear(struct device *device)
{
	char path[STORE_PATH_MAX + 64], token[32];
	int err;

	frontend_state(device, path, token);
	err = store_watch(device->tapback->store, path, token);
	device->deaf = err != 0;
	return err;
}

static void unwatch_frontend(struct device *device)
{
	stop_hearing(device);
	device->frontend[0] = '\0';
	device->deaf = false;
}

/* Watch the frontend's state at @path, its directory. 0 or -errno. */
static int watch_frontend(struct device *device, const char *path)
{
	int err;

	if (!strcmp(device->frontend, path))
		return 0;
	unwatch_frontend(device);
	strcpy(device->frontend, path);
	err = hear(device);
	if (err)
		unwatch_frontend(device);
	return err;
}

/*
 * Where the frontend's directory is. The toolstack says so; that it lies in
 * the guest's own tree is checked all the same, for we read numbers of grants
 * and event channels there.
 */
static int load_frontend(struct device *device)
{
	CLEANUP_FREE char *path = NULL;
	char prefix[64];
	uint32_t domid;
	int err;

	err = read_number(device, "frontend-id", UINT16_MAX, &domid);
	if (!err)
		err = read_node(device, "frontend", &path);
	if (err)
		return err;
	snprintf(prefix, sizeof(prefix), "/local/domain/%u/", device->domid);
	if (domid != device->domid || strncmp(path, prefix, strlen(prefix)) ||
	    strlen(path) >= sizeof(device->frontend))
		return -EINVAL;
	return watch_frontend(device, path);
}

/*
 * What the toolstack wrote and does not change later. 1: loaded; 0: not there
 * yet, or unfit; -errno.
 */
static int load(struct device *device)
{
	uint32_t discard = 1;
	int err;

	/* In this state it may be a device made anew in place of an old one. */
	if (*device->frontend && device->view.backend != XENBUS_INITIALISING)
		return 1;
	err = load_frontend(device);
	if (err == -ENOENT)
		return 0;
	if (err == -EINVAL || err == -ERANGE) {
		snprintf(device->why, sizeof(device->why),
			 "its nodes frontend and frontend-id do not name a directory of domain %u",
			 device->domid);
		if (!device->error_published)
			report(device);
		return 0;
	}
	if (err)
		return err;
	device->readonly = node_starts(device, "mode", "r");
	device->cdrom = node_starts(device, "device-type", "cdrom");
	if (read_number(device, "discard-enable", 1, &discard))
		discard = 1;
	device->discard = discard;
	return 1;
}

/*
 * The state that stands in our own directory. The toolstack writes it too,
 * "online" always before or with it: whoever reads the state first sees an
 * "online" that is at least as new.
 */
static int look_at_backend(struct device *device)
{
	uint32_t state, online;
	int err = read_number(device, "state", UINT32_MAX, &state);

	if (err == -ENOENT) {
		device->view.backend = XENBUS_GONE;
		return 0;
	}
	if (err == -EINVAL || err == -ERANGE)
		return 0;
	if (err)
		return err;
	if (state >= XENBUS_INITIALISING && state <= XENBUS_CLOSED)
		device->view.backend = (enum xenbus_state)state;
	err = read_number(device, "online", 1, &online);
	device->view.online = !err && online;
	if (!device->view.script_done)
		device->view.script_done = node_starts(device, "hotplug-status", "connected");
	return 0;
}

/*
 * Whoever enlarged the disk says so in our directory. What it says is not
 * looked at, only whether it is something new.
 */
static void look_at_size(struct device *device)
{
	CLEANUP_FREE char *text = NULL;

	if (device->view.link != VBD_LINK_CONNECTED || read_node(device, "resize", &text))
		return;
	if (!strncmp(text, device->resize_seen, sizeof(device->resize_seen) - 1))
		return;
	snprintf(device->resize_seen, sizeof(device->resize_seen), "%s", text);
	device->view.resize = true;
}

static int look_at_frontend(struct device *device)
{
	char path[STORE_PATH_MAX + 64], token[32];
	uint32_t state;
	int err;

	frontend_state(device, path, token);
	err = store_read_u32(device->tapback->store, XBT_NULL, path, UINT32_MAX, &state);
	if (err == -ENOENT)
		state = XENBUS_GONE;
	else if (err && err != -EINVAL && err != -ERANGE)
		return err;
	if ((err && err != -ENOENT) || !vbd_see_frontend(&device->view, state))
		say(device, LOG_WARNING, "the guest's state is none that a frontend has");
	return 0;
}

/* Start from the beginning: publish what a frontend needs for its ring. */
static int act_init(struct device *device)
{
	if (device->view.backend == XENBUS_INITIALISING) {
		/* Whatever we knew was of a device that is no more. */
		tapdisk_client_close(&device->client);
		exchange_forget(device);
		device->view.link = VBD_LINK_NONE;
		device->view.script_done = false;
		device->view.domain_dead = false;
	}
	device->unreported = false;
	publish_error_clear(device);
	return publish_shape(device);
}

static void act_look_up(struct device *device)
{
	uint32_t pid;

	if (read_number(device, "pid", INT32_MAX, &pid) ||
	    read_number(device, "minor", XENTAP_MINOR_MAX, &device->minor))
		exchange_lose(device,
			      "the hotplug script did not write the numbers pid and minor");
	else
		exchange_look_up(device, (int)pid);
}

struct ring_work {
	const struct device *device;
	const struct store *store;
	xs_transaction_t t;
	struct frontend_ring ring;
	char why[256];
};

static int read_frontend_node(void *context, const char *name, char **text)
{
	const struct ring_work *work = context;
	char path[STORE_PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", work->device->frontend, name);
	return store_read(work->store, work->t, path, text);
}

static int read_ring(const struct store *store, xs_transaction_t t, void *context)
{
	struct ring_work *work = context;

	work->store = store;
	work->t = t;
	return frontend_read_ring(read_frontend_node, work, work->device->tapback->max_queues,
				  &work->ring, work->why, sizeof(work->why));
}

static int act_connect(struct device *device)
{
	const struct store *store = device->tapback->store;
	struct ring_work work = { .device = device };
	int err = store_transact(store, RING_TRIES, read_ring, &work);

	device->guest_was_alive = xs_is_domain_introduced(store->xs, device->domid);
	if (!err)
		exchange_connect(device, &work.ring);
	else if (err == -EINVAL)
		exchange_refuse(device, "%s", work.why);
	else if (err == -EAGAIN)
		exchange_refuse(device, "the guest changes its nodes all the time");
	else
		return err;
	return 0;
}

static int act_publish(struct device *device)
{
	int err = publish_disk(device);

	if (err)
		return err;
	device->view.link = VBD_LINK_CONNECTED;
	say(device, LOG_INFO, "connected");
	return 0;
}

static int act_publish_size(struct device *device)
{
	int err = publish_size(device);

	if (err)
		return err;
	device->view.resized = false;
	say(device, LOG_INFO, "has a new size");
	return 0;
}

static int act_fail(struct device *device)
{
	if (device->view.frontend == XENBUS_INITIALISED ||
	    device->view.frontend == XENBUS_CONNECTED)
		device->view.refused = true;
	report(device);
	return publish_state(device, XENBUS_CLOSING);
}

static int act(struct device *device, enum vbd_action action)
{
	switch (action) {
	case VBD_INIT:
		return act_init(device);
	case VBD_LOOK_UP:
		act_look_up(device);
		return 0;
	case VBD_CONNECT:
		return act_connect(device);
	case VBD_PUBLISH:
		return act_publish(device);
	case VBD_ASK_SIZE:
		exchange_ask_size(device);
		return 0;
	case VBD_PUBLISH_SIZE:
		return act_publish_size(device);
	case VBD_DISCONNECT:
		exchange_disconnect(device);
		return 0;
	case VBD_FAIL:
		return act_fail(device);
	case VBD_CLOSING:
		return publish_state(device, XENBUS_CLOSING);
	case VBD_CLOSED:
		return exchange_end_ring(device) ? publish_state(device, XENBUS_CLOSED) : 0;
	case VBD_DROP_LINK:
		tapdisk_client_close(&device->client);
		exchange_forget(device);
		device->view.link = VBD_LINK_NONE;
		return 0;
	default:
		return 0;
	}
}

/* One look at everything that matters: 1 when all is known, 0, or -errno. */
static int look(struct device *device)
{
	int err, loaded;

	err = look_at_backend(device);
	if (err)
		return err;
	if (device->view.backend == XENBUS_GONE)
		return 1;
	loaded = load(device);
	if (loaded <= 0)
		return loaded;
	look_at_size(device);
	err = look_at_frontend(device);
	return err ? err : 1;
}

/* One step: 0 when there is something more to do, 1 when not, or -errno. */
static int step(struct device *device, enum vbd_action *action)
{
	int err = look(device);

	*action = VBD_WAIT;
	if (err <= 0)
		return err ? err : 1;
	*action = vbd_decide(&device->view);
	if (*action == VBD_WAIT || *action == VBD_FORGET)
		return 1;
	err = act(device, *action);
	/* The toolstack was faster: look again. */
	return err == -ESTALE ? 0 : err;
}

bool device_run(struct device *device)
{
	enum vbd_action action;
	int done = 0, steps;

	for (steps = 0; steps < STEPS_MAX && !done; steps++) {
		done = step(device, &action);
		/* Refused; to read a ring is dear, so no other one in this look. */
		if (action == VBD_CONNECT && device->view.link != VBD_LINK_BUSY)
			break;
	}
	if (done < 0 && log_limited(&device->guest_log))
		log_warning("domain %u, disk %u: xenstore fails (%s); trying again",
			    device->domid, device->devid, strerror(-done));
	device->dirty = done <= 0;
	if (action == VBD_FORGET) {
		exchange_forget(device);
		publish_error_clear(device);
		return false;
	}
	/*
	 * Going to Closing reports what went wrong; a device that is there
	 * already has no such step. A disk that is unplugged needs none.
	 */
	if (device->unreported && (device->view.refused ||
	    ((device->view.link == VBD_LINK_LOST || device->view.awaits_pages) &&
	     device->view.online)))
		report(device);
	return true;
}

bool device_may_look(struct device *device, uint64_t now_ms)
{
	uint64_t earned = (now_ms - device->looks_ms) / LOOK_REFILL_MS;

	if (earned) {
		device->looks_ms = now_ms;
		if (earned > LOOKS_MAX - device->looks_left)
			earned = LOOKS_MAX - device->looks_left;
		device->looks_left += (unsigned int)earned;
	}
	if (!device->looks_left)
		stop_hearing(device);
	else if (device->deaf && device->looks_left >= LOOKS_HEARING)
		hear(device);
	if (!device->looks_left || device->deaf)
		return false;
	device->looks_left--;
	return true;
}

int device_busy_ms(const struct device *device)
{
	uint64_t now_ms;

	if (device->view.link != VBD_LINK_BUSY)
		return -1;
	if (!device->retry_ms)
		return BUSY_LOOK_MS;
	now_ms = clock_ms();
	return device->retry_ms > now_ms ? (int)(device->retry_ms - now_ms) : 0;
}

/*
 * Whether the tapdisk that does not answer may use the guest's pages, or will when it comes
 * to read what it was asked: nobody may be told that the disk is closed, then.
 */
static bool may_serve(const struct device *device)
{
	return device->asked != ASKED_OTHER ||
	       device->view.backend == XENBUS_CONNECTED ||
	       device->view.backend == XENBUS_CLOSING;
}

void device_check_time(struct device *device, uint64_t now_ms)
{
	if (device->retry_ms) {
		if (now_ms >= device->retry_ms)
			exchange_retry(device);
		return;
	}
	if (device->reviver.fd >= 0) {
		if (now_ms - device->client.asked_ms >= REVIVER_TIMEOUT_MS)
			exchange_lose(device, "tapdisk %d was killed, and no other one was started "
				      "within %d seconds", device->client.pid,
				      REVIVER_TIMEOUT_MS / 1000);
		return;
	}
	if (device->view.link != VBD_LINK_BUSY ||
	    now_ms - device->client.asked_ms < ANSWER_TIMEOUT_MS)
		return;
	if (!may_serve(device)) {
		exchange_lose(device, "tapdisk %d did not answer within %d seconds",
			      device->client.pid, ANSWER_TIMEOUT_MS / 1000);
		return;
	}
	if (!device->overdue_said)
		log_warning(device->asked == ASKED_DISCONNECT ?
			    "domain %u, disk %u: tapdisk %d still waits for I/O to end" :
			    "domain %u, disk %u: tapdisk %d does not answer, and is waited for",
			    device->domid, device->devid, device->client.pid);
	device->overdue_said = true;
}

void device_check_domain(struct device *device)
{
	bool alive = xs_is_domain_introduced(device->tapback->store->xs, device->domid);

	if (alive)
		device->guest_was_alive = true;
	else if (device->guest_was_alive && !device->view.domain_dead) {
		device->view.domain_dead = true;
		device->dirty = true;
	}
}

int device_create(const struct tapback *tapback, const char *dir, uint32_t domid,
		  uint32_t devid, struct device **device)
{
	struct device *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = (struct device){
		.tapback = tapback,
		.domid = domid,
		.devid = devid,
		.view = {
			.frontend = XENBUS_INITIALISING,
			.backend = XENBUS_INITIALISING,
		},
		.client = TAPDISK_CLIENT_INIT,
		.kept = KEPT_INIT(domid, devid),
		.reviver.fd = -1,
		.guest_log = { .burst = GUEST_LOG_BURST },
		.dirty = true,
		.looks_left = LOOKS_MAX,
		.looks_ms = clock_ms(),
	};
	snprintf(new->backend, sizeof(new->backend), "%s/%u/%u", dir, domid, devid);
	*device = new;
	return 0;
}

void device_destroy(struct device *device)
{
	if (!device)
		return;
	unwatch_frontend(device);
	tapdisk_client_close(&device->client);
	/* It is not known to be over. */
	kept_close(&device->kept);
	xentop_leave(device);
	exchange_forget(device);
	free(device);
}
