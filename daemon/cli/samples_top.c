// SPDX-License-Identifier: GPL-2.0-or-later
/* Of two samples, what happened in between: for people and, as JSON, for programs. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "cli/samples.h"

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
		.read_bytes = rate(then->read_sectors, now->read_sectors, seconds) * SAMPLE_SECTOR_BYTES,
		.write_bytes = rate(then->write_sectors, now->write_sectors, seconds) *
			       SAMPLE_SECTOR_BYTES,
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
			"  %s%s%s\n", domid, devid, now->pid, now->minor,
			*now->way ? now->way : "-", rates.reads, rates.writes, rates.flushes,
			rates.read_bytes / 1e6, rates.write_bytes / 1e6, latency[LATENCY_READ],
			latency[LATENCY_WRITE], now->outstanding,
			now->image, now->flush_failed ? " (flush failed: attach anew)" : "",
			now->paused ? " (paused)" : "");
	}
	if (after->silent)
		fprintf(out, "%u tapdisk%s did not answer; tap-ctl list names those that hang\n",
			after->silent, after->silent == 1 ? "" : "s");
	else if (!after->nr)
		fputs("no disk is served\n", out);
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
	json_object_object_add(row, "paused", json_object_new_boolean(now->paused));
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
