/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One disk of this process: a minor number and its marker, the image, and the
 * frontends that are connected to it. Several guests may share a read-only
 * image, and then share the disk.
 */
#ifndef TAPDISK_DISK_H
#define TAPDISK_DISK_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "image/image.h"
#include "loop/loop.h"
#include "loop/thread.h"
#include "loop/worker.h"
#include "nbd/server.h"
#include "store/store.h"
#include "vbd/vbd.h"

struct disk;

struct frontend {
	struct disk *disk;
	uint32_t domid, devid;
	struct vbd *vbd;		/* NULL: closed */
	struct frontend *next;
	int journal_fd;			/* -1: none */
	struct journal_head *journal;
	size_t journal_bytes;
	int xentop_fd;			/* where our numbers are shown (xentop.h); -1: nowhere */
	/* Who asked to disconnect, and is told when that is done; or NULL. */
	void (*closed)(void *context);
	void *closed_context;
	bool closing;
};

struct disk {
	struct loop *loop;
	int minor;
	int marker_fd;			/* locked for as long as we are attached */
	char *type;			/* "aio"; NULL while no image is open */
	char *path;			/* for people */
	bool pausing;			/* closing, by disk_pause() */
	struct {
		char *type, *path;	/* of what was open before; NULL: not paused */
		uint64_t sectors;	/* of 512 bytes: the size that guests know */
	} paused;
	struct image image;
	bool locked;			/* the image is ours (image/lock.h) */
	struct timer lock;		/* when it is not: tries again */
	unsigned int lock_tries;
	uint64_t io_lock;		/* locked in the image's file as long as I/O lasts; 0: not */
	enum data_way way;		/* as the options said */
	uint32_t copy_max;
	uint64_t poll_ns;
	struct worker worker;		/* in the main thread: home, and the first queues */
	struct thread *threads[VBD_QUEUES_MAX - 1];	/* for the others; as many as needed yet */
	unsigned int nr_threads;
	struct store store;
	struct nbd_server *nbd;		/* NULL: none; disk_close() waits for it, too */
	/* What guests can have written to the log, by how they connect and in each queue. */
	struct log_limit connects, complaints[VBD_QUEUES_MAX];
	struct frontend *frontends;
	struct frontend *left;		/* closed by a pause; their journals are kept */
	struct frontend *gone;		/* without a vbd; to be freed by the next */
	struct loop_task reap;
	enum vbd_end how;		/* frontends are closed */
	void (*idle)(void *context);	/* disk_close() waits for frontends */
	void *idle_context;
};

/* Takes over @marker_fd on success. 0, -EBUSY (marker locked), -ENOMEM. */
int disk_attach(struct loop *loop, int minor, int marker_fd, struct disk **out);
/* No image may be open. */
void disk_detach(struct disk *disk);

/* How an image is to be served. */
struct disk_options {
	const char *type;
	const char *path;		/* for people */
	bool readonly;
	bool lock_later;		/* the image is another disk's for a while */
	bool flush_failed;		/* in the tapdisk whose place this one takes */
	uint32_t sector_bytes;		/* 512 or 4096 */
	/* Filters of this process, above those of this disk (filter/filter.h). */
	const char *const *outer_filters;
	unsigned int nr_outer_filters;
	const char *const *filters;
	unsigned int nr_filters;
	const int *filter_fds;		/* what "fd=N" of the latter counts */
	unsigned int nr_filter_fds;
	enum data_way way;		/* how data is moved */
	uint32_t copy_max;		/* bytes */
	uint64_t poll_ns;		/* vbd/poller.h */
	/* A socket that listens for NBD clients, taken over on success; or -1. */
	int nbd_fd;
};

/*
 * Takes over @fd on success. 0 or -errno with the reason in @why.
 * -EALREADY: an image is open. A disk that was paused keeps its size, which the image must
 * have at least.
 */
int disk_open(struct disk *disk, const struct disk_options *options, int fd,
	      char *why, size_t why_size);

/*
 * Disconnect all frontends and NBD clients, close the image, then call @idle(@context).
 * May call it at once. -EALREADY: somebody is at it; 0 else.
 */
int disk_close(struct disk *disk, enum vbd_end how, void (*idle)(void *context), void *context);

/*
 * Close the image for a while. What is in flight is finished; guests connect anew, by their
 * journals, when another one is open. What @idle gets is as with disk_close(), but
 * -ENODEV: no image is open; -EOPNOTSUPP: a guest that has no journal could not go on.
 */
int disk_pause(struct disk *disk, void (*idle)(void *context), void *context);

/* What disk_pause() has begun ends as disk_close() does. */
void disk_pause_for_good(struct disk *disk);

/* Guests that wait for the end of a pause wait for nothing any more: nobody goes on with them. */
void disk_end_left(struct disk *disk);

/*
 * In a new tapdisk: the disk was paused in the one before, with that image. 0, -ENOMEM, or
 * -EALREADY: it is paused or has an image open.
 */
int disk_set_paused(struct disk *disk, const char *type, const char *path, uint64_t sectors);

static inline bool disk_is_paused(const struct disk *disk)
{
	return disk->paused.path;
}

/* Of what is open, or was until the disk was paused; NULL: neither. */
static inline const char *disk_type(const struct disk *disk)
{
	return disk_is_paused(disk) ? disk->paused.type : disk->type;
}

static inline const char *disk_path(const struct disk *disk)
{
	return disk_is_paused(disk) ? disk->paused.path : disk->path;
}

/*
 * Takes over @fds, as many as @config has queues, in any case, and @journal, a
 * memfd or -1, and @xentop, a file or -1, on success. The options of the disk are filled
 * in. 0, -EALREADY, -ENODEV (no image), -EBUSY (paused; or I/O of the tapdisk that left the
 * journal is under way, or of another domain that has the same image to write), -errno.
 */
int disk_connect(struct disk *disk, struct vbd_config *config, struct xenio_fds *fds,
		 int journal, int xentop);

/* The frontend, which may be closed by a pause, or NULL. */
const struct frontend *disk_frontend(const struct disk *disk, uint32_t domid, uint32_t devid);

/* 0: @closed will be called; -ENOTCONN; -EALREADY. */
int disk_disconnect(struct disk *disk, uint32_t domid, uint32_t devid,
		    void (*closed)(void *context), void *context);

/* The stats of "tap-ctl stats"; a new object, or NULL without memory. */
struct json_object *disk_stats(const struct disk *disk);

#endif /* TAPDISK_DISK_H */
