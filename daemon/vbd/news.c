// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/news.h"

#include <stddef.h>

#include "base/clock.h"

#define DELAY_NS	500000000ull	/* half of what is a moment to people who look at it */

/* A note must not be sent twice; home, when it comes to it, may have missed the last pass. */
static void tell(struct timer *due)
{
	struct news *news = (struct news *)((char *)due - offsetof(struct news, due));

	if (atomic_exchange(&news->sent, true))
		news_begin(news);
	else
		worker_send(news->home, &news->note);
}

/* What changes from here on is sent once more. */
static void hear(struct note *note)
{
	struct news *news = (struct news *)((char *)note - offsetof(struct news, note));

	atomic_store(&news->sent, false);
	news->changed(news->context);
}

void news_init(struct news *news, const struct vbd_config *config, struct worker *worker,
	       struct worker *home)
{
	*news = (struct news){
		.worker = worker,
		.home = home,
		.due = { .run = tell },
		.note = { .run = hear },
		.changed = config->changed,
		.context = config->changed_context,
	};
}

void news_begin(struct news *news)
{
	timer_start(&news->worker->timers, &news->due, clock_ns() + DELAY_NS);
}

void news_stop(struct news *news)
{
	timer_stop(&news->worker->timers, &news->due);
}
