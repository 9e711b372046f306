// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl's options: one set of letters for all commands. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "base/parse.h"
#include "cli/cli.h"
#include "tapdisk/ctl_proto.h"

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
	case 't':
		options->type = value;
		return 0;
	case 'f':
		options->file = value;
		return 0;
	case 'a':
		options->image = value;
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
	default:
		return options->image;
	}
}

int cli_parse(const struct cli_command *command, int argc, char **argv,
	      struct cli_options *options)
{
	static const struct option no_long_options[] = {
		{ "help", no_argument, NULL, 'h' }, { 0 }
	};
	const char *required;
	char letters[32];
	int letter;

	*options = (struct cli_options){ .pid = -1, .minor = -1 };
	snprintf(letters, sizeof(letters), "+:h%s", command->accepts);
	optind = 0;
	while ((letter = getopt_long(argc, argv, letters, no_long_options, NULL)) != -1) {
		if (letter == 'h') {
			printf("usage: tap-ctl %s %s\n%s\n", command->name,
			       command->synopsis, command->help);
			return 1;
		}
		if (letter == ':')
			return cli_fail(-EINVAL, "%s: option -%c needs a value",
					command->name, optopt);
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
	return 0;
}
