/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much a frontend may have us do for nothing: requests that are refused, events
 * without a request. Some at once, and then at most a hundred a second; after more
 * than that its queue has a rest, for the processor's time is other guests', too. Each
 * request that went well earns one more: a frontend may be clumsy, and notify too often.
 */
#ifndef VBD_PATIENCE_H
#define VBD_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/timers.h"

struct patience {
	uint64_t spent_ns;	/* what was spent is earned again then; 0: all is saved */
	struct timer rest;
};

/* @rested is called when a rest is over. */
void patience_init(struct patience *patience, void (*rested)(struct timer *rest));
/* Something was for nothing. */
void patience_spend(struct patience *patience);
/* @nr requests went well. */
void patience_earn(struct patience *patience, uint32_t nr);
/* It is time for a rest, which begins, or has begun. */
bool patience_is_over(struct patience *patience, struct timers *timers);
void patience_stop(struct patience *patience, struct timers *timers);

static inline bool patience_rests(const struct patience *patience)
{
	return patience->rest.started;
}

#endif /* VBD_PATIENCE_H */
