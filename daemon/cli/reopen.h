/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image's record (ctl/record.h): how it was opened, and the same once more. @what is the
 * command, for messages.
 */
#ifndef CLI_REOPEN_H
#define CLI_REOPEN_H

#include "cli/cli.h"
#include "cli/image_file.h"
#include "ctl/ctl_msg.h"

/* Into an empty @record, to be cleared in any case. 0 or -errno. */
int reopen_describe(struct ctl_msg *record, int pid, const struct opened *image,
		    const struct cli_options *options);

/*
 * One at a time for a minor, which several guests may ask for. A descriptor, to be closed
 * when that is over, or -errno, said.
 */
int reopen_turn(int minor, const char *what);

/* How the image of @minor was opened. 0 or -errno, said. */
int reopen_read(int minor, struct ctl_msg *record, const char *what);

/*
 * A guest's journal says whether a flush has failed. Without a guest tapdisk @pid alone knows:
 * ask it, and note that. 0 or -errno.
 */
int reopen_note_failure(int pid, int minor, struct ctl_msg *record, const char *what);

/* Note which file @fd is. 0 or -errno. */
int reopen_note_file(struct ctl_msg *record, int fd);

/* Whether it says that the image is closed until "unpause". */
bool reopen_is_paused(const struct ctl_msg *record);
/* Have it say so, or not. 0 or -ENOMEM. */
int reopen_note_pause(struct ctl_msg *record, int64_t sectors);
void reopen_forget_pause(struct ctl_msg *record);
/* And that all I/O of the image has ended. 0 or -ENOMEM. */
int reopen_note_quiet(struct ctl_msg *record);

/* What tapdisk @pid itself says: 0 or CTL_STATE_*. 0 or -errno, said. */
int reopen_state(int pid, int minor, int64_t *state, const char *what);

/*
 * Open the image of @record, if it is the same one (with image->unpause, whatever is at its
 * path), and say in @options what "open" was told; texts stay @record's. 0 or -errno, said;
 * -ESTALE: it is another one. Then filters' files can be opened as well. image->fd is the
 * caller's in any case. The disk may still be another tapdisk's: nothing is taken from it.
 */
int reopen_image(const struct ctl_msg *record, int minor, const char *what,
		 struct opened *image, struct cli_options *options);

/*
 * Lock it. The dead tapdisk's lock lasts as long as its I/O: that is waited for. 0 also
 * where there are no locks; or -EBUSY, said.
 */
int reopen_lock(const struct opened *image, const char *what);

/*
 * Wait, if need be, until no I/O of a dead tapdisk has the image of @record, which says that
 * the disk is paused, and note that. 0, or -EBUSY, said.
 */
int reopen_wait(struct ctl_msg *record, const char *what);

#endif /* CLI_REOPEN_H */
