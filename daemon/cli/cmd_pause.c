// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-ctl pause, unpause: a disk whose image is closed for a while, to be copied, moved or
 * replaced, and whose guests wait. What is so, tapdisk knows; the record is for who starts
 * another one in its place, and so says beforehand what is asked of tapdisk: should somebody
 * be killed meanwhile, the next tapdisk opens nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/guest_nodes.h"
#include "cli/nbd_socket.h"
#include "cli/reopen.h"
#include "cli/steps.h"
#include "ctl/record.h"
#include "image/lock.h"

#define WHY_MAX	512

/* One command, about one disk. */
struct work {
	const char *what;		/* its name */
	int pid, minor;
	struct ctl_msg record;
	int64_t state;			/* as tapdisk has it */
};

static int note(const struct work *work)
{
	int err = record_replace(XENTAP_RUN_DIR, work->minor, &work->record);

	return err ? cli_fail(err, "%s: cannot write the record of minor %d: %s", work->what,
			      work->minor, strerror(-err)) : 0;
}

/* 0 or -errno, said. */
static int begin(struct work *work, const struct cli_options *options)
{
	int err = reopen_read(options->minor, &work->record, work->what);

	if (err)
		return err;
	work->minor = options->minor;
	work->pid = record_successor(&work->record, options->pid);
	if (work->pid < 0)
		return cli_fail(-ENOENT, "%s: tapdisk %d has no minor %d; see tap-ctl list",
				work->what, options->pid, options->minor);
	return reopen_state(work->pid, work->minor, &work->state, work->what);
}

/* ---- pause ---- */

/* The next tapdisk cannot ask for the size that guests know. */
static int note_pause(struct work *work)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int64_t sectors = 0;
	int err = step_call_minor(work->pid, "info", work->minor, &reply, CLI_TIMEOUT_MS,
				  work->what);

	if (!err && ctl_get_int(&reply, "sectors", 0, INT64_MAX, &sectors))
		err = cli_fail(-EPROTO, "%s: the answer of tapdisk %d names no size", work->what,
			       work->pid);
	ctl_msg_clear(&reply);
	if (!err)
		err = reopen_note_pause(&work->record, sectors);
	return err ? err : note(work);
}

static int ask_to_pause(struct work *work, int timeout_ms)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	bool uncertain = false;
	int err = ctl_request_minor(&request, "pause", work->minor);

	if (!err)
		err = step_ask(work->pid, &request, &reply, timeout_ms, work->what, &uncertain);
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	if (uncertain) {
		log_warning("pause: the disk is paused as soon as I/O of its image is over; "
			    "tap-ctl unpause undoes that then");
	} else if (err && !work->state) {
		/* Else it stays as somebody before us has noted. */
		reopen_forget_pause(&work->record);
		note(work);
	}
	return err;
}

static int pause_disk(struct work *work, int timeout_ms)
{
	int err = work->state == CTL_STATE_PAUSED ? 0 : note_pause(work);

	if (!err)
		err = ask_to_pause(work, timeout_ms);
	if (err)
		return err;
	nbd_socket_remove(XENTAP_RUN_DIR, work->pid, work->minor);
	err = reopen_note_failure(work->pid, work->minor, &work->record, work->what);
	if (!err)
		err = reopen_note_quiet(&work->record);
	return err ? err : note(work);
}

int cmd_pause(const struct cli_options *options)
{
	struct work work = { .what = "pause", .record = CTL_MSG_INIT };
	CLEANUP_CLOSE int turn = reopen_turn(options->minor, work.what);
	int err = turn < 0 ? turn : begin(&work, options);

	if (!err)
		err = pause_disk(&work, cli_drain_timeout(options));
	ctl_msg_clear(&work.record);
	return err;
}

/* ---- unpause ---- */

/* Another image from now on. */
static int set_image(struct work *work, const char *text)
{
	char type[IMAGE_TYPE_MAX], why[WHY_MAX];
	const char *path;
	int err = image_split(text, type, &path, why, sizeof(why));

	if (err)
		return cli_fail(err, "%s: %s", work->what, why);
	err = ctl_set_string(&work->record, "type", type);
	return err ? err : ctl_set_string(&work->record, "path", path);
}

/* The image is open: a tapdisk that has no record any more was to end meanwhile. */
static int note_end(struct work *work)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int err;

	reopen_forget_pause(&work->record);
	err = note(work);
	if (err == -ENOENT)
		step_call_minor(work->pid, "close", work->minor, &reply, CLI_DRAIN_TIMEOUT_MS,
				work->what);
	ctl_msg_clear(&reply);
	return err;
}

/* Options stay, which may stand in braces before the path (block-xentap(7)). */
static int rename_node(struct xs_handle *xs, const char *dir, const void *context)
{
	CLEANUP_FREE char *path = NULL, *before = NULL, *params = NULL;
	const struct work *work = context;
	const char *type, *image, *options = NULL;
	unsigned int len;

	if (ctl_get_string(&work->record, "type", &type) ||
	    ctl_get_string(&work->record, "path", &image) ||
	    asprintf(&path, "%s/params", dir) < 0)
		return -ENOMEM;
	before = xs_read(xs, XBT_NULL, path, &len);
	if (before)
		options = strstr(before, ":{");
	len = options && strchr(options, '}') ?
	      (unsigned int)(strchr(options, '}') - options) : 0;
	if (asprintf(&params, "%s:%.*s%s", type, (int)len, len ? options + 1 : "", image) < 0)
		return -ENOMEM;
	return guest_node_write(xs, dir, "params", params);
}

/* By these the hotplug script knows who has an image. */
static void rename_nodes(const struct work *work)
{
	int err = guest_nodes_visit(work->pid, work->minor, rename_node, work);

	/* Without xenstore there is no guest. */
	if (err && err != -ENOENT)
		log_warning("unpause: xenstore still names the image before: %s", strerror(-err));
}

/*
 * Which image it is to be is noted before: the guest writes to that as soon as it is open, and
 * must never have the one before again.
 */
static int open_image(struct work *work, const char *text)
{
	struct ctl_msg before = CTL_MSG_INIT;
	struct opened image = { .fd = -1, .unpause = true };
	struct cli_options options;
	int err = record_read(XENTAP_RUN_DIR, work->minor, &before);

	/* One that came while the pause was waited for by nobody any more. */
	if (!err)
		err = reopen_note_failure(work->pid, work->minor, &work->record, work->what);
	if (!err && text)
		err = set_image(work, text);
	if (!err)
		err = reopen_image(&work->record, work->minor, work->what, &image, &options);
	if (!err && image_lock(image.fd, image.readonly) == -EBUSY)
		err = cli_fail(-EBUSY, "%s: image %s is in use by another disk, or by I/O of the "
			       "tapdisk that had it", work->what, image.path);
	if (!err)
		err = reopen_note_file(&work->record, image.fd);
	if (!err)
		err = note(work);
	if (!err) {
		err = step_reopen(work->pid, work->minor, work->what, &image, &options);
		if (err && !image.uncertain)
			record_replace(XENTAP_RUN_DIR, work->minor, &before);
	}
	fd_close(&image.fd);
	ctl_msg_clear(&before);
	if (!err)
		err = note_end(work);
	if (!err && text)
		rename_nodes(work);
	return err;
}

static int unpause(struct work *work, const char *image)
{
	if (work->state == CTL_STATE_PAUSED)
		return open_image(work, image);
	if (work->state)
		return cli_fail(-EBUSY, "unpause: minor %d is still about to be paused, since its "
				"I/O is not over", work->minor);
	/* Somebody who was to note the end of a pause did not come to it. */
	if (reopen_is_paused(&work->record) && !image)
		return note_end(work);
	return cli_fail(-EINVAL, "unpause: minor %d is not paused", work->minor);
}

int cmd_unpause(const struct cli_options *options)
{
	struct work work = { .what = "unpause", .record = CTL_MSG_INIT };
	CLEANUP_CLOSE int turn = reopen_turn(options->minor, work.what);
	int err = turn < 0 ? turn : begin(&work, options);

	if (!err)
		err = unpause(&work, options->image);
	ctl_msg_clear(&work.record);
	return err;
}
