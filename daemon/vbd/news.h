/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells home that a queue's numbers may have changed, half a second after the first pass
 * that home does not know of: never more often than that, not at all while the queue is
 * idle, and never too early for the last change. For the queue's own thread; to a pass
 * it costs a look at that thread's memory.
 */
#ifndef VBD_NEWS_H
#define VBD_NEWS_H

#include <stdatomic.h>

#include "loop/worker.h"
#include "vbd/vbd.h"

struct news {
	struct worker *worker, *home;
	struct timer due;		/* started: there was a pass since it was last due */
	struct note note;
	atomic_bool sent;		/* the note is on its way */
	/* At home; NULL: nobody wants to know. */
	void (*changed)(void *context);
	void *context;
};

void news_init(struct news *news, const struct vbd_config *config, struct worker *worker,
	       struct worker *home);
/* From now on nothing is sent. What was is heard before anything that @worker sends later. */
void news_stop(struct news *news);

void news_begin(struct news *news);

/* There is a pass. */
static inline void news_note(struct news *news)
{
	if (news->changed && !news->due.started)
		news_begin(news);
}

#endif /* VBD_NEWS_H */
