// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/fdstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"

void fdstore_put(const char *name, int fd)
{
	char message[FDSTORE_NAME_MAX + 32];

	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", name);
	sd_pid_notify_with_fds(0, 0, message, &fd, 1);
}

void fdstore_remove(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void fdstore_load(void (*take)(void *context, const char *name, int fd), void *context)
{
	char **names = NULL;
	int nr = sd_listen_fds_with_names(1, &names);
	int i;

	for (i = 0; i < nr; i++) {
		take(context, names[i], SD_LISTEN_FDS_START + i);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
}
