// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/range_lock.h"

#include <stddef.h>

void range_lock_init(struct range_lock *lock)
{
	*lock = (struct range_lock){ 0 };
	pthread_mutex_init(&lock->mutex, NULL);
}

void range_lock_uninit(struct range_lock *lock)
{
	pthread_mutex_destroy(&lock->mutex);
}

static bool conflict(const struct range *a, const struct range *b)
{
	return (a->exclusive || b->exclusive) && a->start < b->end && b->start < a->end;
}

static void append(struct range_lock *lock, struct range *range)
{
	range->next = NULL;
	range->prev = lock->last;
	if (lock->last)
		lock->last->next = range;
	else
		lock->first = range;
	lock->last = range;
	lock->nr_exclusive += range->exclusive;
}

static void take_out(struct range_lock *lock, struct range *range)
{
	if (range->prev)
		range->prev->next = range->next;
	else
		lock->first = range->next;
	if (range->next)
		range->next->prev = range->prev;
	else
		lock->last = range->prev;
	lock->nr_exclusive -= range->exclusive;
}

bool range_lock(struct range_lock *lock, struct range *range)
{
	const struct range *other;
	bool granted;

	range->blockers = 0;
	range->granted = NULL;
	pthread_mutex_lock(&lock->mutex);
	if (range->exclusive || lock->nr_exclusive)
		for (other = lock->first; other; other = other->next)
			range->blockers += conflict(range, other);
	append(lock, range);
	/* From here on the range may be granted, and gone, at any time. */
	granted = !range->blockers;
	pthread_mutex_unlock(&lock->mutex);
	return granted;
}

struct range *range_unlock(struct range_lock *lock, struct range *range)
{
	struct range *granted = NULL;
	struct range **end = &granted;
	struct range *other;

	pthread_mutex_lock(&lock->mutex);
	if (lock->nr_exclusive) {
		/* Only those behind it ever waited for it. */
		for (other = range->next; other; other = other->next) {
			if (!conflict(range, other) || --other->blockers)
				continue;
			*end = other;
			end = &other->granted;
		}
	}
	take_out(lock, range);
	pthread_mutex_unlock(&lock->mutex);
	return granted;
}
