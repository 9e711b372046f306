// SPDX-License-Identifier: GPL-2.0-or-later
/* What tapdisks answer to "stats"; one of another version may lack what we know. */
#include "cli/samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl_msg.h"

const char *const latency_op_names[LATENCY_OPS] = { "read", "write" };

void samples_clear(struct samples *samples)
{
	size_t i;

	for (i = 0; i < samples->nr; i++)
		free(samples->list[i].image);
	free(samples->list);
	*samples = (struct samples){ 0 };
}

/* Takes over @sample->image. */
static int append(struct samples *samples, const struct sample *sample)
{
	struct sample *grown;

	grown = reallocarray(samples->list, samples->nr + 1, sizeof(*grown));
	if (!grown || !sample->image) {
		if (grown)
			samples->list = grown;
		free(sample->image);
		return -ENOMEM;
	}
	samples->list = grown;
	samples->list[samples->nr++] = *sample;
	return 0;
}

static uint64_t counter(struct json_object *object, const char *name)
{
	const struct ctl_msg view = { .json = object };
	int64_t value;

	return ctl_get_int(&view, name, 0, INT64_MAX, &value) ? 0 : (uint64_t)value;
}

static const char *text(struct json_object *object, const char *name)
{
	const struct ctl_msg view = { .json = object };
	const char *value;

	return ctl_get_string(&view, name, &value) ? "" : value;
}

static int add_frontend(struct samples *samples, const struct sample *disk,
			struct json_object *frontend)
{
	struct sample sample = *disk;

	if (!json_object_is_type(frontend, json_type_object))
		return -EBADMSG;
	sample.image = text_clean_copy(disk->image);
	sample.domid = (int64_t)counter(frontend, "domid");
	sample.devid = (int64_t)counter(frontend, "devid");
	/* A word, or it is of no version that we know. */
	if (strspn(text(frontend, "data"), "abcdefghijklmnopqrstuvwxyz-") < sizeof(sample.way))
		snprintf(sample.way, sizeof(sample.way), "%.*s",
			 (int)strspn(text(frontend, "data"), "abcdefghijklmnopqrstuvwxyz-"),
			 text(frontend, "data"));
	sample.outstanding = counter(frontend, "outstanding");
	sample.reads = counter(frontend, "reads");
	sample.writes = counter(frontend, "writes");
	sample.flushes = counter(frontend, "flushes");
	sample.read_sectors = counter(frontend, "read_sectors");
	sample.write_sectors = counter(frontend, "write_sectors");
	sample.read_errors = counter(frontend, "read_errors");
	sample.write_errors = counter(frontend, "write_errors");
	sample.bad_requests = counter(frontend, "bad_requests");
	return append(samples, &sample);
}

/* The histograms of all sizes of I/O, added up. */
static void add_histograms(struct json_object *sizes, uint64_t sum[LATENCY_BUCKETS])
{
	size_t i, nr;

	if (!json_object_is_type(sizes, json_type_object))
		return;
	json_object_object_foreach(sizes, size, buckets) {
		(void)size;
		nr = json_object_is_type(buckets, json_type_array) ?
		     json_object_array_length(buckets) : 0;
		for (i = 0; i < nr && i < LATENCY_BUCKETS; i++)
			sum[i] += (uint64_t)json_object_get_int64(
					json_object_array_get_idx(buckets, i));
	}
}

/* Of the filter that is next to the guest, if there are several. */
static void read_latency(struct sample *disk, struct json_object *stats)
{
	struct json_object *filters, *filter, *sizes;
	size_t i, nr;
	int op;

	if (!json_object_object_get_ex(stats, "filters", &filters) ||
	    !json_object_is_type(filters, json_type_array))
		return;
	nr = json_object_array_length(filters);
	for (i = 0; i < nr && !disk->has_latency; i++) {
		filter = json_object_array_get_idx(filters, i);
		if (!json_object_is_type(filter, json_type_object) ||
		    strcmp(text(filter, "filter"), "latency"))
			continue;
		disk->has_latency = true;
		for (op = 0; op < LATENCY_OPS; op++)
			if (json_object_object_get_ex(filter, latency_op_names[op], &sizes))
				add_histograms(sizes, disk->latency[op]);
	}
}

int samples_add(struct samples *samples, int pid, int minor, struct json_object *stats)
{
	struct sample disk = { .pid = pid, .minor = minor, .domid = -1, .devid = -1 };
	const struct ctl_msg view = { .json = stats };
	struct json_object *frontends;
	size_t i, nr;
	int err = 0;

	if (!json_object_object_get_ex(stats, "frontends", &frontends) ||
	    !json_object_is_type(frontends, json_type_array))
		return -EBADMSG;
	disk.image = (char *)text(stats, "name");
	if (ctl_get_bool(&view, "flush_failed", &disk.flush_failed))
		disk.flush_failed = false;
	if (ctl_get_bool(&view, "paused", &disk.paused))
		disk.paused = false;
	read_latency(&disk, stats);
	nr = json_object_array_length(frontends);
	for (i = 0; !err && i < nr; i++)
		err = add_frontend(samples, &disk, json_object_array_get_idx(frontends, i));
	if (nr)
		return err;
	disk.image = text_clean_copy(disk.image);
	return append(samples, &disk);
}
