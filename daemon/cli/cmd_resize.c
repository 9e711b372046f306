// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-ctl resize: have tapdisk look at the size of its image again, and tapback
 * tell the guests.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/guest_nodes.h"
#include "cli/steps.h"
#include "ctl/ctl_msg.h"

/* tapback watches this directory, and looks at this node. */
static int announce(struct xs_handle *xs, const char *dir, const void *context)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)*(const int64_t *)context);
	return guest_node_write(xs, dir, "resize", text);
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
	err = guest_nodes_visit(options->pid, options->minor, announce, &sectors);
	if (err)
		return cli_fail(err, "resize: the image has its new size, but xenstore does not "
				"let the guests know: %s", strerror(-err));
	printf("%lld\n", (long long)sectors);
	return 0;
}
