/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the control protocol (tapdisk/ctl_proto.h). */
#ifndef TAPDISK_COMMANDS_H
#define TAPDISK_COMMANDS_H

#include "ctl/ctl_msg.h"
#include "loop/loop.h"
#include "tapdisk/disk.h"
#include "tapdisk/server.h"

#define TAPDISK_CLOSERS_MAX 8u

/* A tapdisk serves one disk; none before "attach". */
struct tapdisk {
	struct loop *loop;
	struct disk *disk;
	struct disk_options options;	/* unless "open" says otherwise */
	bool stopping;		/* no new disk, no new frontend */
	struct client *closers[TAPDISK_CLOSERS_MAX];	/* who wait for the image to be closed */
	unsigned int nr_closers;
	bool leaving;		/* since another one takes its place */
	const char *const *filters;	/* of the command line */
	unsigned int nr_filters;
};

/* A server_handler; @context is a struct tapdisk. */
bool commands_handle(void *context, struct client *client, struct ctl_msg *request,
		     struct ctl_msg *reply);

#endif /* TAPDISK_COMMANDS_H */
