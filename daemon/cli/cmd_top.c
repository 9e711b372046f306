// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl top, metrics: counters of all disks, for people and for Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/http.h"
#include "cli/json_out.h"
#include "cli/samples.h"
#include "tapdisk/ctl_proto.h"

#define MODULE_COUNTERS		"/sys/kernel/debug/xentap/counters"
#define HTTP_TIMEOUT_MS		5000
#define TOP_INTERVAL_MS		2000
/* To the upper left corner, and clear what is below. */
#define ANSI_CLEAR		"\033[H\033[J"

static int take(struct samples *samples, const char *command)
{
	int err = samples_take(samples, XENTAP_RUN_DIR);

	if (err)
		log_error("%s: cannot look through %s: %s", command, XENTAP_RUN_DIR,
			  strerror(-err));
	return err;
}

static void show(const struct samples *before, const struct samples *after,
		 const struct cli_options *options)
{
	struct json_object *rows;

	if (options->json) {
		rows = samples_top_json(before, after);
		json_print(stdout, rows);
		json_object_put(rows);
		return;
	}
	if (!options->once && isatty(STDOUT_FILENO))
		fputs(ANSI_CLEAR, stdout);
	samples_print_top(stdout, before, after);
	/* Not to a terminal, tables follow each other. */
	if (!options->once && !isatty(STDOUT_FILENO))
		putchar('\n');
}

int cmd_top(const struct cli_options *options)
{
	int interval_ms = options->interval_ms ? options->interval_ms : TOP_INTERVAL_MS;
	const struct timespec pause = { .tv_sec = interval_ms / 1000 };
	struct samples before, after = { 0 };
	int err;

	err = take(&before, "top");
	while (!err) {
		nanosleep(&pause, NULL);
		err = take(&after, "top");
		if (err)
			break;
		show(&before, &after, options);
		if (fflush(stdout))
			err = cli_fail(-errno, "top: cannot write the output: %m");
		samples_clear(&before);
		before = after;
		after = (struct samples){ 0 };
		if (options->once)
			break;
	}
	samples_clear(&before);
	samples_clear(&after);
	return err;
}

/* Readers of @path see the old file or the new one, and never a part. */
static int replace_file(const char *path, const struct samples *samples)
{
	CLEANUP_FREE char *part = NULL;
	FILE *out;
	int err = 0;
	int fd;

	/* Not read by node_exporter, which takes *.prom. */
	if (asprintf(&part, "%s.XXXXXX", path) < 0) {
		part = NULL;
		return -ENOMEM;
	}
	fd = mkstemp(part);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		close(fd);
		unlink(part);
		return -ENOMEM;
	}
	samples_print_metrics(out, samples, MODULE_COUNTERS);
	if (fflush(out) || fchmod(fd, 0644))
		err = -errno;
	if (fclose(out) && !err)
		err = -errno;
	if (!err && rename(part, path))
		err = -errno;
	if (err)
		unlink(part);
	return err;
}

int cmd_metrics(const struct cli_options *options)
{
	struct samples samples;
	int err;

	if (options->http && options->output)
		return cli_fail(-EINVAL, "metrics: either --output or --http");
	/* What was refused has been answered. */
	if (options->http && !http_begin(STDIN_FILENO, stdout, "/metrics",
					 "text/plain; version=0.0.4", HTTP_TIMEOUT_MS))
		return 0;
	err = take(&samples, "metrics");
	if (!err && options->output) {
		err = replace_file(options->output, &samples);
		if (err)
			log_error("metrics: cannot write %s: %s", options->output,
				  strerror(-err));
	} else if (!err) {
		samples_print_metrics(stdout, &samples, MODULE_COUNTERS);
	}
	samples_clear(&samples);
	return err;
}
