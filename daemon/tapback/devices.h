/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All devices of this host: found by scan and watch, run when they change. */
#ifndef TAPBACK_DEVICES_H
#define TAPBACK_DEVICES_H

#include "tapback/device.h"

struct devices {
	const struct tapback *tapback;
	char dir[STORE_PATH_MAX];	/* backend/vbd3 of our own domain */
	struct device *first;
	bool domains_changed;		/* some ended, and were not looked for yet */
	uint64_t domains_ms;		/* when they were last looked for */
};

/* Set the watches and find the devices that are there. 0 or -errno. */
int devices_init(struct devices *devices, const struct tapback *tapback);
/* Disks that are connected stay so. */
void devices_uninit(struct devices *devices);

/*
 * Read the watches that fired, at most a bounded number at a time. 0 or
 * -errno: xenstored is gone.
 */
int devices_read_watches(struct devices *devices);

/* Run what changed; returns in how many ms to call again, -1: no need. */
int devices_run(struct devices *devices);

#endif /* TAPBACK_DEVICES_H */
