// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/record.h"
#include "tapback/guest_fds.h"
#include "tapback/publish.h"
#include "tapback/reviver.h"
#include "tapback/xentop.h"

#define RETRY_MS	50	/* until what is waited for is looked at again, at first */
#define RETRY_MAX_MS	1000
#define LONG_MS		30000	/* after that time it is said that they are waited for */

static struct device *device_of(struct tapdisk_client *client)
{
	return (struct device *)((char *)client - offsetof(struct device, client));
}

/* Nobody serves a ring, nor is about to. */
static void drop_ring(struct device *device)
{
	kept_drop(&device->kept);
	xentop_remove(device);
}

static void set_link(struct device *device, enum vbd_link link)
{
	device->view.link = link;
	device->view.awaits_pages = false;
	device->asked = ASKED_OTHER;
	device->overdue_said = false;
	device->retry_ms = 0;
	device->dirty = true;
	if (!device->view.resume && (link == VBD_LINK_NONE || link == VBD_LINK_PAUSED ||
				     link == VBD_LINK_READY || link == VBD_LINK_LOST))
		drop_ring(device);
}

static void end_reviver(struct device *device)
{
	if (device->reviver.fd < 0)
		return;
	loop_remove(device->tapback->loop, &device->reviver);
	reviver_stop(fd_take(&device->reviver.fd));
}

void exchange_forget(struct device *device)
{
	device->view.resume = false;
	device->view.awaits_pages = false;
	device->retry_ms = 0;
	device->unserved_ms = 0;
	device->unserved_said = false;
	end_reviver(device);
	drop_ring(device);
}

/*
 * As long as I/O of a dead tapdisk lasts, nobody may answer in its place, nor say that the
 * disk is closed; nor may a migrated guest's I/O get ahead of what it asked for under its
 * old number. The longer it takes, the less often it is looked at: the link is @then.
 */
static void try_later(struct device *device, enum vbd_link then)
{
	const char *why = "waits, since I/O of others to its image is not over yet";
	uint64_t now_ms = clock_ms(), pause_ms;
	bool dirty = device->dirty, awaits_pages = device->view.awaits_pages;

	set_link(device, VBD_LINK_BUSY);
	device->view.awaits_pages = awaits_pages;
	device->then = then;
	/* There is nothing to see until then. */
	device->dirty = dirty;
	if (!device->unserved_ms)
		device->unserved_ms = now_ms;
	pause_ms = (now_ms - device->unserved_ms) / 8;
	pause_ms = pause_ms < RETRY_MS ? RETRY_MS : pause_ms;
	device->retry_ms = now_ms + (pause_ms < RETRY_MAX_MS ? pause_ms : RETRY_MAX_MS);
	if (device->unserved_said || now_ms - device->unserved_ms <= LONG_MS)
		return;
	device->unserved_said = true;
	if (awaits_pages)
		why = "pages of the guest are still in use by its tapdisk's I/O";
	else if (then == VBD_LINK_NONE)
		why = "its tapdisk ends its connections again and again";
	else if (device->view.resume)
		why = "I/O of the tapdisk that was killed is not over yet";
	log_warning("domain %u, disk %u: %s", device->domid, device->devid, why);
}

/* Whether pages of the guest are in use: the link is busy until not, and @then from then on. */
static bool wait_for_pages(struct device *device, enum vbd_link then)
{
	device->view.awaits_pages = kept_is_in_use(&device->kept);
	if (!device->view.awaits_pages)
		return false;
	device->view.resume = false;
	end_reviver(device);
	try_later(device, then);
	return true;
}

bool exchange_end_ring(struct device *device)
{
	if (wait_for_pages(device, device->view.link))
		return false;
	exchange_forget(device);
	return true;
}

void exchange_retry(struct device *device)
{
	enum vbd_link then = device->then;

	if (device->view.awaits_pages) {
		if (wait_for_pages(device, then))
			return;
		exchange_forget(device);
	}
	set_link(device, then);
}

void exchange_lose(struct device *device, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(device->why, sizeof(device->why), format, args);
	va_end(args);
	device->unreported = true;
	tapdisk_client_close(&device->client);
	if (wait_for_pages(device, VBD_LINK_LOST))
		return;
	exchange_forget(device);
	set_link(device, VBD_LINK_LOST);
}

void exchange_refuse(struct device *device, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(device->why, sizeof(device->why), format, args);
	va_end(args);
	device->unreported = true;
	device->view.refused = true;
	device->view.resume = false;
	set_link(device, VBD_LINK_READY);
}

/* ---- a tapdisk that was killed ---- */

/* Another one was started, or not: its pid is in the record. */
static void reviver_ready(struct loop_source *source)
{
	struct device *device = (struct device *)((char *)source - offsetof(struct device, reviver));
	struct ctl_msg record = CTL_MSG_INIT;
	int64_t pid = 0;
	int err;

	loop_remove(device->tapback->loop, source);
	err = reviver_end(fd_take(&source->fd));
	if (!err)
		err = record_read(device->tapback->run_dir, (int)device->minor, &record);
	if (!err)
		err = ctl_get_int(&record, "pid", 1, INT32_MAX, &pid);
	ctl_msg_clear(&record);
	if (!err)
		err = publish_pid(device, (int)pid);
	/* A device that was removed meanwhile has no more use for it. */
	if (!err || err == -ENOENT)
		set_link(device, VBD_LINK_NONE);
	else
		exchange_lose(device, "tapdisk %d was killed, and no other one could be started; see "
			      "journalctl -t tap-ctl", device->client.pid);
}

/* Whether it was not done too often lately; counts this time. */
static bool may_restart(struct device *device)
{
	uint64_t *oldest = &device->restarts_ms[device->next_restart];
	uint64_t now_ms = clock_ms();

	if (*oldest && now_ms - *oldest < DEVICE_RESTARTS_MS)
		return false;
	*oldest = now_ms;
	device->next_restart = (device->next_restart + 1) % DEVICE_RESTARTS_MAX;
	return true;
}

/* The disk waits for a frontend, or for its next ring; or it is just looked at for that. */
static bool is_idle(const struct device *device)
{
	const struct vbd_view *view = &device->view;
	bool looking = view->link == VBD_LINK_BUSY && view->backend == XENBUS_INIT_WAIT &&
		       device->asked != ASKED_CONNECT;

	return (view->link == VBD_LINK_READY || view->link == VBD_LINK_PAUSED || looking) &&
	       view->online && !view->domain_dead;
}

/* At once if it @accepts connections, unless that was done too often lately. */
static void look_again(struct device *device, int pid, bool accepts)
{
	if (accepts && device_may_look(device, clock_ms())) {
		exchange_look_up(device, pid);
		return;
	}
	if (kept_is_serving(&device->kept))
		device->view.resume = true;
	try_later(device, VBD_LINK_NONE);
}

/*
 * The client is closed. Have another tapdisk go on: with what is kept of the ring, or, while
 * the frontend has none, from the beginning.
 */
static bool revive(struct device *device)
{
	bool serving = kept_is_serving(&device->kept);
	int pid = device->client.pid;
	int fd;

	if (device->client.told_to_end)
		return false;
	/*
	 * It has closed the connection, no more, and is asked again what it serves, however
	 * an open question was meant; or it is dying, with its listening socket not closed
	 * yet, and the question comes to nothing and back to here, with all that is kept.
	 */
	fd = ctl_connect_in(device->tapback->run_dir, pid);
	if (fd != -ESRCH) {
		if (fd >= 0)
			close(fd);
		look_again(device, pid, fd >= 0);
		return true;
	}
	if (device->asked == ASKED_DISCONNECT || !(serving || is_idle(device)))
		return false;
	if (!may_restart(device)) {
		log_error("domain %u, disk %u: tapdisk %d ended, as %u before it in %u seconds; its "
			  "disk is given up", device->domid, device->devid, pid,
			  DEVICE_RESTARTS_MAX, DEVICE_RESTARTS_MS / 1000);
		return false;
	}
	fd = reviver_start(device->minor);
	device->reviver = (struct loop_source){ .fd = fd < 0 ? -1 : fd, .ready = reviver_ready };
	if (fd < 0 || loop_add(device->tapback->loop, &device->reviver)) {
		log_error("domain %u, disk %u: tapdisk %d ended, and nobody can be asked to start "
			  "another one: %s", device->domid, device->devid, pid,
			  fd < 0 ? strerror(-fd) : "no memory");
		end_reviver(device);
		return false;
	}
	log_warning("domain %u, disk %u: tapdisk %d has ended; the guest waits for another one",
		    device->domid, device->devid, pid);
	/* The next one has another number. */
	xentop_remove(device);
	device->view.resume = serving;
	device->unserved_ms = clock_ms();
	device->client.asked_ms = device->unserved_ms;
	set_link(device, VBD_LINK_BUSY);
	return true;
}

static void lost(struct tapdisk_client *client)
{
	struct device *device = device_of(client);

	if (!revive(device))
		exchange_lose(device, "tapdisk %d ended while its disk was in use; "
			      "see journalctl _PID=%d", client->pid, client->pid);
}

/* The answer to @what is @err and of no use: the tapdisk is lost. */
static void lose_by_answer(struct device *device, const char *what, int err,
			   const struct ctl_msg *reply)
{
	if (reply)
		exchange_lose(device, "tapdisk %d, %s: %s", device->client.pid, what,
			      ctl_reply_sentence(reply));
	else if (!revive(device))
		exchange_lose(device, "tapdisk %d ended at \"%s\" (%s); see journalctl _PID=%d",
			      device->client.pid, what, strerror(-err), device->client.pid);
}

/*
 * Put @request unless it could not be made (@err). A tapdisk that is dying may take a
 * connection, and then no question.
 */
static void ask(struct device *device, enum device_question what, struct ctl_msg *request,
		int err, void (*answered)(struct tapdisk_client *, int, struct ctl_msg *))
{
	set_link(device, VBD_LINK_BUSY);
	device->asked = what;
	if (!err)
		err = tapdisk_client_ask(&device->client, request, answered);
	ctl_msg_clear(request);
	if (!err)
		return;
	tapdisk_client_close(&device->client);
	if (!revive(device))
		exchange_lose(device, "cannot talk to tapdisk %d: %s", device->client.pid,
			      strerror(-err));
}

/* A request about our guest's connection. */
static int request_vbd(const struct device *device, struct ctl_msg *request,
		       const char *cmd)
{
	int err = ctl_request_minor(request, cmd, (int)device->minor);

	if (!err)
		err = ctl_set_int(request, "domid", device->domid);
	if (!err)
		err = ctl_set_int(request, "devid", device->devid);
	return err;
}

/* Whether @reply to "arena" names @device. */
static bool serves_device(const struct device *device, const struct ctl_msg *reply)
{
	struct json_object *frontends;
	struct ctl_msg view = { 0 };
	int64_t domid, devid;
	size_t i;

	if (!json_object_object_get_ex(reply->json, "frontends", &frontends) ||
	    !json_object_is_type(frontends, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(frontends); i++) {
		view.json = json_object_array_get_idx(frontends, i);
		if (json_object_is_type(view.json, json_type_object) &&
		    !ctl_get_int(&view, "domid", device->domid, device->domid, &domid) &&
		    !ctl_get_int(&view, "devid", device->devid, device->devid, &devid))
			return true;
	}
	return false;
}

/* ---- what to keep ---- */

static void journal_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);

	if (err && !reply) {
		lose_by_answer(device, "journal", err, NULL);
		return;
	}
	/* One that keeps none, or is of a version before: the disk ends with it. */
	if (err || kept_take(&device->kept, reply))
		kept_drop(&device->kept);
	/* Its ring is not served now, and will be. */
	if (device->then == VBD_LINK_PAUSED)
		device->view.resume = kept_is_serving(&device->kept);
	set_link(device, device->then);
}

/* The ring is served, or was: what will it take to go on with it? */
static void ask_journal(struct device *device, enum vbd_link then)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err;

	device->then = then;
	err = request_vbd(device, &request, "journal");
	ask(device, ASKED_OTHER, &request, err, journal_answered);
}

/* If it keeps one. */
static void find_journal(struct device *device, enum vbd_link then)
{
	if (device->geometry.journal)
		ask_journal(device, then);
	else
		set_link(device, then);
}

static void arena_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);

	if (err) {
		lose_by_answer(device, "arena", err, reply);
		return;
	}
	if (serves_device(device, reply)) {
		find_journal(device, VBD_LINK_CONNECTED);
		return;
	}
	/* It was started in place of one that was killed, and then so were we. */
	if (kept_is_serving(&device->kept)) {
		device->view.resume = true;
		device->unserved_ms = clock_ms();
		set_link(device, VBD_LINK_READY);
		return;
	}
	/* Its ring was in use: it cannot be taken up again from the middle. */
	exchange_forget(device);
	exchange_refuse(device, "tapdisk %d serves its disk, but no longer this guest",
			client->pid);
}

static int parse_discard(const struct ctl_msg *reply, struct geometry *geometry)
{
	int64_t granularity, alignment;

	if (ctl_get_bool(reply, "discard", &geometry->discard) ||
	    ctl_get_int(reply, "discard_granularity", 0, UINT32_MAX, &granularity) ||
	    ctl_get_int(reply, "discard_alignment", 0, UINT32_MAX, &alignment) ||
	    ctl_get_bool(reply, "discard_secure", &geometry->discard_secure))
		return -EINVAL;
	geometry->discard_granularity = (uint32_t)granularity;
	geometry->discard_alignment = (uint32_t)alignment;
	return 0;
}

/* 0 or -EINVAL. */
static int parse_geometry(const struct ctl_msg *reply, struct geometry *geometry)
{
	int64_t sectors, size, physical, indirect;

	if (ctl_get_int(reply, "sectors", 0, INT64_MAX / 512, &sectors) ||
	    ctl_get_int(reply, "sector_size", 512, 65536, &size) ||
	    ctl_get_int(reply, "physical_sector_size", size, INT32_MAX, &physical) ||
	    ctl_get_bool(reply, "readonly", &geometry->readonly) ||
	    ctl_get_bool(reply, "flush", &geometry->flush) ||
	    ctl_get_bool(reply, "barrier", &geometry->barrier) ||
	    ctl_get_bool(reply, "persistent", &geometry->persistent) ||
	    ctl_get_int(reply, "max_indirect_segments", 0, INDIRECT_SEGMENTS_MAX, &indirect) ||
	    parse_discard(reply, geometry))
		return -EINVAL;
	/* Older versions do not speak of these. */
	if (ctl_get_bool(reply, "journal", &geometry->journal))
		geometry->journal = false;
	if (ctl_get_bool(reply, "xentop", &geometry->xentop))
		geometry->xentop = false;
	geometry->indirect_segments = (uint32_t)indirect;
	geometry->sectors = (uint64_t)sectors;
	geometry->sector_size = (uint32_t)size;
	geometry->physical_sector_size = (uint32_t)physical;
	return 0;
}

/*
 * Its image is closed for a while, and no page of the guest in use. When it is open again,
 * the connection ends, and it is asked once more.
 */
static void paused(struct device *device)
{
	bool was_served = device->view.backend == XENBUS_CONNECTED ||
			  device->view.backend == XENBUS_CLOSING;

	log_info("domain %u, disk %u: waits, since tapdisk %d has closed its image for a while",
		 device->domid, device->devid, device->client.pid);
	device->unserved_ms = 0;
	device->unserved_said = false;
	if (kept_is_serving(&device->kept))
		device->view.resume = true;
	/* It may have been paused before we were started. */
	if (was_served && !device->view.resume)
		ask_journal(device, VBD_LINK_PAUSED);
	else
		set_link(device, VBD_LINK_PAUSED);
}

static void info_failed(struct device *device, int err, const struct ctl_msg *reply)
{
	if (err == -EBUSY && reply)
		paused(device);
	else
		lose_by_answer(device, "info", err, reply);
}

static void info_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);
	struct ctl_msg request = CTL_MSG_INIT;

	if (err) {
		info_failed(device, err, reply);
		return;
	}
	if (parse_geometry(reply, &device->geometry)) {
		exchange_lose(device, "tapdisk %d describes its disk in no known way",
			      client->pid);
		return;
	}
	device->unserved_ms = 0;
	device->unserved_said = false;
	if (device->view.resume || (device->view.backend != XENBUS_CONNECTED &&
				    device->view.backend != XENBUS_CLOSING)) {
		set_link(device, VBD_LINK_READY);
		return;
	}
	/* The disk may be in use since before we started: look, don't touch. */
	xentop_adopt(device);
	err = ctl_request_minor(&request, "arena", (int)device->minor);
	ask(device, ASKED_OTHER, &request, err, arena_answered);
}

static void size_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);
	struct geometry geometry;

	if (err) {
		/* Who does not say it now is asked again. */
		info_failed(device, err, reply);
		return;
	}
	device->view.resize = false;
	/* All else a frontend has taken for granted. */
	if (!parse_geometry(reply, &geometry)) {
		device->geometry.sectors = geometry.sectors;
		device->view.resized = true;
	}
	set_link(device, VBD_LINK_CONNECTED);
}

void exchange_ask_size(struct device *device)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err = ctl_request_minor(&request, "info", (int)device->minor);

	ask(device, ASKED_OTHER, &request, err, size_answered);
}

void exchange_look_up(struct device *device, int pid)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err;

	err = tapdisk_client_open(&device->client, device->tapback->loop,
				  device->tapback->run_dir, pid, lost);
	/* For revive(), and for what is said. */
	device->client.pid = pid;
	/* Gone; or more connect to it than it has come to accept. */
	if ((err == -ESRCH || err == -EAGAIN) && revive(device))
		return;
	if (err == -ESRCH) {
		exchange_lose(device, "tapdisk %d is not running; see journalctl _PID=%d", pid,
			      pid);
		return;
	}
	if (err) {
		exchange_lose(device, "cannot connect to tapdisk %d: %s", pid, strerror(-err));
		return;
	}
	err = ctl_request_minor(&request, "info", (int)device->minor);
	ask(device, ASKED_OTHER, &request, err, info_answered);
}

/* The ring is served; if it is served again, the frontend need not know. */
static void connected(struct device *device)
{
	enum vbd_link then = VBD_LINK_FRESH;

	if (device->view.resume) {
		log_warning("domain %u, disk %u: tapdisk %d goes on", device->domid, device->devid,
			    device->client.pid);
		if (device->view.backend != XENBUS_INIT_WAIT)
			then = VBD_LINK_CONNECTED;
	}
	device->view.resume = false;
	device->unserved_ms = 0;
	device->unserved_said = false;
	find_journal(device, then);
}

static void connect_answered(struct tapdisk_client *client, int err,
			     struct ctl_msg *reply)
{
	struct device *device = device_of(client);
	bool resume = device->view.resume;

	if (!err || (err == -EALREADY && resume))
		connected(device);
	else if (!reply)
		lose_by_answer(device, "connect", err, NULL);
	else if (err == -EBUSY)
		try_later(device, VBD_LINK_READY);
	else if (err == -EALREADY)
		/* From before we started: it is taken away, then connected. */
		set_link(device, VBD_LINK_CONNECTED);
	else
		exchange_refuse(device, "tapdisk %d cannot connect the guest's ring: %s",
				client->pid, ctl_reply_sentence(reply));
}

/* One of member "queues", or NULL without memory. */
static struct json_object *make_queue(const struct frontend_queue *queue, unsigned int nr_grefs)
{
	struct json_object *object = json_object_new_object();
	struct json_object *grefs = json_object_new_array_ext((int)nr_grefs);
	unsigned int i;

	for (i = 0; grefs && i < nr_grefs; i++)
		json_object_array_add(grefs, json_object_new_int64(queue->grefs[i]));
	if (!object || !grefs || json_object_object_add(object, "grefs", grefs)) {
		json_object_put(object);
		json_object_put(grefs);
		return NULL;
	}
	json_object_object_add(object, "port", json_object_new_int64(queue->port));
	return object;
}

static int set_queues(struct ctl_msg *request, const struct frontend_ring *ring)
{
	struct json_object *list = json_object_new_array_ext((int)ring->nr_queues);
	unsigned int i;

	if (!list || json_object_object_add(request->json, "queues", list)) {
		json_object_put(list);
		return -ENOMEM;
	}
	for (i = 0; i < ring->nr_queues; i++) {
		struct json_object *queue = make_queue(&ring->queues[i], ring->nr_grefs);

		if (!queue || json_object_array_add(list, queue)) {
			json_object_put(queue);
			return -ENOMEM;
		}
	}
	return 0;
}

/* What tapdisk needs to reach the guest. How many for each queue, or -errno. */
static int open_fds(const struct device *device, const struct frontend_ring *ring,
		    struct ctl_msg *request, char *why, size_t why_size)
{
	unsigned int i;
	int nr = 0;

	_Static_assert(QUEUES_MAX * GUEST_FDS_MAX <= CTL_MSG_FDS, "one message");
	for (i = 0; i < ring->nr_queues; i++) {
		nr = guest_fds_open(device->domid, request->fds + request->nr_fds, why, why_size);
		if (nr < 0)
			return nr;
		request->nr_fds += (unsigned int)nr;
	}
	return nr;
}

/* Its descriptor is behind those of the queues. An older tapdisk would refuse it. */
static int add_xentop(struct device *device, struct ctl_msg *request)
{
	int fd = device->geometry.xentop ? xentop_make(device) : -EOPNOTSUPP;

	/* Without one the disk is served as well. */
	if (fd < 0)
		return 0;
	request->fds[request->nr_fds++] = fd;
	return ctl_set_bool(request, "xentop", true);
}

/* The journal is the last descriptor: the one that was left, or a new one. */
static int add_journal(struct device *device, struct ctl_msg *request)
{
	int fd;

	_Static_assert(QUEUES_MAX * GUEST_FDS_MAX + 2 <= CTL_MSG_FDS, "room for two more");
	if (!device->geometry.journal)
		return device->view.resume ? -EOPNOTSUPP : 0;
	/* Without one the disk is served as well, but lost when its tapdisk is killed. */
	if (!device->view.resume && kept_make(&device->kept))
		return 0;
	fd = fcntl(device->kept.journal, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	request->fds[request->nr_fds++] = fd;
	return ctl_set_bool(request, "journal", true);
}

/* Another domain's ring of the same disk was served, and what it asked for comes first. */
static bool another_resumes(const struct device *device)
{
	const struct device *other;

	for (other = *device->tapback->first; other && !device->readonly; other = other->next)
		if (other != device && other->minor == device->minor && other->view.resume)
			return true;
	return false;
}

void exchange_connect(struct device *device, const struct frontend_ring *ring)
{
	struct ctl_msg request = CTL_MSG_INIT;
	char why[256];
	int nr_fds, err;

	if (device->view.resume ? kept_is_in_use(&device->kept) : another_resumes(device)) {
		try_later(device, VBD_LINK_READY);
		return;
	}
	nr_fds = open_fds(device, ring, &request, why, sizeof(why));
	if (nr_fds < 0) {
		ctl_msg_clear(&request);
		exchange_refuse(device, "%s", why);
		return;
	}
	err = request_vbd(device, &request, "connect");
	if (!err)
		err = set_queues(&request, ring);
	if (!err)
		err = ctl_set_string(&request, "protocol", ring->protocol);
	if (!err)
		err = ctl_set_bool(&request, "readonly", device->readonly);
	if (!err)
		err = ctl_set_bool(&request, "persistent", ring->persistent);
	if (!err)
		err = ctl_set_bool(&request, "discard", publish_offers_discard(device));
	if (!err && nr_fds != GUEST_FDS_MAX)
		err = ctl_set_bool(&request, "gntdev", true);
	if (!err)
		err = add_xentop(device, &request);
	if (!err)
		err = add_journal(device, &request);
	ask(device, ASKED_CONNECT, &request, err, connect_answered);
}

static void disconnect_answered(struct tapdisk_client *client, int err,
				struct ctl_msg *reply)
{
	struct device *device = device_of(client);

	if (!err || err == -ENOTCONN)
		set_link(device, VBD_LINK_READY);
	else
		lose_by_answer(device, "disconnect", err, reply);
}

void exchange_disconnect(struct device *device)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err = request_vbd(device, &request, "disconnect");

	ask(device, ASKED_DISCONNECT, &request, err, disconnect_answered);
}
