// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl list. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/listing.h"
#include "tapdisk/ctl_proto.h"

static void print_json(const struct listing *listing, const struct listing_filter *filter)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < listing->nr; i++)
		if (listing_matches(filter, &listing->entries[i]))
			json_object_array_add(array, listing_json(&listing->entries[i]));
	json_print(stdout, array);
	json_object_put(array);
}

int cmd_list(const struct cli_options *options)
{
	const struct listing_filter filter = {
		.pid = options->pid,
		.minor = options->minor,
		.type = options->type,
		.path = options->file,
	};
	struct listing listing;
	size_t i;
	int err;

	err = listing_scan(&listing, XENTAP_RUN_DIR, options->pid, LISTING_TIMEOUT_MS);
	listing_say_silent(&listing);
	if (err)
		log_error("list: cannot look through %s: %s", XENTAP_RUN_DIR, strerror(-err));
	else if (options->json)
		print_json(&listing, &filter);
	else if (isatty(STDOUT_FILENO))
		listing_print_table(stdout, &listing, &filter);
	else
		for (i = 0; i < listing.nr; i++)
			if (listing_matches(&filter, &listing.entries[i]))
				listing_print_line(stdout, &listing.entries[i]);
	listing_clear(&listing);
	return err;
}
