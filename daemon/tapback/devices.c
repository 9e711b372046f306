// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/xen.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "tapback/fdstore.h"
#include "tapback/xentop.h"

#define WATCHES_MAX	256	/* read at a time */
#define THROTTLED_MS	100	/* pause for devices that change too often */
#define DOMAINS_MS	100	/* between looks at which domains still run */

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

/* A domain's directory changed: perhaps it went, with all that was in it. */
static int domain_changed(struct devices *devices, const char *domain)
{
	struct device *device;
	uint32_t domid;

	if (parse_u32(domain, DOMID_FIRST_RESERVED - 1, &domid))
		return 0;
	for (device = devices->first; device; device = device->next)
		if (device->domid == domid)
			device->dirty = true;
	return scan_domain(devices, domain);
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
		"", "state", "online", "hotplug-status", "frontend", "frontend-id", "resize",
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
	int used = 0, nr = 0;

	if (!strncmp(path, devices->dir, len))
		nr = sscanf(path + len, "/%15[^/]/%15[^/]%n", domain, disk, &used);
	if (nr < 1)
		return scan(devices);
	if (nr < 2)
		return domain_changed(devices, domain);
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
	if (!strcmp(token, TOKEN_BACKEND))
		return backend_changed(devices, path);
	if (!strcmp(token, TOKEN_DOMAINS))
		devices->domains_changed = true;
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

/*
 * xenstored does not say which domain ended, so that each of them costs a question for
 * every disk: many that end together are answered together. In how many ms to call
 * again; -1: no need.
 */
static int check_domains(struct devices *devices, uint64_t now_ms)
{
	struct device *device;

	if (!devices->domains_changed)
		return -1;
	if (now_ms - devices->domains_ms < DOMAINS_MS)
		return DOMAINS_MS;
	devices->domains_changed = false;
	devices->domains_ms = now_ms;
	for (device = devices->first; device; device = device->next)
		device_check_domain(device);
	return -1;
}

int devices_run(struct devices *devices)
{
	struct device **link = &devices->first, *device;
	uint64_t now_ms = clock_ms();
	int again_ms = check_domains(devices, now_ms);

	while ((device = *link)) {
		device_check_time(device, now_ms);
		if (device->dirty && device_may_look(device, now_ms) && !device_run(device)) {
			*link = device->next;
			device_destroy(device);
			continue;
		}
		if (device->dirty)
			again_ms = sooner(again_ms, THROTTLED_MS);
		else if (device_busy_ms(device) >= 0)
			again_ms = sooner(again_ms, device_busy_ms(device));
		link = &device->next;
	}
	return again_ms;
}

/* Of a device that is no more, nobody needs it. */
static void take_kept(void *context, const char *name, int fd)
{
	struct devices *devices = context;
	struct device *device;

	for (device = devices->first; device; device = device->next)
		if (kept_load(&device->kept, name, fd))
			return;
	close(fd);
	fdstore_remove(name);
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
	if (!err)
		err = scan(devices);
	if (!err)
		fdstore_load(take_kept, devices);
	xentop_sweep(tapback->xentop_dir);
	return err;
}

void devices_uninit(struct devices *devices)
{
	struct device *device;

	while ((device = devices->first)) {
		devices->first = device->next;
		device_destroy(device);
	}
}
