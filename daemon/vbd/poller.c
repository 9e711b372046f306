// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/poller.h"

#include <stddef.h>
#include <sys/resource.h>

#define GAP_SHIFT	3u		/* a new gap counts an eighth */
#define GAP_MAX		16u		/* times max_ns: longer ones are all alike */
#define LOOK_NS		1000000u	/* between looks at preemptions */
#define PAUSE_NS	100000000u	/* when there was one */

static long preempted(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

void poller_init(struct poller *poller, uint64_t max_ns)
{
	*poller = (struct poller){ .max_ns = max_ns, .preempted = preempted };
}

static void note_gap(struct poller *poller, uint64_t gap_ns)
{
	uint64_t most_ns = poller->max_ns * GAP_MAX;

	if (gap_ns > most_ns)
		gap_ns = most_ns;
	poller->gap_ns += (gap_ns >> GAP_SHIFT) - (poller->gap_ns >> GAP_SHIFT);
}

static bool is_wanted(struct poller *poller, uint64_t now_ns)
{
	long before = poller->preemptions;

	if (now_ns < poller->pause_ns)
		return true;
	if (now_ns - poller->looked_ns < LOOK_NS)
		return false;
	poller->preemptions = poller->preempted();
	/* What was before the first look says nothing. */
	if (poller->looked_ns && poller->preemptions != before)
		poller->pause_ns = now_ns + PAUSE_NS;
	poller->looked_ns = now_ns;
	return now_ns < poller->pause_ns;
}

bool poller_again(struct poller *poller, bool worked, uint64_t now_ns)
{
	if (!poller->max_ns)
		return false;
	if (worked) {
		if (poller->idle_ns)
			note_gap(poller, now_ns - poller->idle_ns);
		poller->idle_ns = now_ns;
	}
	return poller->idle_ns && poller->gap_ns <= poller->max_ns &&
	       now_ns - poller->idle_ns < poller->max_ns && !is_wanted(poller, now_ns);
}
