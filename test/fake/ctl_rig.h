/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tapdisk in this process, as its control socket shows it: the real server, commands
 * and disk on a small image, over a guest in memory. What must not fail ends the program.
 */
#ifndef FAKE_CTL_RIG_H
#define FAKE_CTL_RIG_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "fake/xenio_fake.h"
#include "tapdisk/commands.h"

#define CTL_RIG_IMAGE_BYTES	4096u	/* too small for a journal */

struct ctl_rig {
	struct loop loop;
	struct tapdisk tapdisk;
	struct server *server;		/* NULL: this tapdisk has ended */
	struct fake_guest guest;	/* of any number; all of its pages may be written */
	int image_fd;			/* buffered */
	struct sockaddr_un address;
	socklen_t address_bytes;
};

/* Who the other end of each socket is: 0 in the beginning, whoever runs the test; -1: true. */
extern uid_t ctl_rig_peer;

/* Ends the program with 77 where the current folder's file system has no O_DIRECT. */
void ctl_rig_init(struct ctl_rig *rig);
void ctl_rig_uninit(struct ctl_rig *rig);

/* A process begins, and an image that is zeros. */
void ctl_rig_start(struct ctl_rig *rig);
/* One round of its loop, at most @timeout_ms long, and its end if it is to end. */
void ctl_rig_turn(struct ctl_rig *rig, int timeout_ms);
/* As SIGTERM has it end, at once or in later turns. */
void ctl_rig_tell_to_end(struct ctl_rig *rig);

/* A client's end of a new connection, which does not wait. */
int ctl_rig_connect(const struct ctl_rig *rig);
/* The image, opened once more. */
int ctl_rig_image(const struct ctl_rig *rig, int flags);
/* Descriptors that this process has. */
unsigned int ctl_rig_count_fds(void);

#endif /* FAKE_CTL_RIG_H */
