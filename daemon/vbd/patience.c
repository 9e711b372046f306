// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/patience.h"

#include "base/clock.h"

#define EARN_NS		10000000ull	/* for one that is for nothing */
#define SAVED_MAX	128u		/* of them; a full ring, and some */
#define OWED_MAX	64u		/* of them; what is beyond a rest of 640 ms is forgiven */
#define REST_MIN_NS	100000000ull	/* a wake-up costs more than what it is for */

void patience_init(struct patience *patience, void (*rested)(struct timer *rest))
{
	*patience = (struct patience){ .rest = { .run = rested } };
}

/* @ns more are owed, or less. */
static void owe(struct patience *patience, int64_t ns)
{
	const int64_t least = -(int64_t)(SAVED_MAX * EARN_NS), most = (int64_t)(OWED_MAX * EARN_NS);
	uint64_t now = clock_ns();
	/* Signed, since the clock counts from the boot, which may be less long ago. */
	int64_t owed = patience->spent_ns ? (int64_t)(patience->spent_ns - now) : least;

	owed = (owed < least ? least : owed) + ns;
	owed = owed > most ? most : owed;
	patience->spent_ns = owed <= least ? 0 : now + (uint64_t)owed;
}

void patience_spend(struct patience *patience)
{
	owe(patience, (int64_t)EARN_NS);
}

void patience_earn(struct patience *patience, uint32_t nr)
{
	/* Who wastes nothing costs no look at the clock. */
	if (patience->spent_ns)
		owe(patience, -(int64_t)(nr * EARN_NS));
}

bool patience_is_over(struct patience *patience, struct timers *timers)
{
	uint64_t now, due;

	if (patience->rest.started)
		return true;
	if (!patience->spent_ns)
		return false;
	now = clock_ns();
	if ((int64_t)(patience->spent_ns - now) <= 0)
		return false;
	/* It earns no more than what was owed, or the next rest would not come at once. */
	due = now + REST_MIN_NS;
	if (patience->spent_ns < due)
		patience->spent_ns = due;
	timer_start(timers, &patience->rest, patience->spent_ns);
	return true;
}

void patience_stop(struct patience *patience, struct timers *timers)
{
	timer_stop(timers, &patience->rest);
}
