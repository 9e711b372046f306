/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps disks from working, found out before a guest does. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_WARN,	/* works, but not everything or not for long */
	DOCTOR_FAIL,	/* no disk can be attached */
};

struct doctor_line {
	enum doctor_verdict verdict;
	const char *subject;
	char finding[256];
	char advice[256];	/* empty: nothing to do */
};

/* What is asked about; a test has another host. */
struct doctor_host {
	const char *root;	/* in front of each path; "" */
	const char *version;	/* of the programs */
	/* As program_run(). */
	int (*run)(const char *const argv[], char *output, size_t size, int timeout_ms);
};

#define DOCTOR_LINES_MAX	24

/* Look at everything: how many @lines there are. */
size_t doctor_examine(const struct doctor_host *host, struct doctor_line lines[DOCTOR_LINES_MAX]);

/* Whether Xen runs, with @root in front of each path. */
bool doctor_xen_runs(const char *root);

#endif /* CLI_DOCTOR_H */
