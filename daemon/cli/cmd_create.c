// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl create, destroy: the steps put together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/marker.h"
#include "cli/nbd_socket.h"
#include "cli/steps.h"
#include "cli/tapdisk_end.h"
#include "ctl/record.h"

#define WHY_MAX			512
#define FIND_TIMEOUT_MS		2000	/* one that hangs is none that is named */

/* A tapdisk that just ended may hold its marker's lock a moment longer. */
#define UNLOCK_TIMEOUT_MS	5000
#define UNLOCK_PAUSE_MS		20

/* marker_free(), but wait for a lock that is about to go. */
static int free_when_unlocked(int minor)
{
	const struct timespec pause = { .tv_nsec = UNLOCK_PAUSE_MS * 1000000L };
	uint64_t deadline_ms = clock_ms() + UNLOCK_TIMEOUT_MS;
	int err;

	while ((err = marker_free(XENTAP_RUN_DIR, minor)) == -EWOULDBLOCK &&
	       clock_ms() < deadline_ms)
		nanosleep(&pause, NULL);
	return err;
}

int step_create(const struct cli_options *options, int *pid, int *minor)
{
	int err;

	*minor = step_allocate();
	if (*minor < 0)
		return *minor;
	*pid = step_spawn();
	if (*pid < 0) {
		err = *pid;
		goto err_free;
	}
	err = step_attach(*pid, *minor);
	if (!err)
		err = step_open(*pid, *minor, options);
	if (err)
		goto err_end_tapdisk;
	return 0;

err_end_tapdisk:
	tapdisk_abandon(*pid, *minor);
err_free:
	record_remove(XENTAP_RUN_DIR, *minor);
	free_when_unlocked(*minor);
	*pid = *minor = -1;
	return err;
}

int cmd_create(const struct cli_options *options)
{
	int err, pid, minor;

	err = step_create(options, &pid, &minor);
	if (!err)
		step_print_marker(minor);
	return err;
}

/*
 * Close and detach. 0 also when there is nothing to be closed any more: the
 * tapdisk ended or was killed, and with it went everything it held. Else -errno, and what
 * it said first, if it did, in @why.
 */
static int close_and_detach(int fd, int minor, int timeout_ms, char *why, size_t why_size)
{
	static const char *const steps[] = { "close", "detach" };
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	int err = 0;
	size_t i;

	*why = '\0';
	for (i = 0; i < 2 && !err; i++) {
		err = ctl_request_minor(&request, steps[i], minor);
		if (!err)
			err = ctl_call(fd, &request, &reply, timeout_ms);
		if (err && reply.json && !*why)
			snprintf(why, why_size, "%s", ctl_reply_sentence(&reply));
		/* What cannot be closed was perhaps never opened: detach knows. */
		if (i == 0 && err && reply.json)
			err = 0;
		ctl_msg_clear(&request);
		ctl_msg_clear(&reply);
	}
	return err == -ECONNRESET || err == -EPIPE ? 0 : err;
}

/* The same, with what is wrong said; and it has ended then. */
static int end_disk(int fd, int pid, const struct cli_options *options)
{
	char why[WHY_MAX];
	int err = close_and_detach(fd, options->minor, cli_drain_timeout(options), why,
				   sizeof(why));

	if (err == -ENOENT)
		return cli_fail(err, "destroy: tapdisk %d has no minor %d; see tap-ctl list", pid,
				options->minor);
	if (err)
		return cli_fail(err, "destroy: tapdisk %d does not let go of minor %d: %s", pid,
				options->minor, *why ? why : strerror(-err));
	if (tapdisk_wait_for_end(pid, TAPDISK_END_TIMEOUT_MS))
		tapdisk_remove_sockets(pid, options->minor);
	return 0;
}

/* Of a disk that @pid had, if that had it. */
static int free_marker(int pid, int minor)
{
	int err = marker_free(XENTAP_RUN_DIR, minor);
	int holder = err == -EWOULDBLOCK ? step_find_tapdisk(minor, FIND_TIMEOUT_MS) : pid;

	if (holder > 0 && holder != pid)
		return cli_fail(-EBUSY, "destroy: minor %d belongs to tapdisk %d, not to %d", minor,
				holder, pid);
	if (err == -EWOULDBLOCK)
		err = free_when_unlocked(minor);
	/* A minor that is nobody's has no disk. */
	if (!err)
		record_remove(XENTAP_RUN_DIR, minor);
	if (err && err != -ENOENT)
		return cli_fail(err, "destroy: cannot remove the marker of minor %d: %s", minor,
				strerror(-err));
	return 0;
}

int cmd_destroy(const struct cli_options *options)
{
	int pid = step_forget(options->pid, options->minor);
	int fd = ctl_connect(pid);
	int err = 0;

	if (fd >= 0) {
		err = end_disk(fd, pid, options);
		close(fd);
	} else if (fd != -ESRCH) {
		err = cli_fail(fd, "destroy: cannot connect to tapdisk %d: %s", pid,
			       strerror(-fd));
	}
	if (err)
		return err;
	nbd_socket_remove(XENTAP_RUN_DIR, pid, options->minor);
	return free_marker(pid, options->minor);
}
