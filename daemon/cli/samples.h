/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counters of all disks at one time, and how "top" and "metrics" show them. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_object;

/* Buckets of filter "latency": the Nth counts I/O of less than 2^N microseconds. */
#define LATENCY_BUCKETS		24
enum { LATENCY_READ, LATENCY_WRITE, LATENCY_OPS };
extern const char *const latency_op_names[LATENCY_OPS];

#define SAMPLE_SECTOR_BYTES	512

/* One guest's use of one disk; domid -1: a disk that no guest uses. */
struct sample {
	int pid;
	int minor;
	char *image;		/* TYPE:PATH */
	int64_t domid;
	int64_t devid;
	char way[16];		/* of moving data; empty: not known */
	uint64_t outstanding;
	uint64_t reads, writes, flushes;
	uint64_t read_sectors, write_sectors;	/* of SAMPLE_SECTOR_BYTES */
	uint64_t read_errors, write_errors, bad_requests;
	bool flush_failed, paused;
	/* Of the disk, whoever uses it. */
	bool has_latency;
	uint64_t latency[LATENCY_OPS][LATENCY_BUCKETS];
};

struct samples {
	struct sample *list;
	size_t nr;
	uint64_t time_ms;
	unsigned int tapdisks;
	unsigned int silent;	/* that did not answer, or not what their disk does */
};

/*
 * Ask all tapdisks with sockets in @run_dir, and wait for all together at most 8 s, less than
 * Prometheus does. 0 or -errno; free with samples_clear() in either case.
 */
int samples_take(struct samples *samples, const char *run_dir);
void samples_clear(struct samples *samples);

/* Add what tapdisk @pid said in "stats" of @minor. 0, -EBADMSG or -ENOMEM. */
int samples_add(struct samples *samples, int pid, int minor, struct json_object *stats);

/* What happened in between, a second; a disk that is new counts from its start. */
void samples_print_top(FILE *out, const struct samples *before, const struct samples *after);
struct json_object *samples_top_json(const struct samples *before, const struct samples *after);

/* Text format 0.0.4 of Prometheus; with the module's @counters, a file of debugfs. */
void samples_print_metrics(FILE *out, const struct samples *samples, const char *counters);

#endif /* CLI_SAMPLES_H */
