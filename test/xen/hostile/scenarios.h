/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HOSTILE_SCENARIOS_H
#define HOSTILE_SCENARIOS_H

#include "frontend.h"

struct scenario {
	const char *name;
	const char *inputs;	/* their numbers in test/hostile.md */
	void (*run)(struct front *front);
	enum {
		SERVED,		/* begins connected, and the ring is served after it */
		SPOILT,		/* begins connected, and needs a new ring after it */
		UNCONNECTED,	/* connects by itself, or not at all */
		ENDLESS,	/* begins connected, and goes on until it is told to stop */
	} kind;
};

/* Each list ends with an entry without a name. */
extern const struct scenario request_scenarios[];	/* requests.c */
extern const struct scenario grant_scenarios[];		/* grants.c */
extern const struct scenario connect_scenarios[];	/* connect.c */
extern const struct scenario flood_scenarios[];		/* floods.c */

#endif /* HOSTILE_SCENARIOS_H */
