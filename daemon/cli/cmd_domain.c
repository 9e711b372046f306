// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl attach-domain, detach-domain. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

#include "cli/cli.h"
#include "cli/domain_disk.h"
#include "cli/steps.h"

#define PAUSE_MS		50

static int serve(void *context, const struct domain_disk *disk, int *pid, int *minor)
{
	const struct cli_options *options = context;

	(void)disk;
	return step_create(options, pid, minor);
}

static int end(void *context, int pid, int minor)
{
	struct cli_options options = *(const struct cli_options *)context;

	options.pid = pid;
	options.minor = minor;
	return cmd_destroy(&options);
}

static void pause_a_little(void *context)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	(void)context;
	nanosleep(&pause, NULL);
}

static int run(const struct cli_options *options, const char *command,
	       int (*do_it)(struct xs_handle *xs, const struct domain_disk *disk,
			    const struct domain_disk_ops *ops))
{
	const struct domain_disk_ops ops = { serve, end, pause_a_little, (void *)options };
	const struct domain_disk disk = {
		.domain = options->nr_args == 1 ? options->args[0] : NULL,
		.device = options->device,
		.image = options->image,
		.readonly = options->readonly,
		.force = options->force,
		.timeout_ms = options->timeout_ms ? options->timeout_ms : CLI_TIMEOUT_MS,
	};
	struct xs_handle *xs;
	int err;

	if (!disk.domain)
		return cli_fail(-EINVAL, "%s: which domain? Name one, by name or number", command);
	xs = xs_open(0);
	if (!xs)
		return cli_fail(-errno, "%s: cannot reach xenstore (%m); does Xen run here?",
				command);
	err = do_it(xs, &disk, &ops);
	xs_close(xs);
	return err;
}

int cmd_attach_domain(const struct cli_options *options)
{
	return run(options, "attach-domain", domain_disk_attach);
}

int cmd_detach_domain(const struct cli_options *options)
{
	return run(options, "detach-domain", domain_disk_detach);
}
