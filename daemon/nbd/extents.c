// SPDX-License-Identifier: GPL-2.0-or-later
#include "nbd/extents.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Neighbours of one kind are one. False: there is no room for another one. */
static bool add(struct extents_query *query, uint64_t bytes, bool hole)
{
	struct extent *last = query->nr ? &query->extents[query->nr - 1] : NULL;

	if (last && last->hole == hole) {
		last->bytes += (uint32_t)bytes;
		return true;
	}
	if (query->nr == query->max)
		return false;
	query->extents[query->nr++] = (struct extent){ (uint32_t)bytes, hole };
	return true;
}

/*
 * Where the extent at @at ends, and of which kind it is. What is not known has data.
 * A part of a sector that has some makes all of it data.
 */
static uint64_t extent_at(int fd, uint64_t at, uint64_t end, bool *hole)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);
	off_t next;

	/* No data up to the end of the file. */
	if (data < 0 && errno == ENXIO)
		data = (off_t)end;
	*hole = data >= 0 && (uint64_t)data >= at + SECTOR_BYTES;
	if (*hole) {
		uint64_t stop = (uint64_t)data & ~(uint64_t)(SECTOR_BYTES - 1);

		return stop < end ? stop : end;
	}
	next = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	if (next < 0 || (uint64_t)next >= end)
		return end;
	next = (next + (off_t)SECTOR_BYTES - 1) & ~(off_t)(SECTOR_BYTES - 1);
	return (uint64_t)next > at ? (uint64_t)next : at + SECTOR_BYTES;
}

static void look(const struct image *image, struct extents_query *query)
{
	uint64_t at = query->start;
	bool hole;

	query->nr = 0;
	while (at < query->end) {
		uint64_t next = extent_at(image->fd, at, query->end, &hole);

		if (!add(query, next - at, hole))
			break;
		at = next;
	}
}

/* The next one, or NULL: it is over. Waits, with the mutex held. */
static struct extents_query *dequeue(struct extents *extents)
{
	struct extents_query *query;

	while (!extents->first && !extents->stop)
		pthread_cond_wait(&extents->more, &extents->mutex);
	query = extents->first;
	if (!query)
		return NULL;
	extents->first = query->next;
	if (!extents->first)
		extents->end = &extents->first;
	return query;
}

static void *extents_thread(void *context)
{
	struct extents *extents = context;
	struct extents_query *query;

	pthread_mutex_lock(&extents->mutex);
	while ((query = dequeue(extents)) != NULL) {
		pthread_mutex_unlock(&extents->mutex);
		look(extents->image, query);
		worker_send(query->worker, &query->note);
		pthread_mutex_lock(&extents->mutex);
	}
	pthread_mutex_unlock(&extents->mutex);
	return NULL;
}

/* Called with the mutex held. The thread takes no signal: they are the loop's. */
static bool start_thread(struct extents *extents)
{
	sigset_t all, before;
	int err;

	if (extents->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&extents->thread, NULL, extents_thread, extents);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		log_warning("cannot start a thread that looks for holes, all counts as data: %s",
			    strerror(err));
	extents->started = !err;
	return !err;
}

void extents_ask(struct extents *extents, struct extents_query *query)
{
	bool thread = false;

	pthread_mutex_lock(&extents->mutex);
	/* A device does not tell. */
	if (!extents->image->is_device)
		thread = start_thread(extents);
	if (thread) {
		query->next = NULL;
		*extents->end = query;
		extents->end = &query->next;
		pthread_cond_signal(&extents->more);
	}
	pthread_mutex_unlock(&extents->mutex);
	if (thread)
		return;
	query->nr = 0;
	add(query, query->end - query->start, false);
	worker_send(query->worker, &query->note);
}

void extents_init(struct extents *extents, const struct image *image)
{
	*extents = (struct extents){ .image = image };
	extents->end = &extents->first;
	pthread_mutex_init(&extents->mutex, NULL);
	pthread_cond_init(&extents->more, NULL);
}

void extents_uninit(struct extents *extents)
{
	pthread_mutex_lock(&extents->mutex);
	extents->stop = true;
	pthread_cond_signal(&extents->more);
	pthread_mutex_unlock(&extents->mutex);
	if (extents->started)
		pthread_join(extents->thread, NULL);
	pthread_cond_destroy(&extents->more);
	pthread_mutex_destroy(&extents->mutex);
}
