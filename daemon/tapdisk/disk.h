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

#include "image/image.h"
#include "loop/aio.h"
#include "loop/loop.h"
#include "vbd/vbd.h"

struct disk;

struct frontend {
	struct disk *disk;
	struct vbd *vbd;
	struct frontend *next;
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
	struct image image;
	struct aio aio;
	struct store store;
	struct frontend *frontends;
	void (*idle)(void *context);	/* disk_close() waits for frontends */
	void *idle_context;
};

/* Takes over @marker_fd on success. 0, -EBUSY (marker locked), -ENOMEM. */
int disk_attach(struct loop *loop, int minor, int marker_fd, struct disk **out);
/* No image may be open. */
void disk_detach(struct disk *disk);

/*
 * Takes over @fd on success. 0 or -errno with the reason in @why.
 * -EALREADY: an image is open.
 */
int disk_open(struct disk *disk, const char *type, const char *path, int fd,
	      bool readonly, char *why, size_t why_size);

/*
 * Disconnect all frontends, close the image, then call @idle(@context).
 * May call it at once. -EALREADY: somebody is at it; 0 else.
 */
int disk_close(struct disk *disk, void (*idle)(void *context), void *context);

/* Takes over @fds in any case. 0, -EALREADY, -ENODEV (no image), -errno. */
int disk_connect(struct disk *disk, const struct vbd_config *config,
		 struct xenio_fds *fds);

/* 0: @closed will be called; -ENOTCONN; -EALREADY. */
int disk_disconnect(struct disk *disk, uint32_t domid, uint32_t devid,
		    void (*closed)(void *context), void *context);

/* The stats of "tap-ctl stats"; a new object, or NULL without memory. */
struct json_object *disk_stats(const struct disk *disk);

#endif /* TAPDISK_DISK_H */
