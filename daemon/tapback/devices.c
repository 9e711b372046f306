// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

#define WATCHES_MAX	256	/* read at a time */
#define THROTTLED_MS	100	/* pause for devices that change too often */
#define BUSY_MS		1000	/* between looks at answers overdue */

#define TOKEN_BACKEND	"backend"
#define TOKEN_DOMAINS	"domains"
#define TOKEN_FRONTEND	"frontend/"

static struct device *find(const struct devices *devices, uint32_t domid, uint32_t devid)
{
	struct device *device;

	for (device = devices->first; device; device = device->next)
		if (device->domid == domid && device->devid == devid)
			return device;
	return NULL;
}

/* Make the device known, if it is not, and due for a look. 0 or -errno. */
static int touch(struct devices *devices, uint32_t domid, uint32_t devid)
{
	struct device *device = find(devices, domid, devid);
	int err;

	if (device) {
		device->dirty = true;
		return 0;
	}
	err = device_create(devices->tapback, devices->dir, domid, devid, &device);
	if (err)
		return err;
	device->next = devices->first;
	devices->first = device;
	return 0;
}

static int scan_domain(struct devices *devices, const char *domain)
{
	CLEANUP_FREE char **names = NULL;
	uint32_t domid, devid;
	char path[STORE_PATH_MAX + 64];
	unsigned int i, nr;
	int err;

	if (parse_u32(domain, DOMID_FIRST_RESERVED - 1, &domid))
		return 0;
	snprintf(path, sizeof(path), "%s/%u", devices->dir, domid);
	err = store_list(devices->tapback->store, path, &names, &nr);
	for (i = 0; !err && i < nr; i++)
		if (!parse_u32(names[i], UINT32_MAX, &devid))
			err = touch(devices, domid, devid);
	return err;
}

/* Look at all devices there are, and at all we know of. */
static int scan(struct devices *devices)
{
	CLEANUP_FREE char **names = NULL;
	struct device *device;
	unsigned int i, nr;
	int err;

	for (device = devices->first; device; device = device->next)
		device->dirty = true;
	err = store_list(devices->tapback->store, devices->dir, &names, &nr);
	for (i = 0; !err && i < nr; i++)
		err = scan_domain(devices, names[i]);
	return err;
}

/* Whether a change of node @name in a backend directory is for us. */
static bool is_of_interest(const char *name)
{
	static const char *const names[] = {
		"", "state", "online", "hotplug-status", "frontend", "frontend-id",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Something at @path, at or below (or above) our directory, changed. */
static int backend_changed(struct devices *devices, const char *path)
{
	size_t len = strlen(devices->dir);
	char domain[16], disk[16];
	const char *name = "";
	uint32_t domid, devid;
	int used = 0;

	if (strncmp(path, devices->dir, len) ||
	    sscanf(path + len, "/%15[^/]/%15[^/]%n", domain, disk, &used) != 2)
		return scan(devices);
	if (path[len + (size_t)used] == '/')
		name = path + len + used + 1;
	if (!is_of_interest(name) || parse_u32(domain, DOMID_FIRST_RESERVED - 1, &domid) ||
	    parse_u32(disk, UINT32_MAX, &devid))
		return 0;
	return touch(devices, domid, devid);
}

static void frontend_changed(struct devices *devices, const char *token)
{
	struct device *device;
	uint32_t domid, devid;

	if (sscanf(token, TOKEN_FRONTEND "%u/%u", &domid, &devid) != 2)
		return;
	device = find(devices, domid, devid);
	if (device)
		device->dirty = true;
}

static int watch_fired(struct devices *devices, const char *path, const char *token)
{
	struct device *device;

	if (!strcmp(token, TOKEN_BACKEND))
		return backend_changed(devices, path);
	if (!strcmp(token, TOKEN_DOMAINS))
		for (device = devices->first; device; device = device->next)
			device_check_domain(device);
	else
		frontend_changed(devices, token);
	return 0;
}

int devices_read_watches(struct devices *devices)
{
	char **fired;
	int err, i;

	for (i = 0; i < WATCHES_MAX; i++) {
		err = store_next_watch(devices->tapback->store, &fired);
		if (err <= 0)
			return err;
		err = watch_fired(devices, fired[XS_WATCH_PATH], fired[XS_WATCH_TOKEN]);
		free(fired);
		if (err)
			return err;
	}
	return 0;
}

/* Sooner of two times to call again. */
static int sooner(int a_ms, int b_ms)
{
	return a_ms < 0 || b_ms < a_ms ? b_ms : a_ms;
}

int devices_run(struct devices *devices)
{
	struct device **link = &devices->first, *device;
	uint64_t now_ms = clock_ms();
	int again_ms = -1;

	while ((device = *link)) {
		device_check_time(device, now_ms);
		if (device->dirty && device_may_look(device, now_ms) && !device_run(device)) {
			*link = device->next;
			device_destroy(device);
			continue;
		}
		if (device->dirty)
			again_ms = sooner(again_ms, THROTTLED_MS);
		else if (device->view.link == VBD_LINK_BUSY)
			again_ms = sooner(again_ms, BUSY_MS);
		link = &device->next;
	}
	return again_ms;
}

int devices_init(struct devices *devices, const struct tapback *tapback)
{
	int err;

	*devices = (struct devices){ .tapback = tapback };
	snprintf(devices->dir, sizeof(devices->dir), "/local/domain/%u/backend/vbd3",
		 tapback->store->domid);
	err = store_watch(tapback->store, devices->dir, TOKEN_BACKEND);
	if (!err)
		err = store_watch(tapback->store, "@releaseDomain", TOKEN_DOMAINS);
	return err ? err : scan(devices);
}

void devices_uninit(struct devices *devices)
{
	struct device *device;

	while ((device = devices->first)) {
		devices->first = device->next;
		device_destroy(device);
	}
}
