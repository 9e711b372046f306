// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-ctl resize: have tapdisk look at the size of its image again, and tapback
 * tell the guests.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/steps.h"
#include "ctl/ctl_msg.h"

#define DEVICES "backend/vbd3"	/* relative: below our own domain */

static bool node_is(struct xs_handle *xs, const char *dir, const char *name, int value)
{
	CLEANUP_FREE char *path = NULL;
	CLEANUP_FREE char *text = NULL;
	unsigned int len;
	uint32_t number;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return false;
	}
	text = xs_read(xs, XBT_NULL, path, &len);
	return text && !parse_u32(text, INT32_MAX, &number) && number == (uint32_t)value;
}

/* tapback watches this directory, and looks at this node. */
static int announce(struct xs_handle *xs, const char *dir, int64_t sectors)
{
	char path[256], text[24];

	snprintf(path, sizeof(path), "%s/resize", dir);
	snprintf(text, sizeof(text), "%lld", (long long)sectors);
	return xs_write(xs, XBT_NULL, path, text, (unsigned int)strlen(text)) ? 0 : -errno;
}

/* The devices of domain @domid that this tapdisk serves. 0 or -errno. */
static int announce_to(struct xs_handle *xs, const char *domid,
		       const struct cli_options *options, int64_t sectors)
{
	CLEANUP_FREE char **devices = NULL;
	char dir[192];
	unsigned int nr = 0, i;
	int err = 0;

	snprintf(dir, sizeof(dir), DEVICES "/%s", domid);
	devices = xs_directory(xs, XBT_NULL, dir, &nr);
	for (i = 0; devices && i < nr && !err; i++) {
		snprintf(dir, sizeof(dir), DEVICES "/%s/%s", domid, devices[i]);
		if (node_is(xs, dir, "pid", options->pid) &&
		    node_is(xs, dir, "minor", options->minor))
			err = announce(xs, dir, sectors);
	}
	return err;
}

/* No guest has it: nobody to tell. 0 or -errno. */
static int tell_tapback(const struct cli_options *options, int64_t sectors)
{
	struct xs_handle *xs = xs_open(0);
	CLEANUP_FREE char **domids = NULL;
	unsigned int nr = 0, i;
	int err = 0;

	if (!xs)
		return -errno;
	domids = xs_directory(xs, XBT_NULL, DEVICES, &nr);
	for (i = 0; domids && i < nr && !err; i++)
		err = announce_to(xs, domids[i], options, sectors);
	xs_close(xs);
	return err;
}

int cmd_resize(const struct cli_options *options)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int64_t sectors = 0;
	int err;

	err = step_call_minor(options->pid, "resize", options->minor, &reply, CLI_TIMEOUT_MS,
			      "resize");
	if (!err && ctl_get_int(&reply, "sectors", 0, INT64_MAX, &sectors))
		err = cli_fail(-EPROTO, "resize: the answer of tapdisk %d names no size",
			       options->pid);
	ctl_msg_clear(&reply);
	if (err)
		return err;
	err = tell_tapback(options, sectors);
	if (err)
		return cli_fail(err, "resize: the image has its new size, but xenstore does not "
				"let the guests know: %s", strerror(-err));
	printf("%lld\n", (long long)sectors);
	return 0;
}
