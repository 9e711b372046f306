// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs in a guest: writes and flushes at random, and keeps a history of what was
 * answered when.
 *
 *	power-cut-write DEVICE HISTORY FLUSHES SEED [alone]
 *
 * Some writes are always in flight, also while a flush is; no two of them at one
 * sector. The history has a line for each event, in the order in which this
 * program saw them:
 *
 *	write NUMBER SECTOR SECTORS	is issued
 *	done NUMBER			was answered
 *	flush NUMBER			is issued
 *	acked NUMBER			was answered
 *
 * After each answered flush data/ack in xenstore gets its number, and no other
 * flush is issued before dom0 writes that number to data/marked: by then the log
 * of dm-log-writes has a mark. With "alone" nobody is told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "power-cut.h"
#include "power-cut-xenstore.h"

#define DEPTH 12
#define MAX_SECTORS 512
/* Wait for dom0's mark so long before looking again. */
#define POLL_NS 5000000

struct slot {
	struct iocb iocb;
	uint64_t *data;
	unsigned int write;	/* 0: not in use */
	unsigned int sector;
	unsigned int sectors;
};

enum flush_state {
	FLUSH_IDLE,
	FLUSH_ISSUED,
	FLUSH_ACKED,	/* and dom0 has not marked it yet */
};

struct writer {
	int fd;
	int xenstore;		/* -1: alone */
	FILE *history;
	io_context_t aio;
	struct slot slots[DEPTH];
	bool *busy;		/* sectors that a write is in flight at */
	unsigned int disk_sectors;
	unsigned int last_write;
	unsigned int budget;	/* writes to issue before the next flush is acknowledged */
	unsigned int until_flush;	/* answers to wait for before it is issued */
	struct iocb flush;
	enum flush_state flush_state;
	unsigned int last_flush;
	unsigned int acked;
	int64_t acked_ns;	/* when */
	int64_t marking_ns;	/* from answers to their marks, in all */
};

static unsigned int below(unsigned int limit)
{
	return (unsigned int)random() % limit;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void tell_acked(struct writer *w)
{
	if (w->xenstore >= 0)
		xenstore_write_number(w->xenstore, "data/ack", w->acked);
}

static bool is_marked(struct writer *w)
{
	return w->xenstore < 0 || xenstore_read_number(w->xenstore, "data/marked") == w->acked;
}

/* Of all lengths, small ones more often; false if it would meet another one. */
static bool choose_place(struct writer *w, struct slot *slot)
{
	unsigned int i;

	slot->sectors = 1 + below(1u << below(10));
	slot->sector = below(w->disk_sectors - slot->sectors + 1);
	for (i = 0; i < slot->sectors; i++)
		if (w->busy[slot->sector + i])
			return false;
	return true;
}

static void issue_write(struct writer *w, struct slot *slot)
{
	struct iocb *iocb = &slot->iocb;
	unsigned int i;

	if (!choose_place(w, slot))
		return;
	w->budget--;
	slot->write = ++w->last_write;
	for (i = 0; i < slot->sectors; i++) {
		w->busy[slot->sector + i] = true;
		sector_fill(slot->data + i * SECTOR_WORDS, slot->sector + i, slot->write, w->acked);
	}
	fprintf(w->history, "write %u %u %u\n", slot->write, slot->sector, slot->sectors);
	io_prep_pwrite(iocb, w->fd, slot->data, (size_t)slot->sectors * SECTOR_BYTES,
		       (long long)slot->sector * SECTOR_BYTES);
	if (io_submit(w->aio, 1, &iocb) != 1)
		error(1, 0, "write %u cannot be issued", slot->write);
}

static void write_done(struct writer *w, struct slot *slot, long result)
{
	if (result != (long)slot->sectors * SECTOR_BYTES)
		error(1, 0, "write %u: result %ld", slot->write, result);
	fprintf(w->history, "done %u\n", slot->write);
	memset(w->busy + slot->sector, 0, slot->sectors);
	slot->write = 0;
	if (w->until_flush)
		w->until_flush--;
}

static void issue_flush(struct writer *w)
{
	struct iocb *iocb = &w->flush;

	fprintf(w->history, "flush %u\n", ++w->last_flush);
	io_prep_fdsync(iocb, w->fd);
	if (io_submit(w->aio, 1, &iocb) != 1)
		error(1, 0, "flush %u cannot be issued", w->last_flush);
	w->flush_state = FLUSH_ISSUED;
}

static void flush_done(struct writer *w, long result)
{
	if (result)
		error(1, 0, "flush %u: result %ld", w->last_flush, result);
	w->acked = w->last_flush;
	fprintf(w->history, "acked %u\n", w->acked);
	w->flush_state = FLUSH_ACKED;
	w->acked_ns = now_ns();
	tell_acked(w);
}

static void next_round(struct writer *w)
{
	w->flush_state = FLUSH_IDLE;
	w->budget += DEPTH + below(20);
	/* Less than that, or nothing would be left to wait for. */
	w->until_flush = 4 + below(DEPTH - 4);
}

/* One turn: what can be issued is, then something is waited for. */
static void turn(struct writer *w, bool more)
{
	struct timespec wait = { .tv_nsec = POLL_NS };
	struct io_event events[DEPTH + 1];
	int i, count;

	for (i = 0; i < DEPTH; i++)
		if (more && w->budget && !w->slots[i].write)
			issue_write(w, &w->slots[i]);
	if (w->flush_state == FLUSH_IDLE && more && !w->until_flush)
		issue_flush(w);
	count = io_getevents(w->aio, 1, DEPTH + 1, events, &wait);
	if (count < 0)
		error(1, -count, "waiting for answers");
	for (i = 0; i < count; i++) {
		if (events[i].obj == &w->flush)
			flush_done(w, (long)events[i].res);
		else
			write_done(w, (struct slot *)events[i].obj, (long)events[i].res);
	}
	if (w->flush_state == FLUSH_ACKED && is_marked(w)) {
		w->marking_ns += now_ns() - w->acked_ns;
		next_round(w);
	}
}

static bool in_flight(const struct writer *w)
{
	int i;

	for (i = 0; i < DEPTH; i++)
		if (w->slots[i].write)
			return true;
	return false;
}

static void open_all(struct writer *w, char **argv, bool alone)
{
	uint64_t bytes;
	int i, err;

	w->fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (w->fd < 0 || ioctl(w->fd, BLKGETSIZE64, &bytes))
		error(1, errno, "%s", argv[1]);
	w->disk_sectors = (unsigned int)(bytes / SECTOR_BYTES);
	w->busy = calloc(w->disk_sectors, sizeof(*w->busy));
	w->history = fopen(argv[2], "w");
	w->xenstore = alone ? -1 : open(XENSTORE_DEVICE, O_RDWR | O_CLOEXEC);
	if (!w->busy || !w->history || (!alone && w->xenstore < 0))
		error(1, errno, "memory, %s or " XENSTORE_DEVICE, argv[2]);
	for (i = 0; i < DEPTH; i++)
		if (posix_memalign((void **)&w->slots[i].data, 4096, MAX_SECTORS * SECTOR_BYTES))
			error(1, 0, "memory");
	err = io_setup(DEPTH + 1, &w->aio);
	if (err)
		error(1, -err, "io_setup");
}

int main(int argc, char **argv)
{
	bool alone = argc == 6 && !strcmp(argv[5], "alone");
	static struct writer writer;
	unsigned int flushes;

	if (argc != 5 && !alone)
		error(2, 0, "usage: power-cut-write DEVICE HISTORY FLUSHES SEED [alone]");
	flushes = (unsigned int)atoi(argv[3]);
	srandom((unsigned int)atoi(argv[4]));
	open_all(&writer, argv, alone);
	for (next_round(&writer); writer.acked < flushes || writer.flush_state != FLUSH_IDLE;)
		turn(&writer, writer.acked < flushes);
	while (in_flight(&writer))
		turn(&writer, false);
	if (fclose(writer.history))
		error(1, errno, "%s", argv[2]);
	printf("%u writes, %u flushes; a mark took %d ms\n", writer.last_write, writer.acked,
	       (int)(writer.marking_ns / writer.acked / 1000000));
	return 0;
}
