// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asking every tapdisk for the counters of its disks. All are asked before the first
 * answer is awaited: some that hang must not add up their time limits, for who reads
 * metrics has one of his own.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/listing.h"
#include "cli/samples.h"
#include "ctl/ctl_msg.h"

#define LIST_TIMEOUT_MS		3000
#define STATS_TIMEOUT_MS	5000

/* Tapdisks without a disk, and those that do not say, are listed by pid alone. */
static bool has_disk(const struct listing_entry *entry)
{
	return entry->pid > 0 && entry->minor >= 0;
}

/* Put the question about one disk: a descriptor to await the answer at, or -errno. */
static int ask(const char *run_dir, const struct listing_entry *entry)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int fd = ctl_connect_in(run_dir, entry->pid);
	int err = fd < 0 ? fd : ctl_request_minor(&request, "stats", entry->minor);

	if (!err)
		err = ctl_msg_send(fd, &request);
	ctl_msg_clear(&request);
	if (err)
		fd_close(&fd);
	return err ? err : fd;
}

/* Add what is answered at @fd, if it is one. 0, or -errno of question or answer. */
static int add_answer(struct samples *samples, const struct listing_entry *entry, int fd,
		      uint64_t deadline_ms)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	struct json_object *stats;
	int err = fd < 0 ? fd : ctl_await(fd, &reply, deadline_ms);

	if (!err)
		err = json_object_object_get_ex(reply.json, "stats", &stats) ?
		      samples_add(samples, entry->pid, entry->minor, stats) : -EBADMSG;
	ctl_msg_clear(&reply);
	return err;
}

/* Of all entries with a disk. 0 or -ENOMEM. */
static int take_all(struct samples *samples, const char *run_dir, const struct listing *listing)
{
	uint64_t deadline_ms = clock_ms() + STATS_TIMEOUT_MS;
	CLEANUP_FREE int *fds = calloc(listing->nr + 1, sizeof(*fds));
	int err = 0, failed;
	size_t i;

	if (!fds)
		return -ENOMEM;
	for (i = 0; i < listing->nr; i++)
		fds[i] = has_disk(&listing->entries[i]) ?
			 ask(run_dir, &listing->entries[i]) : -ENODEV;
	for (i = 0; i < listing->nr; i++) {
		if (listing->entries[i].pid > 0)
			samples->tapdisks++;
		if (listing->entries[i].err)
			samples->silent++;
		if (!has_disk(&listing->entries[i]))
			continue;
		failed = err ? err : add_answer(samples, &listing->entries[i], fds[i],
						deadline_ms);
		fd_close(&fds[i]);
		if (failed == -ENOMEM)
			err = failed;
		else if (failed)
			samples->silent++;
	}
	return err;
}

int samples_take(struct samples *samples, const char *run_dir)
{
	struct listing listing;
	int err;

	*samples = (struct samples){ 0 };
	err = listing_scan(&listing, run_dir, -1, LIST_TIMEOUT_MS);
	/* One that hangs has delayed all that follows, not what came before. */
	samples->time_ms = clock_ms();
	if (!err)
		err = take_all(samples, run_dir, &listing);
	listing_clear(&listing);
	return err;
}
