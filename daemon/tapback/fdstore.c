// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/fdstore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"

/*
 * We get the names back in one variable, LISTEN_FDNAMES=NAME:NAME..., and execve(2)
 * takes no string that is longer than 32 pages, with its end.
 */
#define NAMES_BYTES_MAX	(32 * 4096 - sizeof("LISTEN_FDNAMES="))

static size_t names_bytes;

/* In the variable, with the colon. */
static size_t name_bytes(const char *name)
{
	return strlen(name) + 1;
}

int fdstore_put(const char *name, int fd)
{
	char message[FDSTORE_NAME_MAX + 32];

	if (names_bytes + name_bytes(name) > NAMES_BYTES_MAX)
		return -ENOSPC;
	names_bytes += name_bytes(name);
	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
	sd_pid_notify_with_fds(0, 0, message, &fd, 1);
	return 0;
}

void fdstore_remove(const char *name)
{
	names_bytes -= name_bytes(name);
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void fdstore_load(void (*take)(void *context, const char *name, int fd), void *context)
{
	char **names = NULL;
	int nr = sd_listen_fds_with_names(1, &names);
	int i;

	for (i = 0; i < nr; i++)
		names_bytes += name_bytes(names[i]);
	for (i = 0; i < nr; i++) {
		take(context, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}
