/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands do, in steps that "create" and "destroy" put together.
 * Each returns 0 (or what is said) or -errno, and has then said why.
 */
#ifndef CLI_STEPS_H
#define CLI_STEPS_H

#include <stdbool.h>

#include "cli/cli.h"
#include "ctl/ctl_msg.h"

struct opened;

/* Counts the instances of tapdisk@.service; made by the first who needs it. */
#define XENTAP_INSTANCE_FILE	XENTAP_RUN_DIR "/instance"

/* The minor number. */
int step_allocate(void);
void step_print_marker(int minor);
int step_free(int minor);

/* The pid of a new tapdisk. */
int step_spawn(void);

int step_attach(int pid, int minor);
/* What @options say of the image and how to serve it. */
int step_open(int pid, int minor, const struct cli_options *options);
/* What reopen_image() gave (cli/reopen.h), once nobody else has it; takes image->fd if it can. */
int step_reopen(int pid, int minor, const char *what, struct opened *image,
		const struct cli_options *options);
/* All of it, with an image open; nothing is left behind on failure. */
int step_create(const struct cli_options *options, int *pid, int *minor);

/*
 * Tapdisk @pid, or the one that has taken its place, is about to be told to end:
 * nobody shall start another one. Which it is now.
 */
int step_forget(int pid, int minor);

/* The pid of the tapdisk that has @minor; -ENOENT: none that answers within @timeout_ms has. */
int step_find_tapdisk(int minor, int timeout_ms);

/* A connection to tapdisk @pid; @what names the step in messages. */
int step_connect(int pid, const char *what);

/*
 * Send @request to tapdisk @pid and wait for its reply, which is in @reply
 * when 0 is returned. @what names the step in messages.
 */
int step_call(int pid, const struct ctl_msg *request, struct ctl_msg *reply,
	      int timeout_ms, const char *what);

/*
 * The same, and whether it is not known if tapdisk took it: it was sent, and no answer came.
 */
int step_ask(int pid, const struct ctl_msg *request, struct ctl_msg *reply, int timeout_ms,
	     const char *what, bool *uncertain);

/* As step_call(), for "cmd" with "minor" as its only member. */
int step_call_minor(int pid, const char *cmd, int minor, struct ctl_msg *reply,
		    int timeout_ms, const char *what);

#endif /* CLI_STEPS_H */
