// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a log of dm-log-writes, and says what a power cut could have lost.
 *
 *	power-cut-check blocks LOG HISTORY DISK
 *	power-cut-check flushes LOG
 *	power-cut-check image LOG IMAGE FLUSH SEED
 *
 * "blocks": HISTORY is that of power-cut-write, DISK what was written to. Status 3
 * if anything could have been lost; then the losses are named.
 *
 * "flushes" prints how many flushes the log has. "image": IMAGE is the disk before
 * the log's first entry, and is made what a power cut after that many flushes could
 * leave; prints the last flush that the guest had an answer of. SEED says which
 * writes after the flush survived: 0 none, 1 all, else some.
 *
 * What the log says. It is that of a drive with a cache. A completed write is in the
 * cache; a flush makes durable what was in there when it came. So dm-log-writes logs a
 * write with the first flush that came after the write's end: in front of the flush,
 * and when that is done. A mark is logged at once. Hence, if the power fails between
 * the ends of two flushes of the log, the disk has all that is logged up to the first
 * one; and what is logged up to the second, a "group", it may have in any part: each
 * write, and of each write every sector, since drives write back what they like in the
 * order they like. What stands further down may have been there as well; it is looked
 * at in its own group, and promises never get less.
 *
 * What is promised. "ack-N" was put into the log after the guest had seen the answer
 * of flush N. So from there on the disk must have, whatever else is lost, all writes
 * whose answers the guest had seen before it issued flush N; or instead of one, what
 * was written later to the same place. If a flush is answered before it is done, or
 * never done, its mark stands too far up in the log: the guest issues no other flush
 * before dom0 has made the mark, and the disk takes longer for a flush than dom0 for that.
 *
 * And who finds a write that was issued after the answer of flush N may trust that
 * what flush N has promised is there, too: journals depend on this. Of which flush
 * the guest had an answer when it issued a write is said in each sector of that;
 * it needs no mark and no clock.
 *
 * Why all cuts are checked, and not some. What is promised is promised for each
 * sector by itself: that it is whole, and of write W or a later one, writes to one
 * sector being numbered in order. The worst that a cut can do to a sector is to
 * leave either what is durable or one write of the group. If each of these is
 * good enough then so is every choice of survivors. That takes one pass over the log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "power-cut.h"

#define STATUS_LOST 3
/* Of the losses so many are named. */
#define NAMED_LOSSES 5
/* So many writes are left out of the log, one at a time, to see that it is noticed. */
#define CONTROLS 60

/* The log's format: drivers/md/dm-log-writes.c; all numbers are little-endian. */
#define LOG_MAGIC 0x6a736677736872u
#define LOG_VERSION 1u

enum log_flag {
	LOG_FLUSH = 1 << 0,
	LOG_FUA = 1 << 1,
	LOG_DISCARD = 1 << 2,
	LOG_MARK = 1 << 3,
};

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sector_bytes;
};

/* Fills a sector; what was written follows, but not for a discard. */
struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_len;
	char text[];	/* of a mark */
};

struct log {
	const struct log_entry **entries;
	size_t nr_entries;
};

static const void *map_file(const char *path, int protection, size_t *size)
{
	int fd = open(path, protection & PROT_WRITE ? O_RDWR : O_RDONLY);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	void *mem;

	if (end <= 0)
		error(1, errno, "%s", path);
	mem = mmap(NULL, (size_t)end, protection, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		error(1, errno, "%s", path);
	close(fd);
	*size = (size_t)end;
	return mem;
}

static const char *entry_data(const struct log_entry *entry)
{
	return (const char *)entry + SECTOR_BYTES;
}

/* What it has in the log beside itself. */
static size_t entry_bytes(const struct log_entry *entry)
{
	return entry->flags & LOG_DISCARD ? 0 : (size_t)entry->nr_sectors * SECTOR_BYTES;
}

static bool is_write(const struct log_entry *entry)
{
	return entry->nr_sectors && !(entry->flags & (LOG_DISCARD | LOG_MARK));
}

/* 0 if it is none. */
static unsigned int mark_number(const struct log_entry *entry)
{
	unsigned int number;

	if (!(entry->flags & LOG_MARK) || sscanf(entry->text, "ack-%u", &number) != 1)
		return 0;
	return number;
}

static void log_open(struct log *log, const char *path)
{
	size_t size, at = SECTOR_BYTES, i;
	const char *mem = map_file(path, PROT_READ, &size);
	const struct log_super *super = (const struct log_super *)mem;

	if (size < SECTOR_BYTES || super->magic != LOG_MAGIC || super->version != LOG_VERSION ||
	    super->sector_bytes != SECTOR_BYTES)
		error(1, 0, "%s is no log, or one of a disk with large sectors", path);
	log->nr_entries = super->nr_entries;
	log->entries = calloc(log->nr_entries, sizeof(*log->entries));
	if (!log->entries)
		error(1, errno, "memory for %zu entries", log->nr_entries);
	for (i = 0; i < log->nr_entries; i++) {
		const struct log_entry *entry = (const struct log_entry *)(mem + at);

		at += SECTOR_BYTES;
		if (at > size || entry_bytes(entry) > size - at)
			error(1, 0, "%s: entry %zu is not all there", path, i);
		at += entry_bytes(entry);
		log->entries[i] = entry;
	}
}

/* ---- the guest's history */

struct write {
	unsigned int sector;
	unsigned int sectors;
	bool done;		/* the guest had an answer */
	bool is_logged;
	bool is_visible;	/* some flush's promise depends on it */
};

struct history {
	struct write *writes;	/* from 1 */
	unsigned int nr_writes;
	unsigned int *done;	/* in the order of answers */
	unsigned int nr_done;
	unsigned int *covered;	/* by flush N: the first so many of done */
	unsigned int nr_flushes;
	unsigned int acked;
	unsigned int nr_sectors;
};

/* Room for one more than there are lines, everywhere. */
static void history_alloc(struct history *h, const char *path)
{
	FILE *file = fopen(path, "r");
	size_t lines = 2;
	int c;

	if (!file)
		error(1, errno, "%s", path);
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	h->writes = calloc(lines, sizeof(*h->writes));
	h->done = calloc(lines, sizeof(*h->done));
	h->covered = calloc(lines, sizeof(*h->covered));
	if (!h->writes || !h->done || !h->covered)
		error(1, errno, "memory for %zu lines", lines);
}

/* In order of their numbers, but answers of writes. */
static bool history_line(struct history *h, const char *line)
{
	unsigned int number, sector, sectors;

	if (sscanf(line, "write %u %u %u", &number, &sector, &sectors) == 3) {
		h->writes[number].sector = sector;
		h->writes[number].sectors = sectors;
		if (sector + sectors > h->nr_sectors)
			h->nr_sectors = sector + sectors;
		return number == ++h->nr_writes;
	}
	if (sscanf(line, "done %u", &number) == 1 && number <= h->nr_writes) {
		h->writes[number].done = true;
		h->done[h->nr_done++] = number;
		return true;
	}
	if (sscanf(line, "flush %u", &number) == 1) {
		h->covered[number] = h->nr_done;
		return number == ++h->nr_flushes;
	}
	return sscanf(line, "acked %u", &number) == 1 && number == ++h->acked;
}

static void history_read(struct history *h, const char *path)
{
	FILE *file;
	char line[100];

	history_alloc(h, path);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!history_line(h, line))
			error(1, 0, "%s: not expected here: %s", path, line);
	if (!file || !h->acked || h->acked != h->nr_flushes)
		error(1, 0, "%s: %u flushes, %u answered", path, h->nr_flushes, h->acked);
	fclose(file);
}

/* ---- blocks */

/* One pass over the log. What stands in a sector is the number of a write, or 0. */
struct pass {
	const struct log *log;
	struct history *history;
	unsigned int left_out;	/* a write that is taken for lost, or 0 */
	bool flushes_ignored;
	bool quiet;
	uint32_t *durable;	/* by sector */
	uint32_t *promised;
	unsigned int granted;	/* flushes whose promises count */
	unsigned int losses;
};

__attribute__((format(printf, 2, 3)))
static void lost(struct pass *p, const char *format, ...)
{
	va_list args;

	if (p->losses++ >= NAMED_LOSSES || p->quiet)
		return;
	va_start(args, format);
	printf("lost: ");
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

static void promise_write(struct pass *p, unsigned int number, size_t at)
{
	struct write *write = &p->history->writes[number];
	unsigned int s, end = write->sector + write->sectors;

	for (s = write->sector; s < end; s++) {
		if (p->promised[s] < number)
			p->promised[s] = number;
		if (p->durable[s] == number && !p->quiet)
			write->is_visible = true;
		if (p->durable[s] < number) {
			lost(p, "entry %zu: flush %u was answered, and sector %u is of write %u, not %u",
			     at, p->granted, s, p->durable[s], number);
			break;
		}
	}
}

/* From entry @at on, the promises of flushes up to @flush hold. */
static void promise(struct pass *p, unsigned int flush, size_t at)
{
	const struct history *h = p->history;
	unsigned int i;

	if (flush > h->acked)
		error(1, 0, "entry %zu: flush %u was never answered", at, flush);
	while (p->granted < flush) {
		i = h->covered[p->granted++];
		for (; i < h->covered[p->granted]; i++)
			promise_write(p, h->done[i], at);
	}
}

static struct sector_head head_of(const struct log_entry *entry, uint64_t index)
{
	struct sector_head head;

	memcpy(&head, entry_data(entry) + index * SECTOR_BYTES, sizeof(head));
	return head;
}

/* A write of the group may be all that is left of it. */
static void check_survivor(struct pass *p, size_t at)
{
	const struct log_entry *entry = p->log->entries[at];
	uint64_t i, s;

	for (i = 0; i < entry->nr_sectors; i++) {
		struct sector_head head = head_of(entry, i);

		s = entry->sector + i;
		if (head.write != p->left_out && head.write < p->promised[s])
			lost(p, "entry %zu: sector %" PRIu64 " of write %" PRIu64
			     ", but flush %u has promised write %u",
			     at, s, head.write, p->granted, p->promised[s]);
	}
}

static void make_durable(struct pass *p, const struct log_entry *entry)
{
	uint64_t i;

	for (i = 0; i < entry->nr_sectors; i++) {
		struct sector_head head = head_of(entry, i);

		if (head.write != p->left_out)
			p->durable[entry->sector + i] = (uint32_t)head.write;
	}
}

/* The group from entry @from up to @end, where a flush is, or the log's end. */
static void check_group(struct pass *p, size_t from, size_t end)
{
	const struct log_entry *const *entries = p->log->entries;
	uint64_t acked = 0, i;
	size_t at;

	/* Each survivor tells of the flushes that were answered before it. */
	for (at = from; at < end; at++)
		for (i = 0; is_write(entries[at]) && i < entries[at]->nr_sectors; i++) {
			struct sector_head head = head_of(entries[at], i);

			if (head.write != p->left_out && head.acked > acked)
				acked = head.acked;
		}
	if (acked > p->granted)
		promise(p, (unsigned int)acked, from);
	for (at = from; at < end; at++)
		if (is_write(entries[at]))
			check_survivor(p, at);
}

static void run_pass(struct pass *p)
{
	const struct log_entry *const *entries = p->log->entries;
	size_t at, from = 0, i;

	p->durable = calloc(p->history->nr_sectors, sizeof(*p->durable));
	p->promised = calloc(p->history->nr_sectors, sizeof(*p->promised));
	if (!p->durable || !p->promised)
		error(1, errno, "memory");
	for (at = 0; at < p->log->nr_entries; at++) {
		unsigned int number = mark_number(entries[at]);

		if (number > p->granted)
			promise(p, number, at);
		if (!(entries[at]->flags & LOG_FLUSH) || p->flushes_ignored)
			continue;
		check_group(p, from, at);
		for (i = from; i < at; i++)
			if (is_write(entries[i]))
				make_durable(p, entries[i]);
		from = at;
	}
	check_group(p, from, at);
	free(p->durable);
	free(p->promised);
}

static bool is_of_history(const struct history *h, uint64_t number, uint64_t sector)
{
	const struct write *write;

	if (!number || number > h->nr_writes)
		return false;
	write = &h->writes[number];
	return sector >= write->sector && sector < write->sector + write->sectors;
}

/* Each sector of the log is what the history says it is, so that later on its head will do. */
static void check_contents(const struct log *log, struct history *h)
{
	uint64_t i, s;
	size_t at;

	for (at = 0; at < log->nr_entries; at++) {
		const struct log_entry *entry = log->entries[at];

		if (entry->flags & (LOG_DISCARD | LOG_FUA))
			error(1, 0, "entry %zu: a discard or FUA, which nobody has asked for", at);
		for (i = 0; is_write(entry) && i < entry->nr_sectors; i++) {
			struct sector_head head = head_of(entry, i);

			s = entry->sector + i;
			if (!sector_is_whole(entry_data(entry) + i * SECTOR_BYTES, s) ||
			    !is_of_history(h, head.write, s))
				error(STATUS_LOST, 0, "lost: entry %zu: sector %" PRIu64
				      " was never written like that", at, s);
			h->writes[head.write].is_logged = true;
		}
	}
}

/* The log is all that has happened: replayed to its end, it gives the disk. */
static void check_disk(const struct log *log, const struct history *h, const char *path)
{
	size_t size, at, bytes = (size_t)h->nr_sectors * SECTOR_BYTES;
	const char *disk = map_file(path, PROT_READ, &size);
	char *replayed = calloc(1, bytes);

	if (!replayed || size < bytes)
		error(1, 0, "%s is too small, or no memory", path);
	for (at = 0; at < log->nr_entries; at++)
		if (is_write(log->entries[at]))
			memcpy(replayed + log->entries[at]->sector * SECTOR_BYTES,
			       entry_data(log->entries[at]), entry_bytes(log->entries[at]));
	if (memcmp(replayed, disk, bytes))
		error(1, 0, "%s is not what its log says", path);
	free(replayed);
}

/* Each write that some promise depends on is missed when it is left out. */
static void check_controls(const struct log *log, struct history *h)
{
	struct pass ignored = { .log = log, .history = h, .flushes_ignored = true, .quiet = true };
	unsigned int number, visible = 0, step, tried = 0;

	for (number = 1; number <= h->nr_writes; number++)
		visible += h->writes[number].is_visible;
	if (!visible)
		error(1, 0, "no promise depends on any write");
	step = visible / CONTROLS + 1;
	for (number = 1; number <= h->nr_writes; number++) {
		struct pass pass = { .log = log, .history = h, .left_out = number, .quiet = true };

		if (!h->writes[number].is_visible || visible-- % step)
			continue;
		run_pass(&pass);
		if (!pass.losses)
			error(1, 0, "nobody would miss write %u", number);
		tried++;
	}
	run_pass(&ignored);
	if (!ignored.losses)
		error(1, 0, "nobody would miss all the flushes");
	printf("controls: %u writes left out one at a time, all missed; "
	       "without flushes %u losses\n", tried, ignored.losses);
}

static void print_figures(const struct log *log, const struct history *h)
{
	unsigned int writes = 0, flushes = 0, marks = 0;
	size_t at;

	for (at = 0; at < log->nr_entries; at++) {
		writes += is_write(log->entries[at]);
		flushes += !!(log->entries[at]->flags & LOG_FLUSH);
		marks += !!mark_number(log->entries[at]);
	}
	printf("log: %zu entries, %u writes, %u flushes, %u marks; "
	       "guest: %u writes, %u flushes answered\n",
	       log->nr_entries, writes, flushes, marks, h->nr_writes, h->acked);
	if (marks < h->acked)
		error(1, 0, "%u answers have no mark", h->acked - marks);
}

static int do_blocks(char **argv)
{
	struct history history = { 0 };
	struct log log;
	struct pass pass = { .log = &log, .history = &history };
	unsigned int number;

	log_open(&log, argv[2]);
	history_read(&history, argv[3]);
	print_figures(&log, &history);
	check_contents(&log, &history);
	check_disk(&log, &history, argv[4]);
	run_pass(&pass);
	for (number = 1; number <= history.nr_writes; number++)
		if (history.writes[number].done && !history.writes[number].is_logged)
			lost(&pass, "write %u was answered and has never come", number);
	if (pass.losses) {
		printf("%u losses\n", pass.losses);
		return STATUS_LOST;
	}
	printf("checked: cuts after each of %zu entries, with all that may be lost there\n",
	       log.nr_entries);
	check_controls(&log, &history);
	return 0;
}

/* ---- images */

static int do_flushes(char **argv)
{
	unsigned int flushes = 0;
	struct log log;
	size_t at;

	log_open(&log, argv[2]);
	for (at = 0; at < log.nr_entries; at++)
		flushes += !!(log.entries[at]->flags & LOG_FLUSH);
	printf("%u\n", flushes);
	return 0;
}

static void apply(const struct log_entry *entry, char *image, size_t size)
{
	size_t at = entry->sector * SECTOR_BYTES, bytes = entry->nr_sectors * SECTOR_BYTES;

	if (entry->flags & LOG_MARK)
		return;
	if (at > size || bytes > size - at)
		error(1, 0, "an entry is beyond the image");
	if (entry->flags & LOG_DISCARD)
		memset(image + at, 0, bytes);
	else
		memcpy(image + at, entry_data(entry), bytes);
}

static bool survives(unsigned int seed)
{
	return seed == 1 || (seed > 1 && random() & 1);
}

static int do_image(char **argv)
{
	unsigned int flushes = (unsigned int)atoi(argv[4]), seed = (unsigned int)atoi(argv[5]);
	unsigned int acked = 0, survivors = 0, group = 0;
	struct log log;
	size_t size, at;
	char *image = (char *)map_file(argv[3], PROT_READ | PROT_WRITE, &size);

	log_open(&log, argv[2]);
	srandom(seed);
	for (at = 0; at < log.nr_entries; at++) {
		const struct log_entry *entry = log.entries[at];
		bool keep = flushes || entry->flags & LOG_FUA || survives(seed);

		if (mark_number(entry))
			acked = mark_number(entry);
		if (entry->flags & LOG_FLUSH && !flushes--)
			break;
		group += !flushes && entry->nr_sectors;
		survivors += !flushes && entry->nr_sectors && keep;
		if (keep)
			apply(entry, image, size);
	}
	printf("%u %u %u\n", acked, survivors, group);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "blocks"))
		return do_blocks(argv);
	if (argc == 3 && !strcmp(argv[1], "flushes"))
		return do_flushes(argv);
	if (argc == 6 && !strcmp(argv[1], "image"))
		return do_image(argv);
	fprintf(stderr, "usage: power-cut-check blocks LOG HISTORY DISK | flushes LOG | "
		"image LOG IMAGE FLUSH SEED\n");
	return 2;
}
