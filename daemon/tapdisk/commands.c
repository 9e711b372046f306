// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"

#define WHY_MAX		512		/* bytes of a reason */
#define DOMID_MAX	0x7fef		/* numbers above name no guest (xen/xen.h) */

struct call {
	struct tapdisk *tapdisk;
	struct client *client;
	struct ctl_msg *request;
	struct ctl_msg *reply;
};

/*
 * Return value of a command: the reply is complete. False: it comes later.
 */
static bool replied(const struct call *call)
{
	ctl_reply_init(call->reply);
	return true;
}

static bool bad_member(const struct call *call)
{
	ctl_reply_error(call->reply, EINVAL, "the request lacks a member, or has a bad one");
	return true;
}

/* The disk that the request's "minor" names, or NULL with the reply set. */
static struct disk *disk_named(const struct call *call)
{
	struct disk *disk = call->tapdisk->disk;
	int64_t minor;

	if (ctl_get_int(call->request, "minor", 0, XENTAP_MINOR_MAX, &minor)) {
		bad_member(call);
		return NULL;
	}
	if (!disk || disk->minor != minor) {
		ctl_reply_error(call->reply, ENOENT, "this tapdisk has no minor %d", (int)minor);
		return NULL;
	}
	return disk;
}

/* ---- commands that answer at once ---- */

static bool cmd_pid(const struct call *call)
{
	ctl_reply_init(call->reply);
	ctl_set_int(call->reply, "pid", getpid());
	return true;
}

static struct json_object *list_entry(const struct disk *disk)
{
	struct json_object *entry = json_object_new_object();

	json_object_object_add(entry, "minor", json_object_new_int(disk->minor));
	json_object_object_add(entry, "state", json_object_new_int(0));
	if (disk->type) {
		json_object_object_add(entry, "type", json_object_new_string(disk->type));
		json_object_object_add(entry, "path", json_object_new_string(disk->path));
	}
	return entry;
}

static bool cmd_list(const struct call *call)
{
	struct json_object *disks = json_object_new_array();

	cmd_pid(call);
	if (call->tapdisk->disk)
		json_object_array_add(disks, list_entry(call->tapdisk->disk));
	json_object_object_add(call->reply->json, "disks", disks);
	return true;
}

static bool cmd_attach(const struct call *call)
{
	int64_t minor;
	int err;

	if (ctl_get_int(call->request, "minor", 0, XENTAP_MINOR_MAX, &minor) ||
	    call->request->nr_fds != 1)
		return bad_member(call);
	if (call->tapdisk->disk || call->tapdisk->stopping) {
		ctl_reply_error(call->reply, EEXIST, "this tapdisk has a disk already");
		return true;
	}
	err = disk_attach(call->tapdisk->loop, (int)minor, call->request->fds[0],
			  &call->tapdisk->disk);
	if (err) {
		ctl_reply_error(call->reply, -err, err == -EBUSY ?
				"minor %d belongs to another tapdisk" :
				"cannot attach minor %d", (int)minor);
		return true;
	}
	fd_take(&call->request->fds[0]);
	return replied(call);
}

static bool cmd_open(const struct call *call)
{
	struct disk *disk = disk_named(call);
	const char *type;
	const char *path;
	char why[WHY_MAX];
	bool readonly;
	int err;

	if (!disk)
		return true;
	if (ctl_get_string(call->request, "type", &type) ||
	    ctl_get_string(call->request, "path", &path) ||
	    ctl_get_bool(call->request, "readonly", &readonly) || call->request->nr_fds != 1)
		return bad_member(call);
	err = disk_open(disk, type, path, call->request->fds[0], readonly, why, sizeof(why));
	if (err) {
		ctl_reply_error(call->reply, -err, "%s", why);
		return true;
	}
	fd_take(&call->request->fds[0]);
	sd_notifyf(0, "STATUS=minor %d, %s:%s", disk->minor, type, path);
	return replied(call);
}

static bool cmd_detach(const struct call *call)
{
	struct disk *disk = disk_named(call);

	if (!disk)
		return true;
	if (disk->type || disk->idle) {
		ctl_reply_error(call->reply, EBUSY, "minor %d has an image open: close it first",
				disk->minor);
		return true;
	}
	disk_detach(disk);
	call->tapdisk->disk = NULL;
	loop_stop(call->tapdisk->loop);
	return replied(call);
}

static bool cmd_info(const struct call *call)
{
	const struct disk *disk = disk_named(call);

	if (!disk)
		return true;
	if (!disk->type) {
		ctl_reply_error(call->reply, ENODEV, "minor %d has no image open", disk->minor);
		return true;
	}
	ctl_reply_init(call->reply);
	ctl_set_int(call->reply, "sectors", (int64_t)disk->image.sectors);
	ctl_set_int(call->reply, "sector_size", disk->image.block_bytes);
	ctl_set_int(call->reply, "physical_sector_size", disk->image.physical_bytes);
	ctl_set_bool(call->reply, "readonly", disk->image.readonly);
	ctl_set_bool(call->reply, "flush", true);
	return true;
}

static bool cmd_stats(const struct call *call)
{
	const struct disk *disk = disk_named(call);

	if (!disk)
		return true;
	ctl_reply_init(call->reply);
	json_object_object_add(call->reply->json, "stats", disk_stats(disk));
	return true;
}

static void arena_entry(const struct call *call, struct json_object *arenas,
			const struct vbd *vbd, enum xenio_arena arena)
{
	const struct xenio *xenio = vbd_xenio(vbd);
	struct json_object *entry = json_object_new_object();
	int fd;

	if (call->reply->nr_fds == CTL_MSG_FDS)
		return;
	/* The reply's descriptors are closed with it. */
	fd = fcntl(xenio->drain_fd[arena], F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	call->reply->fds[call->reply->nr_fds++] = fd;
	json_object_object_add(entry, "domid", json_object_new_int64(vbd_config(vbd)->domid));
	json_object_object_add(entry, "devid", json_object_new_int64(vbd_config(vbd)->devid));
	json_object_object_add(entry, "readonly", json_object_new_boolean(arena == XENIO_RO));
	json_object_object_add(entry, "base",
			       json_object_new_int64((int64_t)(uintptr_t)xenio->base[arena]));
	json_object_object_add(entry, "slots", json_object_new_int64(xenio->nr_slots[arena]));
	json_object_array_add(arenas, entry);
}

static bool cmd_arena(const struct call *call)
{
	const struct disk *disk = disk_named(call);
	const struct frontend *frontend;
	struct json_object *arenas;

	if (!disk)
		return true;
	ctl_reply_init(call->reply);
	arenas = json_object_new_array();
	for (frontend = disk->frontends; frontend; frontend = frontend->next) {
		arena_entry(call, arenas, frontend->vbd, XENIO_RW);
		arena_entry(call, arenas, frontend->vbd, XENIO_RO);
	}
	json_object_object_add(call->reply->json, "arenas", arenas);
	return true;
}

/* ---- connect ---- */

static int parse_grefs(const struct ctl_msg *request, struct vbd_config *config)
{
	struct json_object *grefs;
	size_t nr;
	size_t i;

	if (!json_object_object_get_ex(request->json, "grefs", &grefs) ||
	    !json_object_is_type(grefs, json_type_array))
		return -EINVAL;
	nr = json_object_array_length(grefs);
	if (!nr || nr > BLKIF_RING_PAGES_MAX || nr & (nr - 1))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		struct json_object *gref = json_object_array_get_idx(grefs, i);
		int64_t value = json_object_get_int64(gref);

		if (!json_object_is_type(gref, json_type_int) || value < 0 || value > UINT32_MAX)
			return -EINVAL;
		config->grefs[i] = (uint32_t)value;
	}
	config->nr_pages = (uint32_t)nr;
	return 0;
}

static int parse_connect(const struct ctl_msg *request, struct vbd_config *config)
{
	const char *protocol;
	int64_t domid;
	int64_t devid;
	int64_t port;

	*config = (struct vbd_config){ 0 };
	if (ctl_get_int(request, "domid", 0, DOMID_MAX, &domid) ||
	    ctl_get_int(request, "devid", 0, UINT32_MAX, &devid) ||
	    ctl_get_int(request, "port", 1, UINT32_MAX, &port) ||
	    ctl_get_string(request, "protocol", &protocol) ||
	    ctl_get_bool(request, "readonly", &config->readonly) ||
	    blkif_protocol_parse(protocol, &config->protocol) || request->nr_fds != 3)
		return -EINVAL;
	config->domid = (uint32_t)domid;
	config->devid = (uint32_t)devid;
	config->port = (uint32_t)port;
	return parse_grefs(request, config);
}

static bool cmd_connect(const struct call *call)
{
	struct disk *disk = disk_named(call);
	struct vbd_config config;
	struct xenio_fds fds;
	int err;

	if (!disk)
		return true;
	if (parse_connect(call->request, &config))
		return bad_member(call);
	if (call->tapdisk->stopping) {
		ctl_reply_error(call->reply, ESHUTDOWN, "this tapdisk is about to end");
		return true;
	}
	fds.tap[XENIO_RW] = fd_take(&call->request->fds[0]);
	fds.tap[XENIO_RO] = fd_take(&call->request->fds[1]);
	fds.evtchn = fd_take(&call->request->fds[2]);
	err = disk_connect(disk, &config, &fds);
	if (err) {
		ctl_reply_error(call->reply, -err, "cannot connect domain %u, device %u: %s",
				config.domid, config.devid, strerror(-err));
		return true;
	}
	return replied(call);
}

/* ---- commands that wait for I/O ---- */

static void reply_later(void *context)
{
	struct ctl_msg reply = CTL_MSG_INIT;

	ctl_reply_init(&reply);
	client_reply(context, &reply);
}

/* Nobody may wait at this point: the call of @waits may answer at once. */
static bool wait_for(const struct call *call, int err, const char *what)
{
	struct ctl_msg reply = CTL_MSG_INIT;

	if (!err)
		return false;
	ctl_reply_error(&reply, -err, "cannot %s: %s", what, strerror(-err));
	client_reply(call->client, &reply);
	return false;
}

static bool cmd_close(const struct call *call)
{
	struct disk *disk = disk_named(call);

	if (!disk)
		return true;
	client_hold(call->client);
	return wait_for(call, disk_close(disk, reply_later, call->client), "close the image");
}

static bool cmd_disconnect(const struct call *call)
{
	struct disk *disk = call->tapdisk->disk;
	int64_t domid;
	int64_t devid;
	int err;

	if (ctl_get_int(call->request, "domid", 0, DOMID_MAX, &domid) ||
	    ctl_get_int(call->request, "devid", 0, UINT32_MAX, &devid))
		return bad_member(call);
	client_hold(call->client);
	err = disk ? disk_disconnect(disk, (uint32_t)domid, (uint32_t)devid, reply_later,
				     call->client) : -ENOTCONN;
	return wait_for(call, err, "disconnect");
}

/* ---- dispatch ---- */

static const struct command {
	const char *name;
	bool (*run)(const struct call *call);
} commands[] = {
	{ "pid", cmd_pid },
	{ "list", cmd_list },
	{ "attach", cmd_attach },
	{ "open", cmd_open },
	{ "close", cmd_close },
	{ "detach", cmd_detach },
	{ "info", cmd_info },
	{ "connect", cmd_connect },
	{ "disconnect", cmd_disconnect },
	{ "stats", cmd_stats },
	{ "arena", cmd_arena },
};

bool commands_handle(void *context, struct client *client, struct ctl_msg *request,
		     struct ctl_msg *reply)
{
	const struct call call = { context, client, request, reply };
	const char *name;
	unsigned int i;

	if (ctl_get_string(request, "cmd", &name))
		return bad_member(&call);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(&call);
	ctl_reply_error(reply, EOPNOTSUPP, "unknown command");
	return true;
}
