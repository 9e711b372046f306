/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What "tap-ctl list" shows: disks, tapdisks without a disk, and minors
 * without either. Pure but for listing_scan().
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/ctl_msg.h"

/* One line; -1 and NULL: not known. */
struct listing_entry {
	int pid;
	int minor;
	int64_t state;
	char *type;
	char *path;
	int err;	/* 0, or why the tapdisk did not say what it serves */
};

struct listing {
	struct listing_entry *entries;
	size_t nr;
};

/* What to show; -1 and NULL: any. */
struct listing_filter {
	int pid;
	int minor;
	const char *type;
	const char *path;
};

/* Less than what a hotplug script has. */
#define LISTING_TIMEOUT_MS	10000

/*
 * Ask the tapdisks whose sockets are in @run_dir (all, or the one of @pid
 * when that is not -1) and look for markers. Sockets of processes that ended,
 * and those of their disks, are removed. All together have @timeout_ms to answer. 0 or -errno;
 * free with listing_clear() in either case.
 */
int listing_scan(struct listing *listing, const char *run_dir, int pid, int timeout_ms);
void listing_clear(struct listing *listing);
/* Warn of each that did not say what it serves. */
void listing_say_silent(const struct listing *listing);
/* The tapdisk that has @minor, or 0. */
int listing_pid_of(const struct listing *listing, int minor);

/* Add what tapdisk @pid answered to "list". 0, -EBADMSG or -ENOMEM. */
int listing_add_reply(struct listing *listing, int pid, const struct ctl_msg *reply);
/* Add an entry; copies the strings. 0 or -ENOMEM. */
int listing_add(struct listing *listing, const struct listing_entry *entry);
/* Add those of @minors that no entry has. 0 or -ENOMEM. */
int listing_add_orphans(struct listing *listing, const int *minors, int nr);

bool listing_matches(const struct listing_filter *filter,
		     const struct listing_entry *entry);

/* What listing_print_line() shows, as an object, and names as they are; NULL: no memory. */
struct json_object *listing_json(const struct listing_entry *entry);

/* One "key=value ..." line for programs, or aligned columns for people. */
void listing_print_line(FILE *out, const struct listing_entry *entry);
void listing_print_table(FILE *out, const struct listing *listing,
			 const struct listing_filter *filter);

#endif /* CLI_LISTING_H */
