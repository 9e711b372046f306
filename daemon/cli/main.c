// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl: the table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct cli_command commands[] = {
	{ "list", "p:m:t:f:", "", "[-p PID] [-m MINOR] [-t TYPE] [-f FILE]",
	  "show disks that are served", .run = cmd_list },
	{ "allocate", "", "", "", "reserve a minor number, print its marker file",
	  .run = cmd_allocate },
	{ "free", "m:", "m", "-m MINOR", "give a minor number back", .run = cmd_free },
	{ "spawn", "", "", "", "start a tapdisk, print its pid", .run = cmd_spawn },
	{ "attach", "p:m:", "pm", "-p PID -m MINOR", "make a disk in a tapdisk",
	  .run = cmd_attach },
	{ "detach", "p:m:", "pm", "-p PID -m MINOR",
	  "take a closed disk out of its tapdisk, which then ends", .run = cmd_detach },
	{ "open", "p:m:a:R", "pma", "-p PID -m MINOR -a TYPE:PATH [-R]",
	  "open an image, -R: read-only", .run = cmd_open },
	{ "close", "p:m:", "pm", "-p PID -m MINOR",
	  "disconnect guests, finish I/O, close the image", .run = cmd_close },
	{ "create", "a:R", "a", "-a TYPE:PATH [-R]",
	  "allocate, spawn, attach and open; print the marker file", .run = cmd_create },
	{ "destroy", "p:m:", "pm", "-p PID -m MINOR", "close, detach and free",
	  .run = cmd_destroy },
	{ "stats", "p:m:", "pm", "-p PID -m MINOR", "print counters as JSON",
	  .run = cmd_stats },
	{ "query", "p:m:", "pm", "-p PID -m MINOR [ADDRESS...]",
	  "show the grants behind addresses in use", .takes_args = true,
	  .run = cmd_query },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	size_t i;

	fprintf(out, "usage: tap-ctl COMMAND [OPTIONS]\n");
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n            %s\n", commands[i].name,
			commands[i].synopsis, commands[i].help);
	fprintf(out, "  help, --help, --version; COMMAND -h\n");
}

static const struct cli_command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* 0 or -errno. */
static int run_command(int argc, char **argv)
{
	const struct cli_command *command = find_command(argv[0]);
	struct cli_options options;
	int err;

	if (!command) {
		err = cli_fail(-EINVAL, "there is no command %s", argv[0]);
		print_usage(stderr);
		return err;
	}
	err = cli_parse(command, argc, argv, &options);
	if (err)
		return err < 0 ? err : 0;
	err = command->run(&options);
	if (fflush(stdout) && !err)
		err = cli_fail(-errno, "cannot write the output: %m");
	return err;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : NULL;

	log_init("tap-ctl", true);
	if (!first) {
		print_usage(stderr);
		return EINVAL;
	}
	if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h")) {
		print_usage(stdout);
		return 0;
	}
	if (!strcmp(first, "--version")) {
		printf("tap-ctl %s\n", XENTAP_VERSION);
		return 0;
	}
	return -run_command(argc - 1, argv + 1);
}
