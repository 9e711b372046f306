/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is kept of a ring that tapdisk serves, so that another tapdisk can go on with it:
 * the journal of its requests, and the files of its arenas, which tell when the pages
 * of a dead one are unmapped.
 */
#ifndef TAPBACK_KEPT_H
#define TAPBACK_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl_msg.h"

struct kept_arena {
	int fd;				/* -1: none */
	uint64_t base;
	uint32_t slots;
	bool stored;			/* by systemd */
};

struct kept {
	int journal;			/* -1: none; the disk is lost with its tapdisk */
	struct kept_arena arenas[CTL_MSG_FDS - 1];
	unsigned int nr_arenas;
	uint32_t domid, devid;		/* whose; systemd keeps it by these numbers */
	bool stored;			/* the journal, by systemd */
};

#define KEPT_INIT(domid_, devid_) { .journal = -1, .domid = (domid_), .devid = (devid_) }

/* A new journal. 0 or -errno, and then there is none. */
int kept_make(struct kept *kept);
/* What a reply to "journal" gives, instead of what was there. 0 or -EINVAL. */
int kept_take(struct kept *kept, struct ctl_msg *reply);
void kept_drop(struct kept *kept);
/* But systemd keeps it for our next start. */
void kept_close(struct kept *kept);
/*
 * Something that it kept until this start: true if it is of @kept, which then owns
 * @fd.
 */
bool kept_load(struct kept *kept, const char *name, int fd);

/* Whether a tapdisk served the ring, and was not told to end. */
bool kept_is_serving(const struct kept *kept);
/* Whether some of the guest's pages are mapped, or held by I/O. */
bool kept_is_in_use(const struct kept *kept);

#endif /* TAPBACK_KEPT_H */
