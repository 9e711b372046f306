// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "tapback/frontend.h"
#include "tapdisk/ctl_proto.h"

/* Bits of node "info", as in Xen's public header io/blkif.h. */
#define VDISK_CDROM	0x1u
#define VDISK_READONLY	0x4u

/* Nobody but the toolstack changes the nodes in question, and that seldom. */
#define PUBLISH_TRIES	16

struct number {
	const char *name;
	uint64_t value;
};

struct change {
	struct device *device;
	enum xenbus_state to;
	const struct number *numbers;
	size_t nr_numbers;
};

static int write_number(const struct store *store, xs_transaction_t t,
			const struct device *device, const char *name, uint64_t value)
{
	char path[STORE_PATH_MAX + 64], text[24];

	snprintf(path, sizeof(path), "%s/%s", device->backend, name);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return store_write(store, t, path, text);
}

static int change_state(const struct store *store, xs_transaction_t t, void *context)
{
	const struct change *change = context;
	const struct device *device = change->device;
	char path[STORE_PATH_MAX + 64];
	uint32_t state;
	size_t i;
	int err;

	snprintf(path, sizeof(path), "%s/state", device->backend);
	err = store_read_u32(store, t, path, UINT32_MAX, &state);
	if (err == -ENOENT || (!err && state != device->view.backend))
		return -ESTALE;
	for (i = 0; !err && i < change->nr_numbers; i++)
		err = write_number(store, t, device, change->numbers[i].name,
				   change->numbers[i].value);
	return err ? err : write_number(store, t, device, "state", change->to);
}

static int publish(struct device *device, enum xenbus_state to,
		   const struct number *numbers, size_t nr)
{
	struct change change = { device, to, numbers, nr };
	int err = store_transact(device->tapback->store, PUBLISH_TRIES, change_state, &change);

	if (!err)
		device->view.backend = to;
	/* Somebody keeps writing: look again at what. */
	return err == -EAGAIN ? -ESTALE : err;
}

int publish_state(struct device *device, enum xenbus_state state)
{
	return publish(device, state, NULL, 0);
}

int publish_shape(struct device *device)
{
	const struct number shape[] = {
		{ "max-ring-page-order", RING_PAGE_ORDER_MAX },
		{ "max-ring-pages", RING_PAGES_MAX },
		{ "multi-queue-max-queues", device->tapback->max_queues },
		{ "feature-max-indirect-segments", INDIRECT_SEGMENTS_MAX },
		{ "feature-persistent", 0 },
	};

	return publish(device, XENBUS_INIT_WAIT, shape, sizeof(shape) / sizeof(shape[0]));
}

bool publish_offers_discard(const struct device *device)
{
	return device->geometry.discard && device->discard && !device->readonly &&
	       !device->geometry.readonly;
}

int publish_disk(struct device *device)
{
	const struct geometry *geometry = &device->geometry;
	bool readonly = device->readonly || geometry->readonly;
	bool discard = publish_offers_discard(device);
	const struct number disk[] = {
		{ "sectors", geometry->sectors },
		{ "sector-size", geometry->sector_size },
		{ "physical-sector-size", geometry->physical_sector_size },
		{ "info", (readonly ? VDISK_READONLY : 0) | (device->cdrom ? VDISK_CDROM : 0) },
		{ "feature-flush-cache", geometry->flush },
		{ "feature-barrier", geometry->barrier },
		{ "feature-max-indirect-segments", geometry->indirect_segments },
		{ "feature-persistent", geometry->persistent },
		{ "kthread-pid", (uint64_t)device->client.pid },
		{ "feature-discard", discard },
		/* Only with the one before; last, so that they can be left out. */
		{ "discard-granularity", geometry->discard_granularity },
		{ "discard-alignment", geometry->discard_alignment },
		{ "discard-secure", geometry->discard_secure },
	};
	size_t nr = sizeof(disk) / sizeof(disk[0]);

	return publish(device, XENBUS_CONNECTED, disk, discard ? nr : nr - 3);
}

int publish_size(struct device *device)
{
	const struct number size = { "sectors", device->geometry.sectors };

	return publish(device, XENBUS_CONNECTED, &size, 1);
}

struct pid_change {
	const struct device *device;
	int pid;
};

/* Where local programs find the disk, if the script had said so. */
static int change_socket(const struct store *store, xs_transaction_t t,
			 const struct pid_change *change)
{
	CLEANUP_FREE char *before = NULL;
	char path[STORE_PATH_MAX + 64], name[64];
	int err;

	snprintf(path, sizeof(path), "%s/physical-device-path", change->device->backend);
	err = store_read(store, t, path, &before);
	if (err)
		return err == -ENOENT ? 0 : err;
	snprintf(name, sizeof(name), XENTAP_NBD_PREFIX "%d.%u", change->pid,
		 change->device->minor);
	return store_write(store, t, path, name);
}

/* The script that ends the disk looks for it there; so do tools. */
static int change_pid(const struct store *store, xs_transaction_t t, void *context)
{
	const struct pid_change *change = context;
	char path[STORE_PATH_MAX + 64];
	uint32_t state;
	int err;

	snprintf(path, sizeof(path), "%s/state", change->device->backend);
	err = store_read_u32(store, t, path, UINT32_MAX, &state);
	if (!err)
		err = write_number(store, t, change->device, "pid", (uint64_t)change->pid);
	if (!err)
		err = write_number(store, t, change->device, "kthread-pid", (uint64_t)change->pid);
	if (!err)
		err = change_socket(store, t, change);
	return err;
}

int publish_pid(struct device *device, int pid)
{
	struct pid_change change = { device, pid };

	return store_transact(device->tapback->store, PUBLISH_TRIES, change_pid, &change);
}

static void error_path(const struct device *device, const char *node, char *path,
		       size_t size)
{
	const struct store *store = device->tapback->store;

	snprintf(path, size, "/local/domain/%u/error/backend/vbd3/%u/%u%s", store->domid,
		 device->domid, device->devid, node);
}

void publish_error(struct device *device)
{
	char path[STORE_PATH_MAX];

	error_path(device, "/error", path, sizeof(path));
	if (!store_write(device->tapback->store, XBT_NULL, path, device->why))
		device->error_published = true;
}

void publish_error_clear(struct device *device)
{
	char path[STORE_PATH_MAX];

	if (!device->error_published)
		return;
	error_path(device, "", path, sizeof(path));
	if (!store_remove(device->tapback->store, path))
		device->error_published = false;
}
