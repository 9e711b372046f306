// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs in a guest, on a disk that has no driver there: does what no driver does, and
 * checks what comes back.
 *
 * usage: hostile-frontend DIRECTORY SCENARIO
 *        hostile-frontend                      prints the names of scenarios
 *
 * DIRECTORY is the frontend's, such as device/vbd/51712. Before and after each
 * scenario the disk must do as a good frontend asks. Prints "ok: SCENARIO", or what is
 * wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "scenarios.h"

static const struct scenario *const lists[] = {
	request_scenarios, grant_scenarios, connect_scenarios, flood_scenarios,
};

#define NR_LISTS (sizeof(lists) / sizeof(lists[0]))

/* Those without end are for whoever knows them. */
static void print_names(void)
{
	for (size_t i = 0; i < NR_LISTS; i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			if (s->kind != ENDLESS)
				puts(s->name);
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < NR_LISTS; i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	die("there is no scenario %s", name);
}

/*
 * Says in the node "flood" that it has begun, since connecting is no part of it, and ends
 * when there is a node "stop", which it looks for once a second.
 */
static void run_until_told(struct front *front, const struct scenario *scenario)
{
	time_t looked = 0;

	node_remove(front, "stop");
	node_print(front, "flood", "%s", scenario->name);
	for (;;) {
		scenario->run(front);
		if (time(NULL) == looked)
			continue;
		looked = time(NULL);
		if (node_exists(front, "stop"))
			break;
	}
	node_remove(front, "flood");
}

int main(int argc, char **argv)
{
	const struct scenario *scenario;
	struct front front;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3) {
		print_names();
		return 0;
	}
	srandom((unsigned int)(time(NULL) ^ getpid()));
	scenario = find(argv[2]);
	front_open(&front, argv[1]);
	if (scenario->kind != UNCONNECTED) {
		front_connect(&front);
		front_baseline(&front, "before");
	}
	if (scenario->kind == ENDLESS)
		run_until_told(&front, scenario);
	else
		scenario->run(&front);
	if (scenario->kind == SERVED || scenario->kind == ENDLESS)
		front_baseline(&front, "after");
	/* Whatever happened, the next ring is served. */
	front_connect(&front);
	front_baseline(&front, "with a new ring");
	front_close(&front);
	printf("ok: %s\n", scenario->name);
	return 0;
}
