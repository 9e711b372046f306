// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "filter/limit.h"
#include "filter/trace.h"

#define WHY_MAX		512		/* bytes of a reason */

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
	int state = disk->pausing ? CTL_STATE_PAUSING : 0;

	if (disk_is_paused(disk))
		state = CTL_STATE_PAUSED;
	json_object_object_add(entry, "minor", json_object_new_int(disk->minor));
	json_object_object_add(entry, "state", json_object_new_int(state));
	if (disk_path(disk)) {
		json_object_object_add(entry, "type", json_object_new_string(disk_type(disk)));
		json_object_object_add(entry, "path", json_object_new_string(disk_path(disk)));
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

/* @filters: room for the members of the request's "filters", if it has any. */
static int parse_filters(const struct ctl_msg *request, struct disk_options *options,
			 const char **filters)
{
	struct json_object *array;
	size_t i;

	if (!json_object_object_get_ex(request->json, "filters", &array))
		return 0;
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) > FILTERS_MAX)
		return -EINVAL;
	for (i = 0; i < json_object_array_length(array); i++) {
		struct json_object *filter = json_object_array_get_idx(array, i);

		if (!json_object_is_type(filter, json_type_string))
			return -EINVAL;
		filters[i] = json_object_get_string(filter);
		/* As ctl_get_string() has it. */
		if (strlen(filters[i]) != (size_t)json_object_get_string_len(filter))
			return -EINVAL;
	}
	options->filters = filters;
	options->nr_filters = (unsigned int)i;
	return 0;
}

/* The socket of NBD is behind all other descriptors. */
static int parse_nbd(const struct ctl_msg *request, struct disk_options *options)
{
	bool nbd = false;

	options->nbd_fd = -1;
	if (ctl_has(request, "nbd") && ctl_get_bool(request, "nbd", &nbd))
		return -EINVAL;
	if (!nbd)
		return 0;
	if (!options->nr_filter_fds)
		return -EINVAL;
	options->nbd_fd = request->fds[options->nr_filter_fds--];
	return 0;
}

/* "list" and "stats" have to hold them, up to six bytes for each of theirs. */
static bool names_fit(const char *type, const char *path)
{
	return strlen(type) <= NAME_MAX && strlen(path) < PATH_MAX;
}

/* @options begins as what tapdisk was started with. */
static int parse_open(const struct ctl_msg *request, struct disk_options *options,
		      const char **filters)
{
	int64_t sector_bytes = SECTOR_BYTES;
	const char *way;

	if (ctl_get_string(request, "type", &options->type) ||
	    ctl_get_string(request, "path", &options->path) ||
	    ctl_get_bool(request, "readonly", &options->readonly) || !request->nr_fds)
		return -EINVAL;
	if (!names_fit(options->type, options->path))
		return -EINVAL;
	/* Which sizes will do is said by the image, in a sentence. */
	if (ctl_has(request, "sector_size") &&
	    ctl_get_int(request, "sector_size", 0, UINT32_MAX, &sector_bytes))
		return -EINVAL;
	if (ctl_has(request, "lock_later") &&
	    ctl_get_bool(request, "lock_later", &options->lock_later))
		return -EINVAL;
	if (ctl_has(request, "flush_failed") &&
	    ctl_get_bool(request, "flush_failed", &options->flush_failed))
		return -EINVAL;
	if (ctl_has(request, "data") && (ctl_get_string(request, "data", &way) ||
					 data_way_parse(way, &options->way)))
		return -EINVAL;
	options->sector_bytes = (uint32_t)sector_bytes;
	options->filter_fds = request->fds + 1;
	options->nr_filter_fds = (unsigned int)request->nr_fds - 1;
	return parse_filters(request, options, filters) || parse_nbd(request, options) ? -EINVAL : 0;
}

/* For systemctl status; a line of its own would be another message to systemd. */
static void tell_status(const struct disk *disk, const char *more)
{
	CLEANUP_FREE char *path = text_clean_copy(disk_path(disk));

	sd_notifyf(0, "STATUS=minor %d, %s:%s%s", disk->minor, disk_type(disk),
		   path ? path : "?", more);
}

/* The reply to what takes an open image. */
static bool no_image(const struct call *call, const struct disk *disk)
{
	if (disk_is_paused(disk))
		ctl_reply_error(call->reply, EBUSY, "minor %d is paused: see tap-ctl unpause",
				disk->minor);
	else
		ctl_reply_error(call->reply, ENODEV, "minor %d has no image open", disk->minor);
	return true;
}

static bool cmd_open(const struct call *call)
{
	struct disk *disk = disk_named(call);
	const char *filters[FILTERS_MAX];
	struct disk_options options;
	char why[WHY_MAX];
	bool unpause = false;
	int err;

	if (!disk)
		return true;
	options = call->tapdisk->options;
	if (parse_open(call->request, &options, filters) ||
	    (ctl_has(call->request, "unpause") &&
	     ctl_get_bool(call->request, "unpause", &unpause)))
		return bad_member(call);
	/* Who does not know of it cannot know what guests wait for. */
	if (disk_is_paused(disk) && !unpause)
		return no_image(call, disk);
	options.outer_filters = call->tapdisk->filters;
	options.nr_outer_filters = call->tapdisk->nr_filters;
	err = disk_open(disk, &options, call->request->fds[0], why, sizeof(why));
	if (err) {
		ctl_reply_error(call->reply, -err, "%s", why);
		return true;
	}
	fd_take(&call->request->fds[0]);
	if (options.nbd_fd >= 0)
		fd_take(&call->request->fds[call->request->nr_fds - 1]);
	tell_status(disk, "");
	if (unpause)
		client_drop_others(call->client);
	ctl_reply_init(call->reply);
	ctl_set_bool(call->reply, "nbd", disk->nbd);
	return true;
}

static bool cmd_resize(const struct call *call)
{
	struct disk *disk = disk_named(call);
	char why[WHY_MAX];
	int err;

	if (!disk)
		return true;
	if (!disk->type)
		return no_image(call, disk);
	err = image_grow(&disk->image, disk->path, why, sizeof(why));
	if (err) {
		ctl_reply_error(call->reply, -err, "%s", why);
		return true;
	}
	ctl_reply_init(call->reply);
	ctl_set_int(call->reply, "sectors", (int64_t)disk->image.sectors);
	return true;
}

/* The disk goes, and this process with it: another client may ask for one in this round. */
static void end(struct tapdisk *tapdisk)
{
	if (!tapdisk->leaving)
		disk_end_left(tapdisk->disk);
	disk_detach(tapdisk->disk);
	tapdisk->disk = NULL;
	tapdisk->stopping = true;
	loop_stop(tapdisk->loop);
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
	end(call->tapdisk);
	return replied(call);
}

static bool cmd_info(const struct call *call)
{
	const struct disk *disk = disk_named(call);

	if (!disk)
		return true;
	if (!disk->type)
		return no_image(call, disk);
	ctl_reply_init(call->reply);
	ctl_set_int(call->reply, "sectors", (int64_t)disk->image.sectors);
	ctl_set_int(call->reply, "sector_size", disk->image.sector_bytes);
	ctl_set_int(call->reply, "physical_sector_size", disk->image.physical_bytes);
	ctl_set_bool(call->reply, "readonly", disk->image.readonly);
	ctl_set_bool(call->reply, "flush", true);
	ctl_set_bool(call->reply, "discard", disk->image.can_discard);
	ctl_set_bool(call->reply, "discard_secure", disk->image.discard_secure);
	ctl_set_int(call->reply, "discard_granularity", disk->image.discard_granularity);
	ctl_set_int(call->reply, "discard_alignment", disk->image.discard_alignment);
	ctl_set_bool(call->reply, "barrier", true);
	ctl_set_bool(call->reply, "persistent", disk->way == DATA_PERSISTENT);
	ctl_set_int(call->reply, "max_indirect_segments", BLKIF_INDIRECT_MAX);
	ctl_set_bool(call->reply, "journal", true);
	ctl_set_bool(call->reply, "xentop", true);
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

static bool cmd_limit(const struct call *call)
{
	const struct disk *disk = disk_named(call);
	const char *options;
	char why[WHY_MAX];
	int err;

	if (!disk)
		return true;
	if (ctl_get_string(call->request, "options", &options))
		return bad_member(call);
	if (!disk->type)
		return no_image(call, disk);
	err = limit_change(&disk->store, options, why, sizeof(why));
	if (err) {
		ctl_reply_error(call->reply, -err, "%s", why);
		return true;
	}
	return replied(call);
}

static bool cmd_trace(const struct call *call)
{
	struct disk *disk = disk_named(call);
	char why[WHY_MAX];
	int err;

	if (!disk)
		return true;
	if (!call->request->nr_fds)
		return bad_member(call);
	if (!disk->type)
		return no_image(call, disk);
	err = trace_watch(&disk->store, call->request->fds[0], why, sizeof(why));
	if (err) {
		ctl_reply_error(call->reply, -err, "%s", why);
		return true;
	}
	fd_take(&call->request->fds[0]);
	return replied(call);
}

static void arena_entry(const struct call *call, struct json_object *arenas,
			const struct vbd *vbd, unsigned int queue, enum xenio_arena arena)
{
	const struct xenio *xenio = vbd_xenio(vbd, queue);
	struct json_object *entry;
	int fd;

	if (call->reply->nr_fds == CTL_MSG_FDS || !xenio_maps(xenio))
		return;
	/* The reply's descriptors are closed with it. */
	fd = fcntl(xenio->drain_fd[arena], F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	call->reply->fds[call->reply->nr_fds++] = fd;
	entry = json_object_new_object();
	json_object_object_add(entry, "domid", json_object_new_int64(vbd_config(vbd)->domid));
	json_object_object_add(entry, "devid", json_object_new_int64(vbd_config(vbd)->devid));
	json_object_object_add(entry, "readonly", json_object_new_boolean(arena == XENIO_RO));
	json_object_object_add(entry, "base",
			       json_object_new_int64((int64_t)(uintptr_t)xenio->base[arena]));
	json_object_object_add(entry, "slots", json_object_new_int64(xenio->nr_slots[arena]));
	json_object_array_add(arenas, entry);
}

static struct json_object *frontend_name(const struct frontend *frontend)
{
	struct json_object *name = json_object_new_object();

	json_object_object_add(name, "domid", json_object_new_int64(frontend->domid));
	json_object_object_add(name, "devid", json_object_new_int64(frontend->devid));
	return name;
}

static bool cmd_arena(const struct call *call)
{
	const struct disk *disk = disk_named(call);
	const struct frontend *frontend;
	struct json_object *arenas, *frontends;
	unsigned int i;

	if (!disk)
		return true;
	ctl_reply_init(call->reply);
	arenas = json_object_new_array();
	frontends = json_object_new_array();
	/* Those whom a pause has left are asked for their journals. */
	for (frontend = disk->left; frontend; frontend = frontend->next)
		json_object_array_add(frontends, frontend_name(frontend));
	for (frontend = disk->frontends; frontend; frontend = frontend->next) {
		json_object_array_add(frontends, frontend_name(frontend));
		for (i = 0; i < vbd_config(frontend->vbd)->nr_queues; i++) {
			arena_entry(call, arenas, frontend->vbd, i, XENIO_RW);
			arena_entry(call, arenas, frontend->vbd, i, XENIO_RO);
		}
	}
	json_object_object_add(call->reply->json, "arenas", arenas);
	json_object_object_add(call->reply->json, "frontends", frontends);
	return true;
}

/* ---- connect ---- */

/* Queues have rings of the same size, and neither pages nor ports in common. */
static bool is_used(const struct vbd_config *config, unsigned int nr, uint32_t port)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (config->queues[i].port == port)
			return true;
	return false;
}

static int parse_grefs(const struct ctl_msg *view, struct vbd_config *config,
		       struct vbd_queue *queue)
{
	struct json_object *grefs;
	size_t nr;
	size_t i;

	if (!json_object_object_get_ex(view->json, "grefs", &grefs) ||
	    !json_object_is_type(grefs, json_type_array))
		return -EINVAL;
	nr = json_object_array_length(grefs);
	if (!nr || nr > BLKIF_RING_PAGES_MAX || nr & (nr - 1) ||
	    (config->nr_pages && config->nr_pages != nr))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		struct json_object *gref = json_object_array_get_idx(grefs, i);
		int64_t value = json_object_get_int64(gref);

		if (!json_object_is_type(gref, json_type_int) || value < 0 || value > UINT32_MAX)
			return -EINVAL;
		queue->grefs[i] = (uint32_t)value;
	}
	config->nr_pages = (uint32_t)nr;
	return 0;
}

static int parse_queues(const struct ctl_msg *request, struct vbd_config *config)
{
	struct json_object *queues;
	unsigned int i;

	if (!json_object_object_get_ex(request->json, "queues", &queues) ||
	    !json_object_is_type(queues, json_type_array) ||
	    json_object_array_length(queues) < 1 ||
	    json_object_array_length(queues) > VBD_QUEUES_MAX)
		return -EINVAL;
	config->nr_queues = (uint32_t)json_object_array_length(queues);
	for (i = 0; i < config->nr_queues; i++) {
		const struct ctl_msg view = { .json = json_object_array_get_idx(queues, i) };
		int64_t port;

		if (!json_object_is_type(view.json, json_type_object) ||
		    ctl_get_int(&view, "port", 1, UINT32_MAX, &port) ||
		    is_used(config, i, (uint32_t)port) ||
		    parse_grefs(&view, config, &config->queues[i]))
			return -EINVAL;
		config->queues[i].port = (uint32_t)port;
	}
	return 0;
}

/* Those that stay in the message; NULL: there is none. */
struct more_fds {
	int *xentop, *journal;
};

/* Three for each queue; two on a host without the module. */
static int take_fds(struct ctl_msg *request, const struct vbd_config *config,
		    struct xenio_fds *fds, struct more_fds *more)
{
	bool gntdev = ctl_has(request, "gntdev");
	bool has_journal = false, has_xentop = false;
	unsigned int each = gntdev ? 2 : 3;
	unsigned int nr = config->nr_queues * each;
	int *from = request->fds;
	unsigned int i;

	if (ctl_has(request, "journal") && ctl_get_bool(request, "journal", &has_journal))
		return -EINVAL;
	if (ctl_has(request, "xentop") && ctl_get_bool(request, "xentop", &has_xentop))
		return -EINVAL;
	if (request->nr_fds != nr + has_xentop + has_journal)
		return -EINVAL;
	more->xentop = has_xentop ? &request->fds[nr] : NULL;
	more->journal = has_journal ? &request->fds[nr + has_xentop] : NULL;
	for (i = 0; i < config->nr_queues; i++, from += each) {
		fds[i] = (struct xenio_fds){ { -1, -1 }, -1, fd_take(&from[each - 1]) };
		if (gntdev) {
			fds[i].gntdev = fd_take(&from[0]);
			continue;
		}
		fds[i].tap[XENIO_RW] = fd_take(&from[0]);
		fds[i].tap[XENIO_RO] = fd_take(&from[1]);
	}
	return 0;
}

static int parse_connect(const struct ctl_msg *request, struct vbd_config *config)
{
	const char *protocol;
	int64_t domid;
	int64_t devid;

	*config = (struct vbd_config){ 0 };
	if (ctl_get_int(request, "domid", 0, CTL_DOMID_MAX, &domid) ||
	    ctl_get_int(request, "devid", 0, UINT32_MAX, &devid) ||
	    ctl_get_string(request, "protocol", &protocol) ||
	    ctl_get_bool(request, "readonly", &config->readonly) ||
	    ctl_get_bool(request, "persistent", &config->persistent) ||
	    ctl_get_bool(request, "discard", &config->discard) ||
	    blkif_protocol_parse(protocol, &config->protocol))
		return -EINVAL;
	config->domid = (uint32_t)domid;
	config->devid = (uint32_t)devid;
	return parse_queues(request, config);
}

static bool cmd_connect(const struct call *call)
{
	struct disk *disk = disk_named(call);
	struct xenio_fds fds[VBD_QUEUES_MAX];
	struct vbd_config config;
	struct more_fds more;
	int err;

	if (!disk)
		return true;
	if (parse_connect(call->request, &config))
		return bad_member(call);
	if (call->tapdisk->leaving) {
		ctl_reply_error(call->reply, EBUSY, "another tapdisk takes the place of this one");
		return true;
	}
	if (call->tapdisk->stopping) {
		ctl_reply_error(call->reply, ESHUTDOWN, "this tapdisk is about to end");
		return true;
	}
	if (take_fds(call->request, &config, fds, &more))
		return bad_member(call);
	err = disk_connect(disk, &config, fds, more.journal ? *more.journal : -1,
			   more.xentop ? *more.xentop : -1);
	if (err) {
		ctl_reply_error(call->reply, -err, "cannot connect domain %u, device %u: %s",
				config.domid, config.devid, strerror(-err));
		return true;
	}
	if (more.journal)
		fd_take(more.journal);
	if (more.xentop)
		fd_take(more.xentop);
	return replied(call);
}

/* A copy of @fd goes with the reply. 0 or -errno. */
static int reply_fd(struct ctl_msg *reply, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	reply->fds[reply->nr_fds++] = copy;
	return 0;
}

static int reply_arenas(const struct call *call, const struct vbd *vbd)
{
	struct json_object *arenas = json_object_new_array();
	unsigned int i, arena;
	int err = 0;

	_Static_assert(1 + VBD_QUEUES_MAX * XENIO_NR_ARENAS <= CTL_MSG_FDS, "one reply");
	/* A frontend that is closed by a pause has none. */
	for (i = 0; vbd && i < vbd_config(vbd)->nr_queues && !err; i++) {
		const struct xenio *xenio = vbd_xenio(vbd, i);

		for (arena = 0; arena < XENIO_NR_ARENAS && xenio_maps(xenio) && !err; arena++) {
			const struct ctl_msg entry = { .json = json_object_new_object() };

			json_object_object_add(entry.json, "base", json_object_new_int64(
					       (int64_t)(uintptr_t)xenio->base[arena]));
			json_object_object_add(entry.json, "slots", json_object_new_int64(
					       xenio->nr_slots[arena]));
			json_object_array_add(arenas, entry.json);
			err = reply_fd(call->reply, xenio->drain_fd[arena]);
		}
	}
	json_object_object_add(call->reply->json, "arenas", arenas);
	return err;
}

static bool cmd_journal(const struct call *call)
{
	const struct disk *disk = disk_named(call);
	const struct frontend *frontend;
	int64_t domid, devid;
	int err;

	if (!disk)
		return true;
	if (ctl_get_int(call->request, "domid", 0, CTL_DOMID_MAX, &domid) ||
	    ctl_get_int(call->request, "devid", 0, UINT32_MAX, &devid))
		return bad_member(call);
	frontend = disk_frontend(disk, (uint32_t)domid, (uint32_t)devid);
	if (!frontend || frontend->journal_fd < 0) {
		ctl_reply_error(call->reply, frontend ? ENOENT : ENOTCONN, frontend ?
				"no journal is kept for it" : "it is not connected");
		return true;
	}
	ctl_reply_init(call->reply);
	err = reply_fd(call->reply, frontend->journal_fd);
	if (!err)
		err = reply_arenas(call, frontend->vbd);
	if (err)
		ctl_reply_error(call->reply, -err, "cannot hand over descriptors: %s",
				strerror(-err));
	return true;
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

/*
 * All who wait for it are told. Who is connected to us for good, as tapback is, looks again
 * when the disk is paused. Whoever told us to end meanwhile could not close it a second time,
 * and left it to us.
 */
static void image_closed(void *context)
{
	struct tapdisk *tapdisk = context;
	bool paused = disk_is_paused(tapdisk->disk);

	if (paused && !tapdisk->stopping)
		client_drop_others(tapdisk->closers[0]);
	while (tapdisk->nr_closers)
		reply_later(tapdisk->closers[--tapdisk->nr_closers]);
	if (tapdisk->stopping)
		end(tapdisk);
	else if (paused)
		tell_status(tapdisk->disk, ", paused");
}

/* Of those who wait, some may have given up. */
static void let_closers_go(struct tapdisk *tapdisk)
{
	unsigned int i = 0;

	while (i < tapdisk->nr_closers) {
		struct client *client = tapdisk->closers[i];

		if (!client_has_gone(client)) {
			i++;
			continue;
		}
		tapdisk->closers[i] = tapdisk->closers[--tapdisk->nr_closers];
		reply_later(client);
	}
}

/* The client is held, and waits with others, if it can. */
static bool join_closers(const struct call *call)
{
	struct tapdisk *tapdisk = call->tapdisk;

	let_closers_go(tapdisk);
	if (tapdisk->nr_closers == TAPDISK_CLOSERS_MAX)
		return false;
	tapdisk->closers[tapdisk->nr_closers++] = call->client;
	return true;
}

static bool cmd_close(const struct call *call)
{
	struct disk *disk = disk_named(call);
	bool pausing;

	if (!disk)
		return true;
	client_hold(call->client);
	pausing = disk->pausing;
	/* Whether that can be waited for or not. */
	if (pausing)
		disk_pause_for_good(disk);
	if ((disk->idle && !pausing) || !join_closers(call))
		return wait_for(call, -EALREADY, "close the image");
	if (pausing)
		return false;
	/* What they wait for has changed. */
	if (disk_is_paused(disk))
		client_drop_others(call->client);
	disk_close(disk, VBD_END, image_closed, call->tapdisk);
	return false;
}

/* Of a disk that was paused in the tapdisk before this one. */
struct paused {
	const char *type, *path;	/* NULL: nothing is said of one */
	int64_t sectors;
};

static int parse_paused(const struct ctl_msg *request, struct paused *paused)
{
	*paused = (struct paused){ 0 };
	if (!ctl_has(request, "type") && !ctl_has(request, "path") && !ctl_has(request, "sectors"))
		return 0;
	if (ctl_get_string(request, "type", &paused->type) ||
	    ctl_get_string(request, "path", &paused->path) ||
	    ctl_get_int(request, "sectors", 0, INT64_MAX / SECTOR_BYTES, &paused->sectors) ||
	    !names_fit(paused->type, paused->path))
		return -EINVAL;
	return 0;
}

static bool take_paused(const struct call *call, struct disk *disk, const struct paused *paused)
{
	int err;

	if (disk_is_paused(disk))
		return replied(call);
	if (!paused->path)
		return no_image(call, disk);
	err = disk_set_paused(disk, paused->type, paused->path, (uint64_t)paused->sectors);
	if (err) {
		ctl_reply_error(call->reply, -err, "cannot pause the disk: %s", strerror(-err));
		return true;
	}
	tell_status(disk, ", paused");
	return replied(call);
}

static bool cmd_pause(const struct call *call)
{
	struct disk *disk = disk_named(call);
	struct paused paused;
	int err;

	if (!disk)
		return true;
	if (parse_paused(call->request, &paused))
		return bad_member(call);
	if (!disk->type)
		return take_paused(call, disk, &paused);
	client_hold(call->client);
	if ((disk->idle && !disk->pausing) || !join_closers(call))
		return wait_for(call, -EALREADY, "pause the disk");
	if (disk->pausing)
		return false;
	err = disk_pause(disk, image_closed, call->tapdisk);
	if (err)
		call->tapdisk->nr_closers--;
	return wait_for(call, err, err == -EOPNOTSUPP ?
			"pause the disk of a guest that has no journal" : "pause the disk");
}

static bool cmd_disconnect(const struct call *call)
{
	struct disk *disk = call->tapdisk->disk;
	int64_t domid;
	int64_t devid;
	int err;

	if (ctl_get_int(call->request, "domid", 0, CTL_DOMID_MAX, &domid) ||
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
	{ "pause", cmd_pause },
	{ "detach", cmd_detach },
	{ "resize", cmd_resize },
	{ "info", cmd_info },
	{ "connect", cmd_connect },
	{ "disconnect", cmd_disconnect },
	{ "stats", cmd_stats },
	{ "limit", cmd_limit },
	{ "trace", cmd_trace },
	{ "arena", cmd_arena },
	{ "journal", cmd_journal },
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
