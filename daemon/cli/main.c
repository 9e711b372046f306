// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl: the table of commands. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct cli_command commands[] = {
	{ "list", "p:m:t:f:j", "", "[-p PID] [-m MINOR] [-t TYPE] [-f FILE] [--json]",
	  "show disks that are served", .run = cmd_list },
	{ "allocate", "", "", "", "reserve a minor number, print its marker file",
	  .run = cmd_allocate },
	{ "free", "m:", "m", "-m MINOR", "give a minor number back", .run = cmd_free },
	{ "spawn", "", "", "", "start a tapdisk, print its pid", .run = cmd_spawn },
	{ "attach", "p:m:", "pm", "-p PID -m MINOR", "make a disk in a tapdisk",
	  .run = cmd_attach },
	{ "detach", "p:m:T:", "pm", "-p PID -m MINOR [-t SECONDS]",
	  "take a closed disk out of its tapdisk, which then ends", .run = cmd_detach },
	{ "open", "p:m:a:RS:D:L:", "pma",
	  "-p PID -m MINOR -a TYPE:PATH [-R] [-S BYTES] [--data WAY] [--filter FILTER]...",
	  "open an image; -R: read-only, -S: sector size; WAY: auto, map, copy, persistent",
	  .run = cmd_open },
	{ "close", "p:m:T:", "pm", "-p PID -m MINOR [-t SECONDS]",
	  "disconnect guests, finish I/O, close the image", .run = cmd_close },
	{ "create", "a:RS:D:L:", "a",
	  "-a TYPE:PATH [-R] [-S BYTES] [--data WAY] [--filter FILTER]...",
	  "allocate, spawn, attach and open; print the marker file", .run = cmd_create },
	{ "destroy", "p:m:T:", "pm", "-p PID -m MINOR [-t SECONDS]", "close, detach and free",
	  .run = cmd_destroy },
	{ "restart", "p:m:", "", "-m MINOR | -p PID",
	  "start another tapdisk in place of one that was killed (-m) or shall go (-p)",
	  .run = cmd_restart },
	{ "pause", "p:m:T:", "pm", "-p PID -m MINOR [-t SECONDS]",
	  "close the image for a while, to copy or replace it; guests wait", .run = cmd_pause },
	{ "unpause", "p:m:a:", "pm", "-p PID -m MINOR [-a TYPE:PATH]",
	  "open it again, or another one; guests go on", .run = cmd_unpause },
	{ "limit", "p:m:", "pm", "-p PID -m MINOR iops=N,bps=N,burst_ms=N",
	  "change the limits of a disk that was opened with --filter limit", .takes_args = true,
	  .run = cmd_limit },
	{ "resize", "p:m:", "pm", "-p PID -m MINOR",
	  "use all of an image that has grown, tell guests; print its sectors",
	  .run = cmd_resize },
	{ "stats", "p:m:", "pm", "-p PID -m MINOR", "print counters as JSON",
	  .run = cmd_stats },
	{ "query", "p:m:j", "pm", "-p PID -m MINOR [--json] [ADDRESS...]",
	  "show the grants behind addresses in use", .takes_args = true,
	  .run = cmd_query },
	{ "gref", "j", "", "[--json] MINOR [ADDRESS...]",
	  "show the grants behind addresses in use of the disk with this minor number",
	  .takes_args = true,
	  .run = cmd_gref },
	{ "trace", "p:m:j", "pm", "-p PID -m MINOR [--json]",
	  "show each I/O of a disk, with the grants behind its pages, until interrupted",
	  .endless = true, .run = cmd_trace },
	{ "attach-domain", "a:d:RS:D:L:T:", "ad",
	  "-a TYPE:PATH -d VDEV [-R] [-S BYTES] [--data WAY] [--filter FILTER]... [-t SECONDS] DOMAIN",
	  "attach a disk to a running guest without xl", .takes_args = true,
	  .run = cmd_attach_domain },
	{ "detach-domain", "d:FT:", "d", "-d VDEV [--force] [-t SECONDS] DOMAIN",
	  "detach a disk that attach-domain attached", .takes_args = true,
	  .run = cmd_detach_domain },
	{ "top", "1jn:", "", "[--once] [--json] [-n SECONDS]",
	  "show what each disk does, again and again", .endless = true, .run = cmd_top },
	{ "metrics", "o:H", "", "[--output FILE | --http]",
	  "print counters of all disks for Prometheus, or replace FILE with them",
	  .run = cmd_metrics },
	{ "doctor", "j", "", "[--json]",
	  "look for what keeps disks from working, and say what to do", .run = cmd_doctor,
	  .for_anybody = true },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	size_t i;

	fprintf(out, "usage: tap-ctl COMMAND [OPTIONS]\n");
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n            %s\n", commands[i].name,
			commands[i].synopsis, commands[i].help);
	fprintf(out, "  help, help COMMAND, --help, --version; COMMAND -h\n");
}

/* NULL, said: there is none. */
static const struct cli_command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	log_error("there is no command %s; see tap-ctl help", name);
	return NULL;
}

/* Of all commands, or of @name. 0 or -errno. */
static int help(const char *name)
{
	const struct cli_command *command;

	if (!name) {
		print_usage(stdout);
		return 0;
	}
	command = find_command(name);
	if (!command)
		return -EINVAL;
	cli_print_help(command);
	return 0;
}

/*
 * What has no time limit of its own, as xenstored or a file server, must not hang a
 * hotplug script for ever.
 */
static void give_up(int signal)
{
	static const char text[] = "tap-ctl: no end after 5 minutes; is xenstored running, and "
				   "the image's file server?\n";

	(void)signal;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EIO);
	_exit(ETIMEDOUT);
}

static void limit_time(const struct cli_command *command, const struct cli_options *options)
{
	const struct sigaction action = { .sa_handler = give_up };

	if (command->endless || sigaction(SIGALRM, &action, NULL))
		return;
	alarm(CLI_COMMAND_SECONDS + 2 * (unsigned int)options->timeout_ms / 1000);
}

/* 0 or -errno. */
static int run_command(int argc, char **argv)
{
	const struct cli_command *command = find_command(argv[0]);
	struct cli_options options;
	int err;

	if (!command)
		return -EINVAL;
	err = cli_parse(command, argc, argv, &options);
	if (!err && geteuid() && !command->for_anybody)
		err = cli_fail(-EPERM, "%s: this is for root alone, as tapdisks answer nobody else; "
			       "use sudo", command->name);
	if (!err) {
		limit_time(command, &options);
		err = command->run(&options);
	}
	cli_options_clear(&options);
	if (fflush(stdout) && !err)
		err = cli_fail(-errno, "cannot write the output: %m");
	return err < 0 ? err : 0;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : NULL;

	log_init("tap-ctl", true);
	if (!first) {
		print_usage(stderr);
		return EINVAL;
	}
	if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h"))
		return -help(argv[2]);
	if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
		printf("tap-ctl %s\n", XENTAP_VERSION);
		return 0;
	}
	return -run_command(argc - 1, argv + 1);
}
