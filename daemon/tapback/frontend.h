/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a frontend says about its ring. Every byte is the guest's: only known
 * names are read, numbers are parsed strictly, and no text of the guest goes
 * anywhere else.
 */
#ifndef TAPBACK_FRONTEND_H
#define TAPBACK_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What we offer, and the most that a frontend may choose. */
#define RING_PAGE_ORDER_MAX	4
#define RING_PAGES_MAX		(1u << RING_PAGE_ORDER_MAX)

#define QUEUES_MAX		8u
#define INDIRECT_SEGMENTS_MAX	256	/* as in tapdisk */

struct frontend_queue {
	uint32_t grefs[RING_PAGES_MAX];
	uint32_t port;			/* event channel, not 0 */
};

struct frontend_ring {
	struct frontend_queue queues[QUEUES_MAX];
	unsigned int nr_queues;
	unsigned int nr_grefs;		/* of each queue; a power of two */
	const char *protocol;		/* as in "connect" of ctl_proto.h */
	bool persistent;		/* it will use its grants again */
};

/*
 * Reads node @name of the frontend's directory: 0 with *@text to be freed,
 * -ENOENT, or another -errno. Text that holds a NUL byte is -EINVAL.
 */
typedef int (*frontend_reader)(void *context, const char *name, char **text);

/*
 * Collect the rings' description, of at most @max_queues. 0; -EINVAL with one sentence in @why (of
 * @why_size bytes); or the error of @read, which is not the guest's fault.
 */
int frontend_read_ring(frontend_reader read, void *context, unsigned int max_queues,
		       struct frontend_ring *ring, char *why, size_t why_size);

#endif /* TAPBACK_FRONTEND_H */
