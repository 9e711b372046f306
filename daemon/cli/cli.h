/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap-ctl: its commands and what they share. One process, one command, one
 * thread; the exit status is the errno of what went wrong, or 0.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct ctl_msg;

/* Limits of one exchange with tapdisk. */
#define CLI_TIMEOUT_MS		30000
/* Of one that ends only when all I/O of a disk has ended, if -t does not say. */
#define CLI_DRAIN_TIMEOUT_MS	120000
#define CLI_TIMEOUT_MAX_S	86400
/* Of a whole command, beside what it waits for by itself: xenstore may hang, too. */
#define CLI_COMMAND_SECONDS	300

/* Options --filter of one command line; a message has room for their files. */
#define CLI_FILTERS_MAX		6u

/* What the command line said; -1 and NULL: not said. */
struct cli_options {
	int pid;
	int minor;
	const char *type;	/* list -t */
	const char *file;	/* list -f, as an absolute path */
	const char *image;	/* -a TYPE:PATH, whole, with an absolute path */
	const char *output;	/* metrics -o */
	const char *device;	/* -d, as the guest names it */
	int interval_ms;	/* top -n */
	int timeout_ms;		/* -t of a command that waits */
	bool readonly;
	int sector_bytes;	/* -S; 0: not said */
	bool json;
	bool once;		/* top -1 */
	bool force;		/* detach-domain -F */
	const char *filters[CLI_FILTERS_MAX];	/* --filter, one after the other */
	unsigned int nr_filters;
	bool http;		/* metrics -H */
	const char *data;	/* --data WAY */
	char **args;		/* what follows the options */
	int nr_args;
	char *made[2];		/* texts above that are not the command line's; or NULL */
};

struct cli_command {
	const char *name;
	const char *accepts;	/* option letters for getopt(); T is written -t, too */
	const char *requires;	/* those that must be given */
	const char *synopsis;
	const char *help;	/* one line */
	bool takes_args;
	/* 0 or -errno; what went wrong has been said by then. */
	int (*run)(const struct cli_options *options);
	bool endless;		/* until it is told to stop */
	bool for_anybody;	/* else root alone: nobody else may speak to tapdisks */
};

/* How long @options let the end of I/O be waited for. */
static inline int cli_drain_timeout(const struct cli_options *options)
{
	return options->timeout_ms ? options->timeout_ms : CLI_DRAIN_TIMEOUT_MS;
}

/* Say in one sentence what is wrong and what to do; returns @err. */
#define cli_fail(err, ...)	(log_error(__VA_ARGS__), (err))

int cmd_list(const struct cli_options *options);
int cmd_allocate(const struct cli_options *options);
int cmd_free(const struct cli_options *options);
int cmd_spawn(const struct cli_options *options);
int cmd_attach(const struct cli_options *options);
int cmd_detach(const struct cli_options *options);
int cmd_open(const struct cli_options *options);
int cmd_close(const struct cli_options *options);
int cmd_create(const struct cli_options *options);
int cmd_restart(const struct cli_options *options);
int cmd_destroy(const struct cli_options *options);
int cmd_pause(const struct cli_options *options);
int cmd_unpause(const struct cli_options *options);
int cmd_limit(const struct cli_options *options);
int cmd_resize(const struct cli_options *options);
int cmd_stats(const struct cli_options *options);
int cmd_query(const struct cli_options *options);
int cmd_gref(const struct cli_options *options);
int cmd_top(const struct cli_options *options);
int cmd_trace(const struct cli_options *options);
int cmd_metrics(const struct cli_options *options);
int cmd_doctor(const struct cli_options *options);
int cmd_attach_domain(const struct cli_options *options);
int cmd_detach_domain(const struct cli_options *options);

/*
 * Parse @argv (its first entry is the command's name) as @command takes it.
 * 0, -errno (said why; -EINVAL is a wrong command line), or 1: help was asked for and
 * printed. @options are to be cleared in any case.
 */
int cli_parse(const struct cli_command *command, int argc, char **argv,
	      struct cli_options *options);
void cli_options_clear(struct cli_options *options);

void cli_print_help(const struct cli_command *command);

#endif /* CLI_CLI_H */
