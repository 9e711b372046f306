// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libaio knows no discard, and the calls that do it block: for as long as a
 * device needs to trim, or a file system to free extents. One thread for each
 * disk makes them, started with the first discard, so that a disk without
 * costs nothing. One is enough: devices carry discards out one after the
 * other anyway, and what waits is bounded by the rings. A long discard is done
 * in steps, and a step of each in turn, so that a whole-disk one holds up
 * neither others nor, by a file's lock, reads and writes for long.
 */
#include "store/discarder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"

#define STEP_BYTES (64u << 20)

/* The last border of the device's granularity that is not after @byte. */
static uint64_t border_before(const struct image *image, uint64_t byte)
{
	uint64_t granularity = image->discard_granularity;
	uint64_t alignment = image->discard_alignment;

	if (byte < alignment)
		return 0;
	return byte - (byte - alignment) % granularity;
}

/* Steps end at a border: what lies across one may not be discarded at all. */
static uint64_t step_end(const struct image *image, const struct io *io, uint64_t end)
{
	uint64_t border;

	if (end - io->progress <= STEP_BYTES)
		return end;
	border = border_before(image, io->progress + STEP_BYTES);
	if (border <= io->progress)
		border += image->discard_granularity;
	return border > io->progress && border < end ? border : end;
}

/*
 * What of @io is to be discarded: whole units only, never a byte outside. A
 * device leaves out by itself what it cannot discard; a file's store would
 * write zeros there instead.
 */
static uint64_t trim(const struct image *image, const struct io *io, uint64_t *start)
{
	uint64_t unit = image->is_device ? image->block_bytes : image->discard_granularity;
	uint64_t end = io->offset + io->bytes;

	*start = (io->offset + unit - 1) / unit * unit;
	end -= end % unit;
	return end > *start ? end : *start;
}

static int discard(const struct image *image, const struct io *io, uint64_t start, uint64_t end)
{
	uint64_t range[2] = { start, end - start };
	int err;

	if (image->is_device)
		err = ioctl(image->fd, io->flags & IO_SECURE ? BLKSECDISCARD : BLKDISCARD, range);
	else
		err = fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)start, (off_t)(end - start));
	return err ? -errno : 0;
}

static void ended_run(struct note *note)
{
	struct io *io = (struct io *)((char *)note - offsetof(struct io, note));

	io_done(io, io->result);
}

/* One step of @io; true: it has ended. */
static bool run_step(const struct image *image, struct io *io)
{
	uint64_t start;
	uint64_t end = trim(image, io, &start);
	uint64_t next = step_end(image, io, end);

	io->result = discard(image, io, io->progress, next);
	if (io->result == -EINTR)
		return false;
	io->progress = next;
	return io->result || next == end;
}

/* Called with the mutex held. */
static void enqueue(struct discarder *discarder, struct io *io)
{
	io->next = NULL;
	*discarder->end = io;
	discarder->end = &io->next;
}

/* The next one, or NULL: it is over. Waits, with the mutex held. */
static struct io *dequeue(struct discarder *discarder)
{
	struct io *io;

	while (!discarder->first && !discarder->stop)
		pthread_cond_wait(&discarder->more, &discarder->mutex);
	io = discarder->first;
	if (!io)
		return NULL;
	discarder->first = io->next;
	if (!discarder->first)
		discarder->end = &discarder->first;
	return io;
}

static void *discarder_thread(void *context)
{
	struct discarder *discarder = context;
	struct io *io;

	pthread_mutex_lock(&discarder->mutex);
	while ((io = dequeue(discarder)) != NULL) {
		bool ended;

		pthread_mutex_unlock(&discarder->mutex);
		ended = run_step(discarder->image, io);
		if (ended) {
			io->note.run = ended_run;
			worker_send(io->worker, &io->note);
		}
		pthread_mutex_lock(&discarder->mutex);
		if (!ended)
			enqueue(discarder, io);
	}
	pthread_mutex_unlock(&discarder->mutex);
	return NULL;
}

/* Called with the mutex held. The thread takes no signal: they are the loop's. */
static int start_thread(struct discarder *discarder)
{
	sigset_t all, before;
	int err;

	if (discarder->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&discarder->thread, NULL, discarder_thread, discarder);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		log_error("cannot start a thread for discards: %s", strerror(err));
	discarder->started = !err;
	return -err;
}

/* More than trim() says may not be left behind: a guest asked for its erasure. */
static int check(const struct image *image, const struct io *io)
{
	if (!image->can_discard)
		return -EOPNOTSUPP;
	if (!(io->flags & IO_SECURE))
		return 0;
	if (!image->discard_secure)
		return -EOPNOTSUPP;
	return (io->offset | io->bytes) % image->block_bytes ? -EINVAL : 0;
}

void discarder_submit(struct discarder *discarder, struct io *io)
{
	int err = check(discarder->image, io);
	uint64_t start;
	uint64_t end = trim(discarder->image, io, &start);

	if (err || start == end) {
		io_done(io, err);
		return;
	}
	pthread_mutex_lock(&discarder->mutex);
	err = start_thread(discarder);
	if (!err) {
		io->progress = start;
		enqueue(discarder, io);
		pthread_cond_signal(&discarder->more);
	}
	pthread_mutex_unlock(&discarder->mutex);
	if (err)
		io_done(io, err);
}

void discarder_init(struct discarder *discarder, const struct image *image)
{
	*discarder = (struct discarder){ .image = image };
	discarder->end = &discarder->first;
	pthread_mutex_init(&discarder->mutex, NULL);
	pthread_cond_init(&discarder->more, NULL);
}

void discarder_uninit(struct discarder *discarder)
{
	pthread_mutex_lock(&discarder->mutex);
	discarder->stop = true;
	pthread_cond_signal(&discarder->more);
	pthread_mutex_unlock(&discarder->mutex);
	if (discarder->started)
		pthread_join(discarder->thread, NULL);
	pthread_cond_destroy(&discarder->more);
	pthread_mutex_destroy(&discarder->mutex);
}
