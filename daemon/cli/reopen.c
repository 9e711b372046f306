// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reopen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/spec.h"
#include "cli/cli.h"
#include "cli/steps.h"
#include "ctl/record.h"
#include "image/lock.h"

#define WHY_MAX		512
#define LOCK_TRIES	200	/* 20 seconds: less than what systemd gives us */
#define LOCK_RETRY_US	100000

static int identify(int fd, struct image_id *id)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*id = image_file_id(&st);
	return 0;
}

int reopen_note_file(struct ctl_msg *record, int fd)
{
	struct image_id id;
	int err = identify(fd, &id);

	if (!err)
		err = ctl_set_int(record, "device", id.device);
	return err ? err : ctl_set_int(record, "inode", id.inode);
}

static int add_options(struct ctl_msg *record, const struct cli_options *options)
{
	struct json_object *filters = json_object_new_array();
	unsigned int i;
	int err = 0;

	if (!filters)
		return -ENOMEM;
	for (i = 0; i < options->nr_filters; i++)
		json_object_array_add(filters, json_object_new_string(options->filters[i]));
	json_object_object_add(record->json, "filters", filters);
	if (options->sector_bytes)
		err = ctl_set_int(record, "sector_size", options->sector_bytes);
	if (!err && options->data)
		err = ctl_set_string(record, "data", options->data);
	return err;
}

int reopen_turn(int minor, const char *what)
{
	/* A byte of a file that is there anyhow. */
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = minor, .l_len = 1,
	};
	CLEANUP_CLOSE int fd = open(XENTAP_INSTANCE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fcntl(fd, F_OFD_SETLKW, &lock))
		return cli_fail(-errno, "%s: cannot lock %s: %m", what, XENTAP_INSTANCE_FILE);
	return fd_take(&fd);
}

int reopen_read(int minor, struct ctl_msg *record, const char *what)
{
	int err = record_read(XENTAP_RUN_DIR, minor, record);

	return err ? cli_fail(err, "%s: there is no record of how an image was opened for minor "
			      "%d (%s)", what, minor, strerror(-err)) : 0;
}

bool reopen_is_paused(const struct ctl_msg *record)
{
	bool paused;

	return !ctl_get_bool(record, "paused", &paused) && paused;
}

void reopen_forget_pause(struct ctl_msg *record)
{
	json_object_object_del(record->json, "paused");
	json_object_object_del(record->json, "sectors");
	json_object_object_del(record->json, "quiet");
}

int reopen_note_quiet(struct ctl_msg *record)
{
	return ctl_set_bool(record, "quiet", true);
}

int reopen_note_pause(struct ctl_msg *record, int64_t sectors)
{
	int err;

	reopen_forget_pause(record);
	err = ctl_set_int(record, "sectors", sectors);
	return err ? err : ctl_set_bool(record, "paused", true);
}

int reopen_state(int pid, int minor, int64_t *state, const char *what)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	struct json_object *disks;
	struct ctl_msg disk = { 0 };
	int64_t found;
	int err = ctl_request_init(&request, "list");

	if (!err)
		err = step_call(pid, &request, &reply, CLI_TIMEOUT_MS, what);
	if (!err) {
		/* It has one, if any. */
		if (json_object_object_get_ex(reply.json, "disks", &disks) &&
		    json_object_is_type(disks, json_type_array))
			disk.json = json_object_array_get_idx(disks, 0);
		if (!disk.json || ctl_get_int(&disk, "minor", minor, minor, &found) ||
		    ctl_get_int(&disk, "state", 0, INT32_MAX, state))
			err = cli_fail(-ENOENT, "%s: tapdisk %d has no minor %d", what, pid, minor);
	}
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int reopen_note_failure(int pid, int minor, struct ctl_msg *record, const char *what)
{
	struct ctl_msg reply = CTL_MSG_INIT, stats = { 0 };
	int err = step_call_minor(pid, "stats", minor, &reply, CLI_TIMEOUT_MS, what);
	bool failed = false;

	if (!err && json_object_object_get_ex(reply.json, "stats", &stats.json) &&
	    !ctl_get_bool(&stats, "flush_failed", &failed) && failed) {
		err = ctl_set_bool(record, "flush_failed", true);
	}
	ctl_msg_clear(&reply);
	return err;
}

int reopen_describe(struct ctl_msg *record, int pid, const struct opened *image,
		    const struct cli_options *options)
{
	int err = ctl_request_init(record, "open");

	if (!err)
		err = ctl_set_int(record, "pid", pid);
	if (!err)
		err = ctl_set_string(record, "type", image->type);
	if (!err)
		err = ctl_set_string(record, "path", image->path);
	if (!err)
		err = ctl_set_bool(record, "readonly", image->readonly);
	if (!err)
		err = reopen_note_file(record, image->fd);
	return err ? err : add_options(record, options);
}

/* Whether @fd is the image that @record names. 0, -ESTALE: it is not, or -errno. */
static int check_same(const struct ctl_msg *record, int fd)
{
	struct image_id id;
	int64_t found;
	int err = identify(fd, &id);

	if (!err && (ctl_get_int(record, "device", id.device, id.device, &found) ||
		     ctl_get_int(record, "inode", id.inode, id.inode, &found)))
		err = -ESTALE;
	return err;
}

/* What "open" was told, out of @record, where all texts stay. 0 or -EBADMSG. */
static int options_of(const struct ctl_msg *record, struct cli_options *options)
{
	struct json_object *filters;
	int64_t sector_bytes;
	size_t i, nr;

	*options = (struct cli_options){ .pid = -1, .minor = -1 };
	if (ctl_get_bool(record, "readonly", &options->readonly) ||
	    !json_object_object_get_ex(record->json, "filters", &filters) ||
	    !json_object_is_type(filters, json_type_array))
		return -EBADMSG;
	if (!ctl_get_int(record, "sector_size", 0, INT32_MAX, &sector_bytes))
		options->sector_bytes = (int)sector_bytes;
	if (ctl_get_string(record, "data", &options->data))
		options->data = NULL;
	nr = json_object_array_length(filters);
	for (i = 0; i < nr && i < CLI_FILTERS_MAX; i++)
		options->filters[options->nr_filters++] =
			json_object_get_string(json_object_array_get_idx(filters, i));
	return 0;
}

/* Of one filter; it is opened for good when the disk is. */
static int check_filter(const char *filter, const char *what)
{
	char why[SPEC_BYTES_MAX];
	struct spec spec;
	int err = spec_parse(&spec, filter, why, sizeof(why));

	if (!err && spec_value(&spec, "file")) {
		int fd = spec_open_file(&spec, why, sizeof(why));

		if (fd >= 0)
			close(fd);
		else
			err = fd;
	}
	return err ? cli_fail(err, "%s: --filter %s: %s", what, filter, why) : 0;
}

static int check_filters(const struct cli_options *options, const char *what)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < options->nr_filters && !err; i++)
		err = check_filter(options->filters[i], what);
	return err;
}

int reopen_lock(const struct opened *image, const char *what)
{
	int tries, err = -EBUSY;

	for (tries = 0; tries < LOCK_TRIES && err == -EBUSY; tries++) {
		if (tries)
			usleep(LOCK_RETRY_US);
		err = image_lock(image->fd, image->readonly);
	}
	if (err != -EBUSY)
		return 0;
	return cli_fail(err, "%s: image %s is in use by another disk, or I/O of the tapdisk that "
			"had it does not end", what, image->path);
}

int reopen_wait(struct ctl_msg *record, const char *what)
{
	struct opened image = { .fd = -1 };
	char why[WHY_MAX];
	int err = 0;

	/* Then another disk may have it by now. */
	if (ctl_has(record, "quiet") || ctl_get_string(record, "path", &image.path) ||
	    ctl_get_bool(record, "readonly", &image.readonly))
		return 0;
	image.fd = image_file_open(image.path, image.readonly, why, sizeof(why));
	/* Somebody may have put it elsewhere. */
	if (image.fd >= 0 && !check_same(record, image.fd))
		err = reopen_lock(&image, what);
	fd_close(&image.fd);
	return err ? err : reopen_note_quiet(record);
}

int reopen_image(const struct ctl_msg *record, int minor, const char *what,
		 struct opened *image, struct cli_options *options)
{
	const char *type;
	char why[WHY_MAX];
	int err;

	if (options_of(record, options) || ctl_get_string(record, "type", &type) ||
	    ctl_get_string(record, "path", &image->path) || strlen(type) >= IMAGE_TYPE_MAX)
		return cli_fail(-EBADMSG, "%s: the record of minor %d is of no use", what, minor);
	strcpy(image->type, type);
	image->readonly = options->readonly;
	if (ctl_get_bool(record, "flush_failed", &image->flush_failed))
		image->flush_failed = false;
	image->fd = image_file_open(image->path, image->readonly, why, sizeof(why));
	if (image->fd < 0)
		return cli_fail(image->fd, "%s: %s", what, why);
	err = image->unpause ? 0 : check_same(record, image->fd);
	if (err)
		return cli_fail(err, "%s: %s is no longer the image that the guest had", what,
				image->path);
	return check_filters(options, what);
}
