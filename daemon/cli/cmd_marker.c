// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl allocate, free. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/marker.h"
#include "cli/steps.h"
#include "ctl/record.h"
#include "tapdisk/ctl_proto.h"

int step_allocate(void)
{
	int minor = marker_allocate(XENTAP_RUN_DIR);

	if (minor == -ENOSPC)
		return cli_fail(minor, "all %d minor numbers are in use; see tap-ctl list",
				XENTAP_MINOR_MAX + 1);
	if (minor < 0)
		return cli_fail(minor, "cannot make a marker file in %s: %s",
				XENTAP_MINOR_DIR, strerror(-minor));
	return minor;
}

void step_print_marker(int minor)
{
	char path[MARKER_PATH_MAX];

	marker_path(XENTAP_RUN_DIR, minor, path);
	puts(path);
}

int cmd_allocate(const struct cli_options *options)
{
	int minor = step_allocate();

	(void)options;
	if (minor < 0)
		return minor;
	step_print_marker(minor);
	return 0;
}

int step_free(int minor)
{
	int err = marker_free(XENTAP_RUN_DIR, minor);

	if (err == -ENOENT)
		return cli_fail(err, "minor %d is not allocated", minor);
	if (err == -EWOULDBLOCK)
		return cli_fail(err, "minor %d is attached to a tapdisk; use tap-ctl destroy",
				minor);
	if (err)
		return cli_fail(err, "cannot remove the marker file of minor %d: %s",
				minor, strerror(-err));
	/* Of a disk that is no more. */
	record_remove(XENTAP_RUN_DIR, minor);
	return 0;
}

int cmd_free(const struct cli_options *options)
{
	return step_free(options->minor);
}
