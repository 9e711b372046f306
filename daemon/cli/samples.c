// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/samples.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/listing.h"
#include "ctl/ctl_msg.h"

/* A tapdisk that is busy must not hold up the others' numbers. */
#define STATS_TIMEOUT_MS	5000
#define SECTOR_BYTES		512

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

/* ---- from JSON; a tapdisk of another version may lack what we know ---- */

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

/* What a tapdisk says must not steer a terminal. */
static char *clean_copy(const char *value)
{
	char *copy = strdup(value), *c;

	for (c = copy; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return copy;
}

static int add_frontend(struct samples *samples, const struct sample *disk,
			struct json_object *frontend)
{
	struct sample sample = *disk;

	if (!json_object_is_type(frontend, json_type_object))
		return -EBADMSG;
	sample.image = clean_copy(disk->image);
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

static const char *const latency_ops[LATENCY_OPS] = { "read", "write" };

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
			if (json_object_object_get_ex(filter, latency_ops[op], &sizes))
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
	read_latency(&disk, stats);
	nr = json_object_array_length(frontends);
	for (i = 0; !err && i < nr; i++)
		err = add_frontend(samples, &disk, json_object_array_get_idx(frontends, i));
	if (nr)
		return err;
	disk.image = clean_copy(disk.image);
	return append(samples, &disk);
}

/* ---- asking ---- */

static int ask(struct samples *samples, const char *run_dir, int pid, int minor)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	CLEANUP_CLOSE int fd = ctl_connect_in(run_dir, pid);
	struct json_object *stats;
	int err = fd < 0 ? fd : ctl_request_init(&request, "stats");

	if (!err)
		err = ctl_set_int(&request, "minor", minor);
	if (!err)
		err = ctl_call(fd, &request, &reply, STATS_TIMEOUT_MS);
	if (!err)
		err = json_object_object_get_ex(reply.json, "stats", &stats) ?
		      samples_add(samples, pid, minor, stats) : -EBADMSG;
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int samples_take(struct samples *samples, const char *run_dir)
{
	const struct listing_entry *entry;
	struct listing listing;
	int err, failed;
	size_t i;

	*samples = (struct samples){ .time_ms = clock_ms() };
	err = listing_scan(&listing, run_dir, -1);
	for (i = 0; !err && i < listing.nr; i++) {
		entry = &listing.entries[i];
		if (entry->pid <= 0)
			continue;
		samples->tapdisks++;
		/* Without a disk, or it does not say: both are listed by pid alone. */
		if (entry->minor < 0)
			continue;
		failed = ask(samples, run_dir, entry->pid, entry->minor);
		if (failed == -ENOMEM)
			err = failed;
		else if (failed)
			samples->silent++;
	}
	listing_clear(&listing);
	return err;
}

/* ---- top ---- */

struct rates {
	double reads, writes, flushes;
	double read_bytes, write_bytes;
	/* Microseconds that 99 of 100 did not exceed; 0: not known. */
	uint64_t latency[LATENCY_OPS];
};

static const struct sample *find(const struct samples *samples, const struct sample *wanted)
{
	size_t i;

	for (i = 0; i < samples->nr; i++) {
		const struct sample *sample = &samples->list[i];

		if (sample->pid == wanted->pid && sample->minor == wanted->minor &&
		    sample->domid == wanted->domid && sample->devid == wanted->devid)
			return sample;
	}
	return NULL;
}

/* A counter that went back belongs to a guest that connected anew. */
static double rate(uint64_t before, uint64_t after, double seconds)
{
	return (double)(after >= before ? after - before : after) / seconds;
}

/* The upper end of the bucket that has the 99th hundredth of what came in between. */
static uint64_t slow_99(const struct sample *then, const struct sample *now, int op)
{
	uint64_t total = 0, seen = 0, counts[LATENCY_BUCKETS];
	unsigned int i;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		counts[i] = now->latency[op][i] >= then->latency[op][i] ?
			    now->latency[op][i] - then->latency[op][i] : now->latency[op][i];
		total += counts[i];
	}
	for (i = 0; i < LATENCY_BUCKETS && total; i++) {
		seen += counts[i];
		if (seen * 100 >= total * 99)
			return 1ull << i;
	}
	return 0;
}

static struct rates rates_of(const struct samples *before, const struct samples *after,
			     const struct sample *now)
{
	static const struct sample nothing;
	const struct sample *then = find(before, now);
	double seconds = (double)(after->time_ms - before->time_ms) / 1000;

	if (!then)
		then = &nothing;
	if (seconds <= 0)
		seconds = 1;
	return (struct rates){
		.reads = rate(then->reads, now->reads, seconds),
		.writes = rate(then->writes, now->writes, seconds),
		.flushes = rate(then->flushes, now->flushes, seconds),
		.read_bytes = rate(then->read_sectors, now->read_sectors, seconds) * SECTOR_BYTES,
		.write_bytes = rate(then->write_sectors, now->write_sectors, seconds) *
			       SECTOR_BYTES,
		.latency = { slow_99(then, now, LATENCY_READ), slow_99(then, now, LATENCY_WRITE) },
	};
}

void samples_print_top(FILE *out, const struct samples *before, const struct samples *after)
{
	size_t i;

	fprintf(out, "%5s %8s %7s %5s %-10s %8s %8s %8s %8s %8s %8s %8s %5s  %s\n", "DOMID",
		"DEVICE", "PID", "MINOR", "DATA", "READ/s", "WRITE/s", "FLUSH/s", "RD MB/s",
		"WR MB/s", "RD us", "WR us", "QUEUE", "IMAGE");
	for (i = 0; i < after->nr; i++) {
		const struct sample *now = &after->list[i];
		struct rates rates = rates_of(before, after, now);
		char domid[24] = "-", devid[24] = "-", latency[LATENCY_OPS][24] = { "-", "-" };
		int op;

		for (op = 0; op < LATENCY_OPS; op++)
			if (rates.latency[op])
				snprintf(latency[op], sizeof(latency[op]), "<%" PRIu64,
					 rates.latency[op]);
		if (now->domid >= 0) {
			snprintf(domid, sizeof(domid), "%" PRId64, now->domid);
			snprintf(devid, sizeof(devid), "%" PRId64, now->devid);
		}
		fprintf(out, "%5s %8s %7d %5d %-10s %8.0f %8.0f %8.0f %8.1f %8.1f %8s %8s %5" PRIu64
			"  %s%s\n", domid, devid, now->pid, now->minor,
			*now->way ? now->way : "-", rates.reads, rates.writes, rates.flushes,
			rates.read_bytes / 1e6, rates.write_bytes / 1e6, latency[LATENCY_READ],
			latency[LATENCY_WRITE], now->outstanding,
			now->image, now->flush_failed ? " (flush failed: attach anew)" : "");
	}
	if (!after->nr)
		fputs("no disk is served\n", out);
	if (after->silent)
		fprintf(out, "%u tapdisks did not answer\n", after->silent);
}

static void add_double(struct json_object *object, const char *name, double value)
{
	json_object_object_add(object, name, json_object_new_double(value));
}

static struct json_object *top_row(const struct sample *now, const struct rates *rates)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "pid", json_object_new_int(now->pid));
	json_object_object_add(row, "minor", json_object_new_int(now->minor));
	json_object_object_add(row, "image", json_object_new_string(now->image));
	if (now->domid >= 0) {
		json_object_object_add(row, "domid", json_object_new_int64(now->domid));
		json_object_object_add(row, "devid", json_object_new_int64(now->devid));
	}
	if (*now->way)
		json_object_object_add(row, "data", json_object_new_string(now->way));
	add_double(row, "reads_per_second", rates->reads);
	add_double(row, "writes_per_second", rates->writes);
	add_double(row, "flushes_per_second", rates->flushes);
	add_double(row, "read_bytes_per_second", rates->read_bytes);
	add_double(row, "write_bytes_per_second", rates->write_bytes);
	if (rates->latency[LATENCY_READ])
		add_double(row, "read_p99_us", (double)rates->latency[LATENCY_READ]);
	if (rates->latency[LATENCY_WRITE])
		add_double(row, "write_p99_us", (double)rates->latency[LATENCY_WRITE]);
	json_object_object_add(row, "outstanding",
			       json_object_new_int64((int64_t)now->outstanding));
	json_object_object_add(row, "flush_failed", json_object_new_boolean(now->flush_failed));
	return row;
}

struct json_object *samples_top_json(const struct samples *before, const struct samples *after)
{
	struct json_object *rows = json_object_new_array();
	struct rates rates;
	size_t i;

	for (i = 0; i < after->nr; i++) {
		rates = rates_of(before, after, &after->list[i]);
		json_object_array_add(rows, top_row(&after->list[i], &rates));
	}
	return rows;
}

/* ---- metrics ---- */

/* A label's value, as the format wants it. */
static void print_escaped(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else
			fputc(*value, out);
	}
}

/* Without the brace that ends them. */
static void begin_labels(FILE *out, const struct sample *sample)
{
	fprintf(out, "{pid=\"%d\",minor=\"%d\"", sample->pid, sample->minor);
	if (sample->domid >= 0)
		fprintf(out, ",domid=\"%" PRId64 "\",devid=\"%" PRId64 "\"", sample->domid,
			sample->devid);
	if (*sample->way)
		fprintf(out, ",data=\"%s\"", sample->way);
	fputs(",image=\"", out);
	print_escaped(out, sample->image);
	fputc('"', out);
}

static void print_labels(FILE *out, const struct sample *sample)
{
	begin_labels(out, sample);
	fputc('}', out);
}

static const struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
	unsigned int unit;	/* by which the counter is multiplied */
} metrics[] = {
#define METRIC(name, type, help, member, unit) \
	{ "xentap_disk_" name, type, help, offsetof(struct sample, member), unit }
	METRIC("reads_total", "counter", "Read requests that were answered.", reads, 1),
	METRIC("writes_total", "counter", "Write requests that were answered.", writes, 1),
	METRIC("flushes_total", "counter", "Flush requests that were answered.", flushes, 1),
	METRIC("read_bytes_total", "counter", "Bytes read.", read_sectors, SECTOR_BYTES),
	METRIC("written_bytes_total", "counter", "Bytes written.", write_sectors, SECTOR_BYTES),
	METRIC("read_errors_total", "counter", "Reads that the store failed.", read_errors, 1),
	METRIC("write_errors_total", "counter", "Writes and flushes that the store failed.",
	       write_errors, 1),
	METRIC("bad_requests_total", "counter", "Requests of the guest that break the protocol.",
	       bad_requests, 1),
	METRIC("outstanding", "gauge", "Requests in flight.", outstanding, 1),
#undef METRIC
};

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_metric(FILE *out, const struct metric *metric, const struct samples *samples)
{
	size_t i;

	print_head(out, metric->name, metric->type, metric->help);
	for (i = 0; i < samples->nr; i++) {
		const struct sample *sample = &samples->list[i];
		uint64_t value = *(const uint64_t *)((const char *)sample + metric->offset);

		fputs(metric->name, out);
		print_labels(out, sample);
		fprintf(out, " %" PRIu64 "\n", value * metric->unit);
	}
}

static void print_histogram(FILE *out, const struct sample *sample, int op)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		sum += sample->latency[op][i];
		fputs("xentap_disk_latency_seconds_bucket", out);
		begin_labels(out, sample);
		/* The last one has all that is longer, too. */
		if (i < LATENCY_BUCKETS - 1)
			fprintf(out, ",op=\"%s\",le=\"%g\"} %" PRIu64 "\n", latency_ops[op],
				(double)(1u << i) / 1e6, sum);
		else
			fprintf(out, ",op=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", latency_ops[op],
				sum);
	}
	fputs("xentap_disk_latency_seconds_count", out);
	begin_labels(out, sample);
	fprintf(out, ",op=\"%s\"} %" PRIu64 "\n", latency_ops[op], sum);
}

/* Once for each disk: guests that share one are in it together. */
static void print_latency(FILE *out, const struct samples *samples)
{
	size_t i;
	int op;

	print_head(out, "xentap_disk_latency_seconds", "histogram",
		   "How long I/O took below the filter latency.");
	for (i = 0; i < samples->nr; i++) {
		const struct sample *sample = &samples->list[i];

		if (!sample->has_latency || (i && sample[-1].pid == sample->pid &&
					     sample[-1].minor == sample->minor))
			continue;
		for (op = 0; op < LATENCY_OPS; op++)
			print_histogram(out, sample, op);
	}
}

/* Lines of a name and a value, as the module has them. */
static void print_module_counters(FILE *out, const char *counters)
{
	FILE *in = fopen(counters, "re");
	unsigned long long value;
	char name[64];

	if (!in)
		return;
	while (fscanf(in, "%63[a-z_] %llu\n", name, &value) == 2)
		fprintf(out, "# TYPE xentap_module_%s untyped\nxentap_module_%s %llu\n", name,
			name, value);
	fclose(in);
}

void samples_print_metrics(FILE *out, const struct samples *samples, const char *counters)
{
	size_t i;

	print_head(out, "xentap_tapdisks", "gauge", "Tapdisks that run.");
	fprintf(out, "xentap_tapdisks %u\n", samples->tapdisks);
	print_head(out, "xentap_tapdisks_silent", "gauge", "Tapdisks with a disk that did not say what it does.");
	fprintf(out, "xentap_tapdisks_silent %u\n", samples->silent);
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(out, &metrics[i], samples);
	print_head(out, "xentap_disk_flush_failed", "gauge",
		   "1: a flush failed, and all writes fail until the disk is attached anew.");
	for (i = 0; i < samples->nr; i++) {
		fputs("xentap_disk_flush_failed", out);
		print_labels(out, &samples->list[i]);
		fprintf(out, " %d\n", samples->list[i].flush_failed);
	}
	print_latency(out, samples);
	print_module_counters(out, counters);
}
