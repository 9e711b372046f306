// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl open: open the image, hand it to tapdisk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/image_file.h"
#include "cli/steps.h"

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

static int send_open(int pid, int minor, const char *type, const char *path,
		     bool readonly, int *image)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	int err = ctl_request_init(&request, "open");

	if (!err)
		err = ctl_set_int(&request, "minor", minor);
	if (!err)
		err = ctl_set_string(&request, "type", type);
	if (!err)
		err = ctl_set_string(&request, "path", path);
	if (!err)
		err = ctl_set_bool(&request, "readonly", readonly);
	if (!err) {
		request.fds[request.nr_fds++] = fd_take(image);
		err = step_call(pid, &request, &reply, CLI_TIMEOUT_MS, "open");
	}
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int step_open(int pid, int minor, const char *image, bool readonly)
{
	char why[WHY_MAX], type[IMAGE_TYPE_MAX];
	CLEANUP_CLOSE int fd = -1;
	const char *path;
	int err, mode;

	err = image_split(image, type, &path, why, sizeof(why));
	if (err)
		return cli_fail(err, "open: %s", why);
	mode = wants_readonly(readonly);
	if (mode < 0)
		return mode;
	fd = image_file_open(path, mode, why, sizeof(why));
	if (fd < 0)
		return cli_fail(fd, "open: %s", why);
	return send_open(pid, minor, type, path, mode, &fd);
}

int cmd_open(const struct cli_options *options)
{
	return step_open(options->pid, options->minor, options->image,
			 options->readonly);
}
