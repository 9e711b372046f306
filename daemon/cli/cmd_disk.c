// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl attach, detach, close, stats: one exchange with one tapdisk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/listing.h"
#include "cli/marker.h"
#include "cli/nbd_socket.h"
#include "cli/steps.h"
#include "ctl/record.h"

/* tapdisk's sentence may begin with @what by itself, as a filter's do. */
static void say_reply(const char *what, const char *sentence)
{
	size_t length = strlen(what);

	if (!strncmp(sentence, what, length) && !strncmp(sentence + length, ": ", 2))
		log_error("%s", sentence);
	else
		log_error("%s: %s", what, sentence);
}

/* The sentence for an exchange that ended with @err. */
static void say_call_failed(int err, int pid, const char *what, int timeout_ms,
			    const struct ctl_msg *reply)
{
	if (reply->json)
		say_reply(what, ctl_reply_sentence(reply));
	else if (err == -ETIMEDOUT)
		log_error("%s: tapdisk %d did not answer within %d seconds; "
			  "see journalctl _PID=%d", what, pid, timeout_ms / 1000, pid);
	else if (err == -ECONNRESET || err == -EPIPE)
		log_error("%s: tapdisk %d ended before it answered; see journalctl _PID=%d and, "
			  "for how it ended, journalctl -u 'tapdisk@*'", what, pid, pid);
	else
		log_error("%s: cannot talk to tapdisk %d: %s", what, pid, strerror(-err));
}

int step_find_tapdisk(int minor, int timeout_ms)
{
	struct listing listing;
	int err = listing_scan(&listing, XENTAP_RUN_DIR, -1, timeout_ms);
	int pid = listing_pid_of(&listing, minor);

	listing_say_silent(&listing);
	listing_clear(&listing);
	if (err)
		return err;
	return pid ? pid : -ENOENT;
}

int step_connect(int pid, const char *what)
{
	int fd = ctl_connect(pid);

	if (fd == -ESRCH)
		return cli_fail(fd, "%s: there is no tapdisk with pid %d; see tap-ctl list",
				what, pid);
	if (fd < 0)
		return cli_fail(fd, "%s: cannot connect to tapdisk %d: %s", what, pid,
				strerror(-fd));
	return fd;
}

int step_ask(int pid, const struct ctl_msg *request, struct ctl_msg *reply, int timeout_ms,
	     const char *what, bool *uncertain)
{
	CLEANUP_CLOSE int fd = step_connect(pid, what);
	int err;

	*uncertain = false;
	if (fd < 0)
		return fd;
	err = ctl_call(fd, request, reply, timeout_ms);
	if (err) {
		*uncertain = !reply->json;
		say_call_failed(err, pid, what, timeout_ms, reply);
		ctl_msg_clear(reply);
	}
	return err;
}

int step_call(int pid, const struct ctl_msg *request, struct ctl_msg *reply,
	      int timeout_ms, const char *what)
{
	bool uncertain;

	return step_ask(pid, request, reply, timeout_ms, what, &uncertain);
}

int step_call_minor(int pid, const char *cmd, int minor, struct ctl_msg *reply,
		    int timeout_ms, const char *what)
{
	struct ctl_msg request = CTL_MSG_INIT;
	int err;

	err = ctl_request_minor(&request, cmd, minor);
	if (!err)
		err = step_call(pid, &request, reply, timeout_ms, what);
	ctl_msg_clear(&request);
	return err;
}

int step_attach(int pid, int minor)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	CLEANUP_CLOSE int marker = marker_open(XENTAP_RUN_DIR, minor);
	int err;

	if (marker < 0)
		return cli_fail(marker,
				"attach: minor %d is not allocated (%s); use tap-ctl allocate",
				minor, strerror(-marker));
	err = ctl_request_minor(&request, "attach", minor);
	if (!err) {
		request.fds[request.nr_fds++] = fd_take(&marker);
		err = step_call(pid, &request, &reply, CLI_TIMEOUT_MS, "attach");
	}
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int cmd_attach(const struct cli_options *options)
{
	return step_attach(options->pid, options->minor);
}

int step_forget(int pid, int minor)
{
	struct ctl_msg record = CTL_MSG_INIT;
	int now = record_read(XENTAP_RUN_DIR, minor, &record);

	if (!now)
		now = record_successor(&record, pid);
	if (now > 0)
		record_remove(XENTAP_RUN_DIR, minor);
	ctl_msg_clear(&record);
	return now > 0 ? now : pid;
}

/* A request that is to end it, and whose reply says nothing but yes or no. */
static int end_by(const char *cmd, int pid, const struct cli_options *options)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int err = step_call_minor(pid, cmd, options->minor, &reply, cli_drain_timeout(options),
				  cmd);

	ctl_msg_clear(&reply);
	return err;
}

int cmd_detach(const struct cli_options *options)
{
	return end_by("detach", step_forget(options->pid, options->minor), options);
}

int cmd_close(const struct cli_options *options)
{
	int pid = step_forget(options->pid, options->minor);
	int err = end_by("close", pid, options);

	if (!err)
		nbd_socket_remove(XENTAP_RUN_DIR, pid, options->minor);
	return err;
}

int cmd_limit(const struct cli_options *options)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	int err;

	if (options->nr_args != 1)
		return cli_fail(-EINVAL, "limit: one argument says the limits, as in "
				"iops=500,bps=50M; 0 is none");
	err = ctl_request_minor(&request, "limit", options->minor);
	if (!err)
		err = ctl_set_string(&request, "options", options->args[0]);
	if (!err)
		err = step_call(options->pid, &request, &reply, CLI_TIMEOUT_MS, "limit");
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int cmd_stats(const struct cli_options *options)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	struct json_object *stats;
	int err;

	err = step_call_minor(options->pid, "stats", options->minor, &reply,
			      CLI_TIMEOUT_MS, "stats");
	if (!err && !json_object_object_get_ex(reply.json, "stats", &stats))
		err = cli_fail(-EPROTO, "stats: the answer of tapdisk %d holds no counters",
			       options->pid);
	if (!err)
		json_print(stdout, stats);
	ctl_msg_clear(&reply);
	return err;
}
