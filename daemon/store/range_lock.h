/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks on ranges of bytes, for changes that must not meet: exclusive ones
 * exclude all that overlap, shared ones only the exclusive. Whoever comes first
 * goes first. Nobody waits in a call: a range that is not granted at once is
 * handed out by the range_unlock() that makes room for it. Any thread.
 */
#ifndef STORE_RANGE_LOCK_H
#define STORE_RANGE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Part of what wants the range. The caller sets the first three. */
struct range {
	uint64_t start;
	uint64_t end;			/* the first byte behind it */
	bool exclusive;
	unsigned int blockers;		/* of those before it; 0: granted */
	struct range *prev;
	struct range *next;		/* in the order they came */
	struct range *granted;		/* see range_unlock() */
};

struct range_lock {
	pthread_mutex_t mutex;
	struct range *first;
	struct range *last;
	unsigned int nr_exclusive;	/* without any, nobody looks at the list */
};

void range_lock_init(struct range_lock *lock);
void range_lock_uninit(struct range_lock *lock);

/* True: granted. False: some range_unlock() will return it. */
bool range_lock(struct range_lock *lock, struct range *range);

/*
 * Give @range back, which was granted. The ranges that are granted by this are
 * returned, chained by their member granted; NULL for none.
 */
struct range *range_unlock(struct range_lock *lock, struct range *range);

#endif /* STORE_RANGE_LOCK_H */
