// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asking every tapdisk what it serves. All are asked before the first answer
 * is awaited: one that hangs must not add up its time limit with others', for
 * the hotplug script that calls us has a limit of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/listing.h"
#include "cli/marker.h"
#include "cli/nbd_socket.h"

/* One tapdisk that was asked. */
struct asked {
	int pid;
	int fd;		/* -1: it does not take our question */
};

/* The pid in the name of a control socket, or -1. */
static int pid_of(const char *name)
{
	uint32_t pid;

	if (strncmp(name, "ctl", 3) || parse_u32(name + 3, INT32_MAX, &pid))
		return -1;
	return (int)pid;
}

/*
 * Remove the socket that a killed tapdisk left. One whose process lives may
 * be about to listen.
 */
static void remove_stale_socket(const char *run_dir, int pid)
{
	char path[MARKER_PATH_MAX];

	if (!kill(pid, 0) || errno != ESRCH)
		return;
	snprintf(path, sizeof(path), "%s/ctl%d", run_dir, pid);
	if (unlink(path) && errno != ENOENT)
		log_debug("cannot remove the stale socket %s: %m", path);
}

/* Put the question to @pid. 0, -ESRCH (no such tapdisk) or -ENOMEM. */
static int ask(struct asked *asked, const char *run_dir, int pid)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err, fd;

	asked->pid = pid;
	asked->fd = -1;
	fd = ctl_connect_in(run_dir, pid);
	if (fd == -ESRCH) {
		remove_stale_socket(run_dir, pid);
		return fd;
	}
	if (fd < 0)
		return 0;
	asked->fd = fd;
	err = ctl_request_init(&request, "list");
	if (!err && ctl_msg_send(fd, &request))
		fd_close(&asked->fd);
	ctl_msg_clear(&request);
	return err;
}

/* All that there are have a connection at one time, and may be more than the usual 1024. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_debug("cannot have more descriptors: %m");
}

/* Ask those with a socket in @run_dir: their number, or -errno. */
static int ask_all(const char *run_dir, struct asked **asked)
{
	struct asked *list = NULL, *grown;
	struct dirent *entry;
	int err = 0, nr = 0;
	DIR *dir;
	int pid;

	*asked = NULL;
	allow_descriptors();
	dir = opendir(run_dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(dir))) {
		nbd_socket_remove_stale(run_dir, entry->d_name);
		pid = pid_of(entry->d_name);
		if (pid <= 0)
			continue;
		grown = reallocarray(list, (size_t)nr + 1, sizeof(*list));
		if (!grown) {
			err = -ENOMEM;
			break;
		}
		list = grown;
		err = ask(&list[nr], run_dir, pid);
		if (!err)
			nr++;
		else if (err == -ESRCH)
			err = 0;
	}
	closedir(dir);
	*asked = list;
	return err ? err : nr;
}

static int ask_one(const char *run_dir, int pid, struct asked **asked)
{
	int err;

	*asked = malloc(sizeof(**asked));
	if (!*asked)
		return -ENOMEM;
	err = ask(*asked, run_dir, pid);
	if (err)
		return err == -ESRCH ? 0 : err;
	return 1;
}

/* Add the answer of one tapdisk; who does not answer is known by pid only. */
static int add_answer(struct listing *listing, const struct asked *asked,
		      uint64_t deadline_ms)
{
	struct listing_entry silent = { .pid = asked->pid, .minor = -1, .state = -1 };
	struct ctl_msg reply = CTL_MSG_INIT;
	int err = asked->fd < 0 ? -EPIPE : ctl_await(asked->fd, &reply, deadline_ms);

	if (!err)
		err = listing_add_reply(listing, asked->pid, &reply);
	if (err && err != -ENOMEM && err != -ECONNRESET) {
		silent.err = err;
		err = listing_add(listing, &silent);
	}
	ctl_msg_clear(&reply);
	/* One that ended while we waited is no longer there to be shown. */
	return err == -ECONNRESET ? 0 : err;
}

static int compare_asked(const void *a, const void *b)
{
	return ((const struct asked *)a)->pid - ((const struct asked *)b)->pid;
}

int listing_scan(struct listing *listing, const char *run_dir, int pid, int timeout_ms)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;
	CLEANUP_FREE struct asked *asked = NULL;
	CLEANUP_FREE int *minors = NULL;
	int err = 0, i, nr, nr_minors;

	*listing = (struct listing){ 0 };
	/* First, so that a minor attached meanwhile is not called an orphan. */
	nr_minors = marker_list(run_dir, &minors);
	if (nr_minors < 0)
		return nr_minors;
	nr = pid < 0 ? ask_all(run_dir, &asked) : ask_one(run_dir, pid, &asked);
	if (nr < 0)
		return nr;
	if (nr)
		qsort(asked, (size_t)nr, sizeof(*asked), compare_asked);
	for (i = 0; i < nr; i++) {
		if (!err)
			err = add_answer(listing, &asked[i], deadline_ms);
		fd_close(&asked[i].fd);
	}
	return err ? err : listing_add_orphans(listing, minors, nr_minors);
}
