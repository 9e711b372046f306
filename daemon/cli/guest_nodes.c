// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/guest_nodes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define DEVICES		"backend/vbd3"	/* relative: below our own domain */
#define PATH_BYTES	256

static bool node_is(struct xs_handle *xs, const char *dir, const char *name, int value)
{
	CLEANUP_FREE char *text = NULL;
	char path[PATH_BYTES];
	unsigned int len;
	uint32_t number;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = xs_read(xs, XBT_NULL, path, &len);
	return text && !parse_u32(text, INT32_MAX, &number) && number == (uint32_t)value;
}

int guest_node_write(struct xs_handle *xs, const char *dir, const char *name, const char *text)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return xs_write(xs, XBT_NULL, path, text, (unsigned int)strlen(text)) ? 0 : -errno;
}

struct search {
	struct xs_handle *xs;
	int pid, minor;
	int (*visit)(struct xs_handle *xs, const char *dir, const void *context);
	const void *context;
};

static int visit_domain(const struct search *search, const char *domid)
{
	CLEANUP_FREE char **devices = NULL;
	char dir[PATH_BYTES - 32];
	unsigned int nr = 0, i;
	int err = 0;

	snprintf(dir, sizeof(dir), DEVICES "/%s", domid);
	devices = xs_directory(search->xs, XBT_NULL, dir, &nr);
	for (i = 0; devices && i < nr && !err; i++) {
		snprintf(dir, sizeof(dir), DEVICES "/%s/%s", domid, devices[i]);
		if (node_is(search->xs, dir, "pid", search->pid) &&
		    node_is(search->xs, dir, "minor", search->minor))
			err = search->visit(search->xs, dir, search->context);
	}
	return err;
}

int guest_nodes_visit(int pid, int minor,
		      int (*visit)(struct xs_handle *xs, const char *dir, const void *context),
		      const void *context)
{
	const struct search search = { xs_open(0), pid, minor, visit, context };
	CLEANUP_FREE char **domids = NULL;
	unsigned int nr = 0, i;
	int err = 0;

	if (!search.xs)
		return -errno;
	domids = xs_directory(search.xs, XBT_NULL, DEVICES, &nr);
	for (i = 0; domids && i < nr && !err; i++)
		err = visit_domain(&search, domids[i]);
	xs_close(search.xs);
	return err;
}
