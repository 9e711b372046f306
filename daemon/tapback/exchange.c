// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/exchange.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "tapback/guest_fds.h"

static struct device *device_of(struct tapdisk_client *client)
{
	return (struct device *)((char *)client - offsetof(struct device, client));
}

static void set_link(struct device *device, enum vbd_link link)
{
	device->view.link = link;
	device->draining = false;
	device->overdue_said = false;
	device->dirty = true;
}

void exchange_lose(struct device *device, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(device->why, sizeof(device->why), format, args);
	va_end(args);
	device->unreported = true;
	tapdisk_client_close(&device->client);
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
	set_link(device, VBD_LINK_READY);
}

static void lost(struct tapdisk_client *client)
{
	exchange_lose(device_of(client),
		      "tapdisk %d ended while its disk was in use; see journalctl _PID=%d",
		      client->pid, client->pid);
}

/* The answer to @what is @err and of no use: the tapdisk is lost. */
static void lose_by_answer(struct device *device, const char *what, int err,
			   const struct ctl_msg *reply)
{
	if (reply)
		exchange_lose(device, "tapdisk %d, %s: %s", device->client.pid, what,
			      ctl_reply_sentence(reply));
	else
		exchange_lose(device, "tapdisk %d ended at \"%s\" (%s); see journalctl _PID=%d",
			      device->client.pid, what, strerror(-err), device->client.pid);
}

/* Put @request unless it could not be made (@err). */
static void ask(struct device *device, struct ctl_msg *request, int err,
		void (*answered)(struct tapdisk_client *, int, struct ctl_msg *))
{
	set_link(device, VBD_LINK_BUSY);
	if (!err)
		err = tapdisk_client_ask(&device->client, request, answered);
	ctl_msg_clear(request);
	if (err)
		exchange_lose(device, "cannot talk to tapdisk %d: %s", device->client.pid,
			      strerror(-err));
}

/* A request about our minor. */
static int request_minor(const struct device *device, struct ctl_msg *request,
			 const char *cmd)
{
	int err = ctl_request_init(request, cmd);

	return err ? err : ctl_set_int(request, "minor", device->minor);
}

/* A request about our guest's connection. */
static int request_vbd(const struct device *device, struct ctl_msg *request,
		       const char *cmd)
{
	int err = request_minor(device, request, cmd);

	if (!err)
		err = ctl_set_int(request, "domid", device->domid);
	if (!err)
		err = ctl_set_int(request, "devid", device->devid);
	return err;
}

/* Whether @reply to "arena" holds an arena of @device. */
static bool serves_device(const struct device *device, const struct ctl_msg *reply)
{
	struct json_object *arenas;
	struct ctl_msg view = { 0 };
	int64_t domid, devid;
	size_t i;

	if (!json_object_object_get_ex(reply->json, "arenas", &arenas) ||
	    !json_object_is_type(arenas, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(arenas); i++) {
		view.json = json_object_array_get_idx(arenas, i);
		if (json_object_is_type(view.json, json_type_object) &&
		    !ctl_get_int(&view, "domid", device->domid, device->domid, &domid) &&
		    !ctl_get_int(&view, "devid", device->devid, device->devid, &devid))
			return true;
	}
	return false;
}

static void arena_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);

	if (err) {
		lose_by_answer(device, "arena", err, reply);
		return;
	}
	if (serves_device(device, reply)) {
		set_link(device, VBD_LINK_CONNECTED);
		return;
	}
	/* Its ring was in use: it cannot be taken up again from the middle. */
	exchange_refuse(device, "tapdisk %d serves its disk, but no longer this guest",
			client->pid);
}

/* 0 or -EINVAL. */
static int parse_geometry(const struct ctl_msg *reply, struct geometry *geometry)
{
	int64_t sectors, size, physical;

	if (ctl_get_int(reply, "sectors", 0, INT64_MAX / 512, &sectors) ||
	    ctl_get_int(reply, "sector_size", 512, 65536, &size) ||
	    ctl_get_int(reply, "physical_sector_size", size, INT32_MAX, &physical) ||
	    ctl_get_bool(reply, "readonly", &geometry->readonly) ||
	    ctl_get_bool(reply, "flush", &geometry->flush))
		return -EINVAL;
	geometry->sectors = (uint64_t)sectors;
	geometry->sector_size = (uint32_t)size;
	geometry->physical_sector_size = (uint32_t)physical;
	return 0;
}

static void info_answered(struct tapdisk_client *client, int err, struct ctl_msg *reply)
{
	struct device *device = device_of(client);
	struct ctl_msg request = CTL_MSG_INIT;

	if (err) {
		lose_by_answer(device, "info", err, reply);
		return;
	}
	if (parse_geometry(reply, &device->geometry)) {
		exchange_lose(device, "tapdisk %d describes its disk in no known way",
			      client->pid);
		return;
	}
	if (device->view.backend != XENBUS_CONNECTED &&
	    device->view.backend != XENBUS_CLOSING) {
		set_link(device, VBD_LINK_READY);
		return;
	}
	/* The disk may be in use since before we started: look, don't touch. */
	err = request_minor(device, &request, "arena");
	ask(device, &request, err, arena_answered);
}

void exchange_look_up(struct device *device, int pid)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err;

	err = tapdisk_client_open(&device->client, device->tapback->loop,
				  device->tapback->run_dir, pid, lost);
	if (err == -ESRCH) {
		exchange_lose(device, "tapdisk %d is not running; see journalctl _PID=%d", pid,
			      pid);
		return;
	}
	if (err) {
		exchange_lose(device, "cannot connect to tapdisk %d: %s", pid, strerror(-err));
		return;
	}
	err = request_minor(device, &request, "info");
	ask(device, &request, err, info_answered);
}

static void connect_answered(struct tapdisk_client *client, int err,
			     struct ctl_msg *reply)
{
	struct device *device = device_of(client);

	if (!err)
		set_link(device, VBD_LINK_FRESH);
	else if (!reply)
		lose_by_answer(device, "connect", err, NULL);
	else if (err == -EALREADY)
		/* From before we started: it is taken away, then connected. */
		set_link(device, VBD_LINK_CONNECTED);
	else
		exchange_refuse(device, "tapdisk %d cannot connect the guest's ring: %s",
				client->pid, ctl_reply_sentence(reply));
}

/* Member "grefs" of @request. */
static int set_grefs(struct ctl_msg *request, const struct frontend_ring *ring)
{
	struct json_object *list = json_object_new_array_ext((int)ring->nr_grefs);
	unsigned int i;

	if (!list || json_object_object_add(request->json, "grefs", list)) {
		json_object_put(list);
		return -ENOMEM;
	}
	for (i = 0; i < ring->nr_grefs; i++)
		if (json_object_array_add(list, json_object_new_int64(ring->grefs[i])))
			return -ENOMEM;
	return 0;
}

void exchange_connect(struct device *device, const struct frontend_ring *ring)
{
	struct ctl_msg request = CTL_MSG_INIT;
	char why[256];
	int err;

	err = guest_fds_open(device->domid, request.fds, why, sizeof(why));
	if (err) {
		exchange_refuse(device, "%s", why);
		return;
	}
	request.nr_fds = NR_GUEST_FDS;
	err = request_vbd(device, &request, "connect");
	if (!err)
		err = set_grefs(&request, ring);
	if (!err)
		err = ctl_set_int(&request, "port", ring->port);
	if (!err)
		err = ctl_set_string(&request, "protocol", ring->protocol);
	if (!err)
		err = ctl_set_bool(&request, "readonly", device->readonly);
	ask(device, &request, err, connect_answered);
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

	ask(device, &request, err, disconnect_answered);
	device->draining = true;
}
