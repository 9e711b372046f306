/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands do, in steps that "create" and "destroy" put together.
 * Each returns 0 (or what is said) or -errno, and has then said why.
 */
#ifndef CLI_STEPS_H
#define CLI_STEPS_H

#include <stdbool.h>

#include "ctl/ctl_msg.h"

/* The minor number. */
int step_allocate(void);
void step_print_marker(int minor);
int step_free(int minor);

/* The pid of a new tapdisk. */
int step_spawn(void);

int step_attach(int pid, int minor);
int step_open(int pid, int minor, const char *image, bool readonly);

/*
 * Send @request to tapdisk @pid and wait for its reply, which is in @reply
 * when 0 is returned. @what names the step in messages.
 */
int step_call(int pid, const struct ctl_msg *request, struct ctl_msg *reply,
	      int timeout_ms, const char *what);

/* As step_call(), for "cmd" with "minor" as its only member. */
int step_call_minor(int pid, const char *cmd, int minor, struct ctl_msg *reply,
		    int timeout_ms);

#endif /* CLI_STEPS_H */
