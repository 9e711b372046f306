// SPDX-License-Identifier: GPL-2.0-or-later
/* What a disk has counted, as "tap-ctl stats" shows it (tapdisk(8), STATISTICS). */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "filter/filter.h"
#include "tapdisk/disk.h"

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

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(name) { #name, offsetof(struct vbd_stats, name) }
	COUNTER(outstanding), COUNTER(held), COUNTER(resumed),
	COUNTER(reads), COUNTER(writes), COUNTER(flushes), COUNTER(barriers), COUNTER(discards),
	COUNTER(indirect), COUNTER(read_sectors), COUNTER(write_sectors),
	COUNTER(discard_sectors), COUNTER(read_errors), COUNTER(write_errors),
	COUNTER(bad_requests), COUNTER(requests), COUNTER(responses), COUNTER(events),
	COUNTER(notifies), COUNTER(passes), COUNTER(polls), COUNTER(batches),
	{ "grants_mapped", offsetof(struct vbd_stats, grants) },
	COUNTER(drains), COUNTER(copy_calls), COUNTER(copies), COUNTER(moved_map),
	COUNTER(moved_copy), COUNTER(moved_persistent), COUNTER(persistent_grants),
	COUNTER(persistent_evicted), COUNTER(fallbacks), COUNTER(waits), COUNTER(merged),
#undef COUNTER
};

static void add_counters(struct json_object *object, const struct vbd_stats *stats)
{
	unsigned int i;

	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		add_int(object, counters[i].name,
			*(const uint64_t *)((const char *)stats + counters[i].offset));
}

static struct json_object *frontend_stats(const struct frontend *frontend)
{
	const struct vbd_config *config = vbd_config(frontend->vbd);
	const struct vbd_stats stats = vbd_stats(frontend->vbd);
	struct json_object *object = json_object_new_object();
	struct json_object *queues = json_object_new_array();
	unsigned int i;

	add_int(object, "domid", config->domid);
	add_int(object, "devid", config->devid);
	json_object_object_add(object, "data", json_object_new_string(data_way_name(config->way)));
	add_counters(object, &stats);
	for (i = 0; i < config->nr_queues; i++)
		json_object_array_add(queues, json_object_new_int64((int64_t)
				      vbd_queue_stats(frontend->vbd, i).requests));
	json_object_object_add(object, "queues", queues);
	return object;
}

static struct json_object *image_stats(const struct disk *disk,
				       const struct vbd_stats *sum)
{
	struct json_object *images = json_object_new_array();
	struct json_object *image = json_object_new_object();

	json_object_object_add(image, "name", json_object_new_string(disk->path));
	json_object_object_add(image, "locked", json_object_new_boolean(disk->locked));
	add_pair(image, "hits", sum->read_sectors, sum->write_sectors);
	add_pair(image, "fail", sum->read_errors, sum->write_errors);
	json_object_array_add(images, image);
	return images;
}

static void sum_up(const struct disk *disk, struct vbd_stats *sum, uint64_t *outstanding)
{
	const struct frontend *frontend;

	for (frontend = disk->frontends; frontend; frontend = frontend->next) {
		const struct vbd_stats stats = vbd_stats(frontend->vbd);

		sum->read_sectors += stats.read_sectors;
		sum->write_sectors += stats.write_sectors;
		sum->read_errors += stats.read_errors;
		sum->write_errors += stats.write_errors;
		*outstanding += stats.outstanding;
	}
}

static struct json_object *nbd_stats(const struct nbd_stats *stats)
{
	struct json_object *object = json_object_new_object();

	add_int(object, "connections", stats->connections);
	add_int(object, "accepted", stats->accepted);
	add_int(object, "refused", stats->refused);
	add_int(object, "broken", stats->broken);
	add_int(object, "requests", stats->requests);
	add_int(object, "reads", stats->reads);
	add_int(object, "writes", stats->writes);
	add_int(object, "flushes", stats->flushes);
	add_int(object, "discards", stats->discards);
	add_int(object, "zeroes", stats->zeroes);
	add_int(object, "queries", stats->queries);
	add_int(object, "read_bytes", stats->read_bytes);
	add_int(object, "write_bytes", stats->write_bytes);
	add_int(object, "errors", stats->errors);
	return object;
}

static void add_name(struct json_object *object, const struct disk *disk)
{
	CLEANUP_FREE char *name = NULL;

	if (!disk_path(disk) || asprintf(&name, "%s:%s", disk_type(disk), disk_path(disk)) < 0)
		name = NULL;
	else
		json_object_object_add(object, "name", json_object_new_string(name));
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
	add_name(object, disk);
	if (disk->type) {
		json_object_object_add(object, "images", image_stats(disk, &sum));
		json_object_object_add(object, "filters", filters_stats(&disk->store));
	}
	add_pair(object, "secs", sum.read_sectors, sum.write_sectors);
	add_int(object, "reqs_outstanding", outstanding);
	json_object_object_add(object, "paused", json_object_new_boolean(disk_is_paused(disk)));
	json_object_object_add(object, "flush_failed",
			       json_object_new_boolean(atomic_load(&disk->store.flush_failed)));
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		json_object_array_add(frontends, frontend_stats(frontend));
	json_object_object_add(object, "frontends", frontends);
	if (disk->nbd)
		json_object_object_add(object, "nbd", nbd_stats(nbd_server_stats(disk->nbd)));
	return object;
}
