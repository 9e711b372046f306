// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl open: open the image, hand it to tapdisk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "base/spec.h"
#include "cli/cli.h"
#include "cli/image_claim.h"
#include "cli/image_file.h"
#include "cli/nbd_socket.h"
#include "cli/reopen.h"
#include "cli/steps.h"
#include "ctl/record.h"

#define WHY_MAX 512

/*
 * The hotplug script never says -R, so what the toolstack wants is looked up
 * where it wrote it. 1: read-only, 0: not, or -errno.
 */
static int mode_in_xenstore(const char *xenbus_path)
{
	CLEANUP_FREE char *path = NULL;
	CLEANUP_FREE char *mode = NULL;
	struct xs_handle *xs;
	unsigned int len;
	int err = 0;

	if (asprintf(&path, "%s/mode", xenbus_path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	xs = xs_open(0);
	if (xs)
		mode = xs_read(xs, XBT_NULL, path, &len);
	if (!mode)
		err = -errno;
	xs_close(xs);
	if (err)
		return cli_fail(err, "open: cannot read %s from xenstore: %s", path,
				strerror(-err));
	return mode[0] == 'r';
}

/* Read-only by -R, or by the toolstack: 1, 0, or -errno. */
static int wants_readonly(bool option)
{
	const char *xenbus_path = getenv("XENBUS_PATH");

	if (option || !xenbus_path || !*xenbus_path)
		return option;
	return mode_in_xenstore(xenbus_path);
}

/* The file that a filter writes to goes with the message; tapdisk opens none. */
static int add_file(struct ctl_msg *request, const struct spec *spec, char *text)
{
	char why[WHY_MAX];
	int fd;

	if (request->nr_fds == CTL_MSG_FDS)
		return cli_fail(-EINVAL, "open: too many filters that write to a file");
	fd = spec_open_file(spec, why, sizeof(why));
	if (fd < 0)
		return cli_fail(fd, "open: %s", why);
	/* The image is before it. */
	spec_format_fd(spec, (int)request->nr_fds - 1, text);
	request->fds[request->nr_fds++] = fd;
	return 0;
}

static int add_filter(struct ctl_msg *request, struct json_object *array, const char *filter)
{
	CLEANUP_FREE struct spec *spec = malloc(sizeof(*spec));
	CLEANUP_FREE char *text = malloc(SPEC_BYTES_MAX);
	char why[WHY_MAX];
	int err;

	if (!spec || !text)
		return cli_fail(-ENOMEM, "open: no memory");
	err = spec_parse(spec, filter, why, sizeof(why));
	if (err)
		return cli_fail(err, "open: --filter %s: %s", filter, why);
	if (spec_value(spec, "file")) {
		err = add_file(request, spec, text);
		if (err)
			return err;
		filter = text;
	}
	json_object_array_add(array, json_object_new_string(filter));
	return 0;
}

/* After the image has been added. */
static int add_filters(struct ctl_msg *request, const struct cli_options *options)
{
	struct json_object *array;
	unsigned int i;
	int err = 0;

	if (!options->nr_filters)
		return 0;
	array = json_object_new_array();
	for (i = 0; i < options->nr_filters && !err; i++)
		err = add_filter(request, array, options->filters[i]);
	json_object_object_add(request->json, "filters", array);
	return err;
}

/*
 * The socket for local programs, behind all other descriptors. A guest's disk can do
 * without.
 */
static int add_nbd(struct ctl_msg *request, int pid, int minor)
{
	int fd = -EMFILE;

	if (request->nr_fds < CTL_MSG_FDS)
		fd = nbd_socket_make(XENTAP_RUN_DIR, pid, minor);
	if (fd < 0) {
		log_warning("open: local programs cannot use this disk, since its socket %s%d.%d "
			    "cannot be made: %s", XENTAP_NBD_PREFIX, pid, minor, strerror(-fd));
		return 0;
	}
	request->fds[request->nr_fds++] = fd;
	return ctl_set_bool(request, "nbd", true);
}

/* tapdisk has answered @reply, or has not opened the image. */
static void end_nbd(const struct ctl_msg *request, const struct ctl_msg *reply, int pid,
		    int minor)
{
	bool served = false;
	int err;

	if (!ctl_has(request, "nbd"))
		return;
	/* One that was started before an upgrade may not know of it. */
	if (!reply->json || ctl_get_bool(reply, "nbd", &served) || !served) {
		nbd_socket_discard(XENTAP_RUN_DIR, pid, minor);
		return;
	}
	err = nbd_socket_publish(XENTAP_RUN_DIR, pid, minor);
	if (err)
		log_warning("open: cannot name the socket %s%d.%d: %s", XENTAP_NBD_PREFIX, pid,
			    minor, strerror(-err));
}

static int send_open(int pid, int minor, struct opened *image,
		     const struct cli_options *options)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	int err = ctl_request_minor(&request, "open", minor);

	if (!err)
		err = ctl_set_string(&request, "type", image->type);
	if (!err)
		err = ctl_set_string(&request, "path", image->path);
	if (!err)
		err = ctl_set_bool(&request, "readonly", image->readonly);
	if (!err && image->lock_later)
		err = ctl_set_bool(&request, "lock_later", true);
	if (!err && image->flush_failed)
		err = ctl_set_bool(&request, "flush_failed", true);
	if (!err && image->unpause)
		err = ctl_set_bool(&request, "unpause", true);
	if (!err && options->sector_bytes)
		err = ctl_set_int(&request, "sector_size", options->sector_bytes);
	if (!err && options->data)
		err = ctl_set_string(&request, "data", options->data);
	if (!err) {
		request.fds[request.nr_fds++] = fd_take(&image->fd);
		err = add_filters(&request, options);
	}
	if (!err)
		err = add_nbd(&request, pid, minor);
	if (!err)
		err = step_ask(pid, &request, &reply, CLI_TIMEOUT_MS, "open", &image->uncertain);
	end_nbd(&request, &reply, pid, minor);
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

/* Open the image and lock it. 0 or -errno, said. */
static int open_image(struct opened *image, const struct cli_options *options)
{
	char why[WHY_MAX];
	int err;

	err = image_split(options->image, image->type, &image->path, why, sizeof(why));
	if (err)
		return cli_fail(err, "open: %s", why);
	err = wants_readonly(options->readonly);
	if (err < 0)
		return err;
	image->readonly = err;
	image->fd = image_file_open(image->path, image->readonly, why, sizeof(why));
	if (image->fd < 0)
		return cli_fail(image->fd, "open: %s", why);
	err = image_claim(image->fd, image->path, image->readonly, why, sizeof(why));
	if (err < 0)
		return cli_fail(err, "open: %s", why);
	if (*why)
		log_warning("open: %s", why);
	image->lock_later = err;
	return 0;
}

/* A disk without a record is served as well, but not taken up again. */
static void note(int minor, const struct ctl_msg *record, int err)
{
	if (!err)
		err = record_write(XENTAP_RUN_DIR, minor, record);
	if (err)
		log_warning("open: cannot note how minor %d was opened (%s): if its tapdisk is "
			    "killed, the disk is lost", minor, strerror(-err));
}

int step_open(int pid, int minor, const struct cli_options *options)
{
	struct ctl_msg record = CTL_MSG_INIT;
	struct opened image = { .fd = -1 };
	int err = open_image(&image, options);
	int described = err ? err : reopen_describe(&record, pid, &image, options);

	if (!err)
		err = send_open(pid, minor, &image, options);
	if (!err)
		note(minor, &record, described);
	ctl_msg_clear(&record);
	fd_close(&image.fd);
	return err;
}

int step_reopen(int pid, int minor, const char *what, struct opened *image,
		const struct cli_options *options)
{
	int err = reopen_lock(image, what);

	return err ? err : send_open(pid, minor, image, options);
}

int cmd_open(const struct cli_options *options)
{
	int fd = step_connect(options->pid, "open");

	/* Before anything is made for one that is not there. */
	if (fd < 0)
		return fd;
	close(fd);
	return step_open(options->pid, options->minor, options);
}
