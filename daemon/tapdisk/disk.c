// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/log.h"

/* Operations the kernel holds for a disk: a few full rings of one page. */
#define AIO_DEPTH 256

int disk_attach(struct loop *loop, int minor, int marker_fd, struct disk **out)
{
	struct disk *disk;

	if (flock(marker_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	disk->loop = loop;
	disk->minor = minor;
	disk->marker_fd = marker_fd;
	disk->image.fd = -1;
	*out = disk;
	return 0;
}

void disk_detach(struct disk *disk)
{
	fd_close(&disk->marker_fd);
	free(disk);
}

int disk_open(struct disk *disk, const char *type, const char *path, int fd,
	      bool readonly, char *why, size_t why_size)
{
	int err;

	if (disk->type) {
		snprintf(why, why_size, "minor %d has an image open: %s", disk->minor, disk->path);
		return -EALREADY;
	}
	err = aio_init(&disk->aio, disk->loop, AIO_DEPTH);
	if (err) {
		snprintf(why, why_size, "cannot set up asynchronous I/O: %s%s", strerror(-err),
			 err == -EAGAIN ? "; raise the sysctl fs.aio-max-nr" : "");
		return err;
	}
	disk->type = strdup(type);
	disk->path = strdup(path);
	if (disk->type && disk->path) {
		err = image_open(&disk->image, fd, readonly, path, why, why_size);
	} else {
		snprintf(why, why_size, "no memory");
		err = -ENOMEM;
	}
	if (err)
		goto err_aio;
	disk->store = (struct store){
		.image = &disk->image, .aio = &disk->aio, .loop = disk->loop,
	};
	log_info("serving %s:%s, %llu sectors of 512 bytes%s", type, path,
		 (unsigned long long)disk->image.sectors, readonly ? ", read-only" : "");
	return 0;

err_aio:
	free(disk->type);
	free(disk->path);
	disk->type = disk->path = NULL;
	aio_uninit(&disk->aio);
	return err;
}

/* disk_close() goes on once the last frontend is gone. */
static void close_if_idle(struct disk *disk)
{
	void (*idle)(void *context) = disk->idle;

	if (!idle || disk->frontends)
		return;
	if (disk->type) {
		aio_uninit(&disk->aio);
		image_close(&disk->image);
		free(disk->type);
		free(disk->path);
		disk->type = disk->path = NULL;
	}
	disk->idle = NULL;
	idle(disk->idle_context);
}

static void frontend_closed(void *context)
{
	struct frontend *frontend = context;
	struct disk *disk = frontend->disk;
	struct frontend **p;

	for (p = &disk->frontends; *p != frontend; p = &(*p)->next)
		;
	*p = frontend->next;
	if (frontend->closed)
		frontend->closed(frontend->closed_context);
	free(frontend);
	close_if_idle(disk);
}

static void frontend_close(struct frontend *frontend)
{
	if (frontend->closing)
		return;
	frontend->closing = true;
	vbd_close(frontend->vbd, frontend_closed, frontend);
}

int disk_close(struct disk *disk, void (*idle)(void *context), void *context)
{
	struct frontend *frontend;

	if (disk->idle)
		return -EALREADY;
	disk->idle = idle;
	disk->idle_context = context;
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		frontend_close(frontend);
	close_if_idle(disk);
	return 0;
}

static struct frontend *find(const struct disk *disk, uint32_t domid, uint32_t devid)
{
	struct frontend *frontend;

	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		if (vbd_config(frontend->vbd)->domid == domid &&
		    vbd_config(frontend->vbd)->devid == devid)
			break;
	return frontend;
}

static int connect_check(const struct disk *disk, const struct vbd_config *config)
{
	if (!disk->type || disk->idle)
		return -ENODEV;
	return find(disk, config->domid, config->devid) ? -EALREADY : 0;
}

int disk_connect(struct disk *disk, const struct vbd_config *config,
		 struct xenio_fds *fds)
{
	uint32_t nr_slots[XENIO_NR_ARENAS];
	struct frontend *frontend = NULL;
	struct xenio *xenio;
	int err;

	err = connect_check(disk, config);
	if (!err) {
		frontend = calloc(1, sizeof(*frontend));
		err = frontend ? 0 : -ENOMEM;
	}
	if (err) {
		fd_close(&fds->tap[XENIO_RW]);
		fd_close(&fds->tap[XENIO_RO]);
		fd_close(&fds->evtchn);
		return err;
	}

	vbd_slots(config, nr_slots);
	err = xenio_xentap_create(fds, nr_slots, config->domid, config->port, &xenio);
	if (!err)
		err = vbd_create(config, &disk->store, xenio, &frontend->vbd);
	if (err) {
		free(frontend);
		return err;
	}
	frontend->disk = disk;
	frontend->next = disk->frontends;
	disk->frontends = frontend;
	log_info("domain %u, device %u: connected, %u requests in %u ring pages", config->domid,
		 config->devid, ring_entries(config->protocol, config->nr_pages),
		 config->nr_pages);
	return 0;
}

int disk_disconnect(struct disk *disk, uint32_t domid, uint32_t devid,
		    void (*closed)(void *context), void *context)
{
	struct frontend *frontend = find(disk, domid, devid);

	if (!frontend)
		return -ENOTCONN;
	if (frontend->closed)
		return -EALREADY;
	frontend->closed = closed;
	frontend->closed_context = context;
	frontend_close(frontend);
	return 0;
}

/* ---- stats ---- */

static void add_int(struct json_object *object, const char *name, uint64_t value)
{
	json_object_object_add(object, name, json_object_new_int64((int64_t)value));
}

/* Reads and writes side by side, as the older tool printed them. */
static void add_pair(struct json_object *object, const char *name, uint64_t reads,
		     uint64_t writes)
{
	struct json_object *pair = json_object_new_array();

	json_object_array_add(pair, json_object_new_int64((int64_t)reads));
	json_object_array_add(pair, json_object_new_int64((int64_t)writes));
	json_object_object_add(object, name, pair);
}

static struct json_object *frontend_stats(const struct frontend *frontend)
{
	const struct vbd_config *config = vbd_config(frontend->vbd);
	const struct vbd_stats *stats = vbd_stats(frontend->vbd);
	struct json_object *object = json_object_new_object();

	add_int(object, "domid", config->domid);
	add_int(object, "devid", config->devid);
	add_int(object, "outstanding", vbd_outstanding(frontend->vbd));
	add_int(object, "reads", stats->reads);
	add_int(object, "writes", stats->writes);
	add_int(object, "flushes", stats->flushes);
	add_int(object, "read_sectors", stats->read_sectors);
	add_int(object, "write_sectors", stats->write_sectors);
	add_int(object, "read_errors", stats->read_errors);
	add_int(object, "write_errors", stats->write_errors);
	add_int(object, "bad_requests", stats->bad_requests);
	add_int(object, "requests", stats->requests);
	add_int(object, "responses", stats->responses);
	add_int(object, "events", stats->events);
	add_int(object, "notifies", stats->notifies);
	add_int(object, "batches", stats->batches);
	add_int(object, "grants_mapped", stats->grants);
	add_int(object, "drains", stats->drains);
	return object;
}

static struct json_object *image_stats(const struct disk *disk,
				       const struct vbd_stats *sum)
{
	struct json_object *images = json_object_new_array();
	struct json_object *image = json_object_new_object();

	json_object_object_add(image, "name", json_object_new_string(disk->path));
	add_pair(image, "hits", sum->read_sectors, sum->write_sectors);
	add_pair(image, "fail", sum->read_errors, sum->write_errors);
	json_object_array_add(images, image);
	return images;
}

static void sum_up(const struct disk *disk, struct vbd_stats *sum, uint64_t *outstanding)
{
	const struct frontend *frontend;

	for (frontend = disk->frontends; frontend; frontend = frontend->next) {
		const struct vbd_stats *stats = vbd_stats(frontend->vbd);

		sum->read_sectors += stats->read_sectors;
		sum->write_sectors += stats->write_sectors;
		sum->read_errors += stats->read_errors;
		sum->write_errors += stats->write_errors;
		*outstanding += vbd_outstanding(frontend->vbd);
	}
}

struct json_object *disk_stats(const struct disk *disk)
{
	struct json_object *object = json_object_new_object();
	struct json_object *frontends = json_object_new_array();
	const struct frontend *frontend;
	struct vbd_stats sum = { 0 };
	uint64_t outstanding = 0;

	if (!object || !frontends)
		return NULL;
	sum_up(disk, &sum, &outstanding);
	if (disk->type) {
		CLEANUP_FREE char *name = NULL;

		if (asprintf(&name, "%s:%s", disk->type, disk->path) >= 0)
			json_object_object_add(object, "name", json_object_new_string(name));
		json_object_object_add(object, "images", image_stats(disk, &sum));
	}
	add_pair(object, "secs", sum.read_sectors, sum.write_sectors);
	add_int(object, "reqs_outstanding", outstanding);
	json_object_object_add(object, "flush_failed",
			       json_object_new_boolean(disk->store.flush_failed));
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		json_object_array_add(frontends, frontend_stats(frontend));
	json_object_object_add(object, "frontends", frontends);
	return object;
}
