// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl restart: another tapdisk in place of one that was killed, or is to go. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/marker.h"
#include "cli/reopen.h"
#include "cli/steps.h"
#include "cli/tapdisk_end.h"
#include "ctl/record.h"

#define END_TIMEOUT_MS	10000
#define LEAVE_TIMEOUT_MS	60000	/* what is in flight is finished first */

/* Whether @pid is a tapdisk that has @minor. */
static bool serves(int pid, int minor)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	CLEANUP_CLOSE int fd = ctl_connect(pid);
	int err = fd < 0 ? fd : ctl_request_minor(&request, "info", minor);

	if (!err)
		err = ctl_call(fd, &request, &reply, CLI_TIMEOUT_MS);
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	/* Paused; or it has not come to accept us yet. */
	return !err || err == -EBUSY || fd == -EAGAIN;
}

static int wait_for_marker(int minor)
{
	CLEANUP_CLOSE int fd = marker_open(XENTAP_RUN_DIR, minor);
	int err = fd < 0 ? fd : marker_lock(fd);

	if (err)
		return cli_fail(err, "restart: cannot have minor %d: %s", minor, strerror(-err));
	return 0;
}

#define FORMER_MAX	100u	/* pids that one disk has had; older ones are forgotten */

static int note_pid(struct ctl_msg *record, int pid)
{
	struct json_object *former;
	int64_t before;

	if (ctl_get_int(record, "pid", 1, INT32_MAX, &before))
		return -EBADMSG;
	if (!json_object_object_get_ex(record->json, "former", &former) ||
	    !json_object_is_type(former, json_type_array)) {
		former = json_object_new_array();
		json_object_object_add(record->json, "former", former);
	}
	if (json_object_array_length(former) >= FORMER_MAX)
		json_object_array_del_idx(former, 0, 1);
	json_object_array_add(former, json_object_new_int64(before));
	return ctl_set_int(record, "pid", pid);
}

/*
 * A disk that is to go on: how it was opened, and its image, open before anybody ends, unless
 * it is paused.
 */
struct again {
	struct ctl_msg record;
	bool paused;
	struct opened image;
	struct cli_options options;
};

/* The image stays closed, and in the list. */
static int pause_again(int pid, int minor, const struct ctl_msg *record)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	const char *type, *path;
	int64_t sectors;
	int err = ctl_get_string(record, "type", &type);

	if (!err)
		err = ctl_get_string(record, "path", &path);
	if (!err)
		err = ctl_get_int(record, "sectors", 0, INT64_MAX, &sectors);
	if (!err)
		err = ctl_request_minor(&request, "pause", minor);
	if (!err)
		err = ctl_set_string(&request, "type", type);
	if (!err)
		err = ctl_set_string(&request, "path", path);
	if (!err)
		err = ctl_set_int(&request, "sectors", sectors);
	if (!err)
		err = step_call(pid, &request, &reply, CLI_TIMEOUT_MS, "restart");
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

/* The record then says by whom. Whoever removed it meanwhile wants no disk. */
static int serve_again(int pid, int minor, struct again *disk)
{
	int err = step_attach(pid, minor);

	if (!err)
		err = disk->paused ? pause_again(pid, minor, &disk->record) :
		      step_reopen(pid, minor, "restart", &disk->image, &disk->options);
	if (err)
		return err;
	err = note_pid(&disk->record, pid);
	if (!err)
		err = record_replace(XENTAP_RUN_DIR, minor, &disk->record);
	if (err)
		return cli_fail(err, "restart: cannot note that tapdisk %d has minor %d: %s", pid,
				minor, strerror(-err));
	return 0;
}

/* Have @pid go on where @before, which has ended, stopped. @pid, or -errno. */
static int take_over(int before, int pid, int minor, struct again *disk)
{
	int err = wait_for_marker(minor);

	if (!err) {
		tapdisk_remove_sockets(before, minor);
		err = serve_again(pid, minor, disk);
	}
	if (!err)
		return pid;
	tapdisk_abandon(pid, minor);
	return err;
}

static int replace_killed(int before, int minor, struct again *disk)
{
	int err, pid;

	if (serves(before, minor))
		return before;
	tapdisk_wait_for_end(before, END_TIMEOUT_MS);
	/* Of one that is paused, who copies it meanwhile must not have it change. */
	if (disk->paused)
		err = reopen_wait(&disk->record, "restart");
	else
		err = reopen_image(&disk->record, minor, "restart", &disk->image, &disk->options);
	pid = err ? err : step_spawn();
	return pid < 0 ? pid : take_over(before, pid, minor, disk);
}

/* 0, or -errno, said; -ETIMEDOUT: it is about to. */
static int have_it_leave(int pid)
{
	if (kill(pid, SIGHUP))
		return cli_fail(-errno, "restart: cannot tell tapdisk %d to leave: %m", pid);
	if (!tapdisk_wait_for_end(pid, LEAVE_TIMEOUT_MS))
		return cli_fail(-ETIMEDOUT, "restart: tapdisk %d waits for I/O of its image since %d "
				"seconds; when that is over, tapback starts another one", pid,
				LEAVE_TIMEOUT_MS / 1000);
	return 0;
}

/*
 * The image, and the other tapdisk, are there before the first has to go, which else would
 * be the end of a disk that works.
 */
static int replace_running(int before, int minor, struct again *disk)
{
	int64_t state = 0;
	int err = reopen_state(before, minor, &state, "restart");
	int pid;

	if (!err && state && !reopen_is_paused(&disk->record))
		err = cli_fail(-EBUSY, "restart: minor %d is paused, and its record does not know; "
			       "use tap-ctl unpause first", minor);
	/* The other way round it is old: who was to write it was killed. */
	disk->paused = state;
	if (!state)
		reopen_forget_pause(&disk->record);
	if (!err && !disk->paused)
		err = reopen_image(&disk->record, minor, "restart", &disk->image, &disk->options);
	pid = err ? err : step_spawn();
	if (pid < 0)
		return pid;
	err = reopen_note_failure(before, minor, &disk->record, "restart");
	disk->image.flush_failed = ctl_has(&disk->record, "flush_failed");
	if (!err)
		err = have_it_leave(before);
	if (!err)
		return take_over(before, pid, minor, disk);
	tapdisk_abandon(pid, minor);
	return err;
}

/* The disk of tapdisk @pid: its minor; -ENOENT: it has none. */
static int minor_of(int pid)
{
	struct listing listing = { 0 };
	int err = listing_scan(&listing, XENTAP_RUN_DIR, pid, LISTING_TIMEOUT_MS);
	int minor = -1, silent = 0;
	size_t i;

	for (i = 0; i < listing.nr; i++)
		if (listing.entries[i].pid == pid) {
			minor = listing.entries[i].minor;
			silent = listing.entries[i].err;
		}
	listing_clear(&listing);
	if (silent)
		return cli_fail(silent, "restart: tapdisk %d does not say what it serves: %s", pid,
				strerror(-silent));
	if (!err && minor < 0)
		err = -ENOENT;
	return err ? cli_fail(err, "restart: no tapdisk %d has a disk", pid) : minor;
}

/* @running: the tapdisk that is to go; -1: it was killed. */
static int restart(int running, int minor)
{
	CLEANUP_CLOSE int turn = reopen_turn(minor, "restart");
	struct again disk = { .record = CTL_MSG_INIT, .image.fd = -1 };
	int err = turn < 0 ? turn : reopen_read(minor, &disk.record, "restart");
	int64_t before;
	int pid;

	if (err)
		return err;
	disk.paused = reopen_is_paused(&disk.record);
	if (ctl_get_int(&disk.record, "pid", 1, INT32_MAX, &before))
		pid = cli_fail(-EBADMSG, "restart: the record of minor %d is of no use", minor);
	else if (running == (int)before)
		pid = replace_running(running, minor, &disk);
	else
		/* Somebody else may have replaced it just now. */
		pid = replace_killed((int)before, minor, &disk);
	fd_close(&disk.image.fd);
	ctl_msg_clear(&disk.record);
	return pid;
}

int cmd_restart(const struct cli_options *options)
{
	int minor = options->minor;
	int pid;

	if ((options->minor < 0) == (options->pid < 0))
		return cli_fail(-EINVAL, "restart: give either a pid or a minor number");
	if (minor < 0)
		minor = minor_of(options->pid);
	pid = minor < 0 ? minor : restart(options->pid, minor);
	if (pid < 0)
		return pid;
	printf("%d\n", pid);
	return 0;
}
