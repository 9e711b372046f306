/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a queue with nothing to do looks again at once, instead of waiting to be
 * woken: that spares guest and host an event, and costs a processor. Only for a while,
 * only where work came soon lately, and not where somebody else wants the processor.
 */
#ifndef VBD_POLLER_H
#define VBD_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct poller {
	uint64_t max_ns;	/* how long; 0: never */
	long (*preempted)(void);	/* how often this thread had to make room, of all time */
	uint64_t idle_ns;	/* since when there was nothing to do; 0: never was work */
	uint64_t gap_ns;	/* how long that lasts as a rule */
	uint64_t looked_ns;	/* when it was looked who wants the processor, */
	long preemptions;	/* and how often that had been so */
	uint64_t pause_ns;	/* no polling until then */
};

void poller_init(struct poller *poller, uint64_t max_ns);

/*
 * At the end of a pass, which found something to do if @worked. True: make another
 * one. @now_ns: clock_ns().
 */
bool poller_again(struct poller *poller, bool worked, uint64_t now_ns);

#endif /* VBD_POLLER_H */
