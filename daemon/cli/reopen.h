/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An image's record (ctl/record.h): how it was opened, and the same once more. */
#ifndef CLI_REOPEN_H
#define CLI_REOPEN_H

#include "cli/cli.h"
#include "cli/image_file.h"
#include "ctl/ctl_msg.h"

/* Into an empty @record, to be cleared in any case. 0 or -errno. */
int reopen_describe(struct ctl_msg *record, int pid, const struct opened *image,
		    const struct cli_options *options);

/*
 * Open the image of @record, if it is the same one, and say in @options what "open" was
 * told; texts stay @record's. 0 or -errno, said; -ESTALE: it is another one. Then filters'
 * files can be opened as well. image->fd is the caller's in any case. The disk may still be
 * another tapdisk's: nothing is taken from it.
 */
int reopen_image(const struct ctl_msg *record, int minor, struct opened *image,
		 struct cli_options *options);

/*
 * Lock it. The dead tapdisk's lock lasts as long as its I/O: that is waited for. 0 also
 * where there are no locks; or -EBUSY, said.
 */
int reopen_lock(const struct opened *image);

#endif /* CLI_REOPEN_H */
