// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl's options: one set of letters for all commands. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "tapdisk/ctl_proto.h"

/* Those that tapdisk knows (vbd/data.h), which says less of a wrong one. */
static int set_data(struct cli_options *options, const char *value)
{
	static const char *const ways[] = { "auto", "map", "copy", "persistent" };
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(value, ways[i])) {
			options->data = value;
			return 0;
		}
	return cli_fail(-EINVAL, "--data %s is no way to move data: it is one of auto, map, copy "
			"and persistent", value);
}

/* Store one option; 0 or -EINVAL. */
static int set_option(struct cli_options *options, int letter, const char *value)
{
	uint32_t number;

	switch (letter) {
	case 'p':
		if (parse_u32(value, INT32_MAX, &number) || !number)
			return cli_fail(-EINVAL, "-p %s is not a process number", value);
		options->pid = (int)number;
		return 0;
	case 'm':
		if (parse_u32(value, XENTAP_MINOR_MAX, &number))
			return cli_fail(-EINVAL, "-m %s is not a minor number from 0 to %d",
					value, XENTAP_MINOR_MAX);
		options->minor = (int)number;
		return 0;
	case 'S':
		if (parse_u32(value, INT32_MAX, &number) || (number != 512 && number != 4096))
			return cli_fail(-EINVAL, "-S %s is not a sector size: 512 or 4096", value);
		options->sector_bytes = (int)number;
		return 0;
	case 'L':
		if (options->nr_filters == CLI_FILTERS_MAX)
			return cli_fail(-EINVAL, "--filter is given more than %u times",
					CLI_FILTERS_MAX);
		options->filters[options->nr_filters++] = value;
		return 0;
	case 't':
		options->type = value;
		return 0;
	case 'f':
		options->file = value;
		return 0;
	case 'a':
		options->image = value;
		return 0;
	case 'o':
		options->output = value;
		return 0;
	case 'd':
		options->device = value;
		return 0;
	case 'n':
		if (parse_u32(value, CLI_TIMEOUT_MAX_S, &number) || !number)
			return cli_fail(-EINVAL, "-n %s is not a number of seconds from 1 to %d",
					value, CLI_TIMEOUT_MAX_S);
		options->interval_ms = (int)number * 1000;
		return 0;
	case 'T':
		if (parse_u32(value, CLI_TIMEOUT_MAX_S, &number) || !number)
			return cli_fail(-EINVAL, "-t %s is not a number of seconds from 1 to %d",
					value, CLI_TIMEOUT_MAX_S);
		options->timeout_ms = (int)number * 1000;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case '1':
		options->once = true;
		return 0;
	case 'H':
		options->http = true;
		return 0;
	case 'D':
		return set_data(options, value);
	case 'F':
		options->force = true;
		return 0;
	default:
		options->readonly = true;
		return 0;
	}
}

static bool is_given(const struct cli_options *options, char letter)
{
	switch (letter) {
	case 'p':
		return options->pid >= 0;
	case 'm':
		return options->minor >= 0;
	case 'd':
		return options->device;
	default:
		return options->image;
	}
}

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "once", no_argument, NULL, '1' },
	{ "force", no_argument, NULL, 'F' },
	{ "filter", required_argument, NULL, 'L' },
	{ "http", no_argument, NULL, 'H' },
	{ "data", required_argument, NULL, 'D' },
	{ "output", required_argument, NULL, 'o' },
	{ "interval", required_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 'T' },
	{ 0 },
};

/* The next option that @command takes, '?', ':', or -1: no more. */
static int next_option(const struct cli_command *command, int argc, char **argv)
{
	char letters[48];
	int letter;

	snprintf(letters, sizeof(letters), "+:h%s%s", command->accepts,
		 strchr(command->accepts, 'T') ? "t:" : "");
	letter = getopt_long(argc, argv, letters, long_options, NULL);
	/* In most commands a time, as in older tools; in "list" a type. */
	if (letter == 't' && strchr(command->accepts, 'T'))
		return 'T';
	if (letter > 0 && !strchr("h?:", letter) && !strchr(command->accepts, letter))
		return '?';
	return letter;
}

/*
 * Make @path, the end of *@text, absolute: who opens the image again, or looks for it, does
 * so from another directory. Links stay as they were named, since hotplug scripts look for a
 * disk by the path that they gave. The working directory is without any, so that ".." is
 * what is before its last slash. 0 or -errno, said; *@made is to be freed.
 */
static int make_absolute(const char **text, const char *path, char **made)
{
	CLEANUP_FREE char *dir = NULL;
	int prefix = (int)(path - *text);

	if (!*path || *path == '/')
		return 0;
	dir = getcwd(NULL, 0);
	if (!dir)
		return cli_fail(-errno, "give %s as a path from / on: the working directory has no "
				"path (%m)", path);
	while (!strncmp(path, "./", 2) || !strncmp(path, "../", 3)) {
		if (path[1] == '.' && *dir)
			*strrchr(dir, '/') = '\0';
		path += strcspn(path, "/");
		path += strspn(path, "/");
	}
	if (asprintf(made, "%.*s%s/%s", prefix, *text, strcmp(dir, "/") ? dir : "", path) < 0) {
		*made = NULL;
		return cli_fail(-ENOMEM, "no memory");
	}
	*text = *made;
	return 0;
}

static int make_paths_absolute(struct cli_options *options)
{
	const char *colon = options->image ? strchr(options->image, ':') : NULL;
	int err = 0;

	if (colon)
		err = make_absolute(&options->image, colon + 1, &options->made[0]);
	if (!err && options->file)
		err = make_absolute(&options->file, options->file, &options->made[1]);
	return err;
}

void cli_options_clear(struct cli_options *options)
{
	free(options->made[0]);
	free(options->made[1]);
	options->made[0] = options->made[1] = NULL;
}

void cli_print_help(const struct cli_command *command)
{
	printf("usage: tap-ctl %s %s\n%s\n", command->name, command->synopsis, command->help);
}

int cli_parse(const struct cli_command *command, int argc, char **argv,
	      struct cli_options *options)
{
	const char *required;
	int letter;

	*options = (struct cli_options){ .pid = -1, .minor = -1 };
	optind = 0;
	while ((letter = next_option(command, argc, argv)) != -1) {
		if (letter == 'h') {
			cli_print_help(command);
			return 1;
		}
		if (letter == ':')
			return cli_fail(-EINVAL, "%s: option %s needs a value",
					command->name, argv[optind - 1]);
		if (letter == '?')
			return cli_fail(-EINVAL, "%s: no such option: %s; usage: tap-ctl %s %s",
					command->name, argv[optind - 1], command->name,
					command->synopsis);
		if (set_option(options, letter, optarg))
			return -EINVAL;
	}
	options->args = argv + optind;
	options->nr_args = argc - optind;
	if (options->nr_args && !command->takes_args)
		return cli_fail(-EINVAL, "%s: unexpected argument %s; usage: tap-ctl %s %s",
				command->name, options->args[0], command->name,
				command->synopsis);
	for (required = command->requires; *required; required++)
		if (!is_given(options, *required))
			return cli_fail(-EINVAL, "%s: option -%c is missing; usage: tap-ctl %s %s",
					command->name, *required, command->name,
					command->synopsis);
	return make_paths_absolute(options);
}
