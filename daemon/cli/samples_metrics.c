// SPDX-License-Identifier: GPL-2.0-or-later
/* One sample, and the module's counters, for Prometheus. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/samples.h"

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
	METRIC("read_bytes_total", "counter", "Bytes read.", read_sectors, SAMPLE_SECTOR_BYTES),
	METRIC("written_bytes_total", "counter", "Bytes written.", write_sectors, SAMPLE_SECTOR_BYTES),
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

/* Of each disk, the member at @offset, a bool. */
static void print_flag(FILE *out, const struct samples *samples, const char *name,
		       const char *help, size_t offset)
{
	size_t i;

	print_head(out, name, "gauge", help);
	for (i = 0; i < samples->nr; i++) {
		const struct sample *sample = &samples->list[i];

		fputs(name, out);
		print_labels(out, sample);
		fprintf(out, " %d\n", *(const bool *)((const char *)sample + offset));
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
			fprintf(out, ",op=\"%s\",le=\"%g\"} %" PRIu64 "\n", latency_op_names[op],
				(double)(1u << i) / 1e6, sum);
		else
			fprintf(out, ",op=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", latency_op_names[op],
				sum);
	}
	fputs("xentap_disk_latency_seconds_count", out);
	begin_labels(out, sample);
	fprintf(out, ",op=\"%s\"} %" PRIu64 "\n", latency_op_names[op], sum);
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
	print_head(out, "xentap_tapdisks_silent", "gauge",
		   "Tapdisks that did not answer, or not what their disk does.");
	fprintf(out, "xentap_tapdisks_silent %u\n", samples->silent);
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(out, &metrics[i], samples);
	print_flag(out, samples, "xentap_disk_flush_failed",
		   "1: a flush failed, and all writes fail until the disk is attached anew.",
		   offsetof(struct sample, flush_failed));
	print_flag(out, samples, "xentap_disk_paused", "1: its image is closed, and guests wait.",
		   offsetof(struct sample, paused));
	print_latency(out, samples);
	print_module_counters(out, counters);
}
