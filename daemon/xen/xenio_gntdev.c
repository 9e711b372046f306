// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xenio for hosts without the xentap module, over Linux's own grant device: the
 * ring is mapped, data is only copied. What gntdev maps it gives back when it
 * likes to, not when it is asked, so that mapping data is out of the question.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xen/grant_table.h>
#include <xen/sys/gntdev.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "xen/blkif.h"
#include "xen/xenio.h"
#include "xen/xenio_event.h"

#define BATCH_MAX	256u
#define POOL_MIN	512u	/* everything is copied: two of the largest requests */

struct xenio_gntdev {
	struct xenio_event event;	/* first */
	int fd;
	void *ring;
	uint64_t ring_index;
	uint32_t nr_ring;
	struct ioctl_gntdev_grant_copy_segment segments[BATCH_MAX];
};

static struct xenio_gntdev *self(struct xenio *xenio)
{
	return (struct xenio_gntdev *)xenio;
}

static int no_batch(struct xenio *xenio, enum xenio_arena arena, struct xenio_unmap *unmaps,
		    uint32_t nr_unmaps, struct xenio_map *maps, uint32_t nr_maps)
{
	(void)xenio;
	(void)arena;
	(void)unmaps;
	(void)maps;
	return nr_unmaps || nr_maps ? -EOPNOTSUPP : 0;
}

static int no_drained(struct xenio *xenio, enum xenio_arena arena,
		      struct xenio_drained *records, uint32_t nr)
{
	(void)xenio;
	(void)arena;
	(void)records;
	(void)nr;
	return 0;
}

/* ---- copies ---- */

static int copy_errno(int16_t status)
{
	switch (status) {
	case GNTST_okay:
		return 0;
	case GNTST_bad_domain:
		return -ESRCH;
	case GNTST_bad_gntref:
		return -ENOENT;
	case GNTST_permission_denied:
		return -EACCES;
	case GNTST_bad_page:
		return -EFAULT;
	case GNTST_eagain:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

static struct ioctl_gntdev_grant_copy_segment segment(const struct xenio *xenio,
						      const struct xenio_copy *copy)
{
	bool to_guest = copy->flags & XENIO_COPY_TO_GUEST;
	struct ioctl_gntdev_grant_copy_segment segment = {
		.len = copy->len,
		.flags = to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref,
		.status = GNTST_general_error,
	};
	typeof(segment.source) own = {
		.virt = (uint8_t *)xenio_page(xenio, copy->page) + copy->page_offset,
	};
	typeof(segment.source) guest = { .foreign = {
		.ref = copy->gref, .offset = copy->gref_offset, .domid = (uint16_t)copy->domid,
	} };

	memcpy(to_guest ? &segment.source : (void *)&segment.dest, &own, sizeof(own));
	memcpy(to_guest ? (void *)&segment.dest : &segment.source, &guest, sizeof(guest));
	return segment;
}

static int gntdev_copy(struct xenio *xenio, struct xenio_copy *copies, uint32_t nr)
{
	struct xenio_gntdev *gntdev = self(xenio);
	struct ioctl_gntdev_grant_copy call = { .count = nr, .segments = gntdev->segments };
	uint32_t i;

	if (nr > BATCH_MAX)
		return -EINVAL;
	for (i = 0; i < nr; i++)
		gntdev->segments[i] = segment(xenio, &copies[i]);
	/* It may stop in the middle: what it did not look at has failed. */
	if (ioctl(gntdev->fd, IOCTL_GNTDEV_GRANT_COPY, &call) && errno == EINVAL)
		return -errno;
	for (i = 0; i < nr; i++)
		copies[i].status = copy_errno(gntdev->segments[i].status);
	return 0;
}

/* ---- ring ---- */

static int gntdev_ring_map(struct xenio *xenio, uint32_t domid, const uint32_t *grefs,
			   uint32_t nr, void **ring)
{
	struct xenio_gntdev *gntdev = self(xenio);
	union {
		struct ioctl_gntdev_map_grant_ref map;
		uint8_t room[sizeof(struct ioctl_gntdev_map_grant_ref) +
			     BLKIF_RING_PAGES_MAX * sizeof(struct ioctl_gntdev_grant_ref)];
	} call = { .map = { .count = nr } };
	struct ioctl_gntdev_grant_ref *refs =
		(struct ioctl_gntdev_grant_ref *)(call.room +
			offsetof(struct ioctl_gntdev_map_grant_ref, refs));
	uint32_t i;

	for (i = 0; i < nr; i++)
		refs[i] = (struct ioctl_gntdev_grant_ref){ .domid = domid, .ref = grefs[i] };
	if (ioctl(gntdev->fd, IOCTL_GNTDEV_MAP_GRANT_REF, &call.map))
		return -errno;
	gntdev->ring_index = call.map.index;
	gntdev->nr_ring = nr;
	gntdev->ring = mmap(NULL, (size_t)nr * XENIO_SLOT_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED, gntdev->fd, (off_t)call.map.index);
	if (gntdev->ring == MAP_FAILED) {
		gntdev->ring = NULL;
		return -errno;
	}
	*ring = gntdev->ring;
	return 0;
}

static void gntdev_ring_unmap(struct xenio *xenio, uint32_t nr)
{
	struct xenio_gntdev *gntdev = self(xenio);
	struct ioctl_gntdev_unmap_grant_ref call = { .index = gntdev->ring_index, .count = nr };

	if (!gntdev->ring)
		return;
	munmap(gntdev->ring, (size_t)nr * XENIO_SLOT_BYTES);
	gntdev->ring = NULL;
	ioctl(gntdev->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &call);
}

/* ---- life ---- */

static void gntdev_destroy(struct xenio *xenio)
{
	struct xenio_gntdev *gntdev = self(xenio);

	xenio_event_unbind(&gntdev->event);
	gntdev_ring_unmap(xenio, gntdev->nr_ring);
	if (xenio->pool)
		munmap(xenio->pool, (size_t)xenio->nr_pool * XENIO_SLOT_BYTES);
	fd_close(&gntdev->fd);
	free(gntdev);
}

static const struct xenio_ops gntdev_ops = {
	.batch = no_batch,
	.drained = no_drained,
	.copy = gntdev_copy,
	.ring_map = gntdev_ring_map,
	.ring_unmap = gntdev_ring_unmap,
	.event_take = xenio_event_take,
	.event_unmask = xenio_event_unmask,
	.event_send = xenio_event_send,
	.destroy = gntdev_destroy,
};

static int make_pool(struct xenio *xenio, uint32_t nr_pages)
{
	void *pool;

	if (nr_pages < POOL_MIN)
		nr_pages = POOL_MIN;
	pool = mmap(NULL, (size_t)nr_pages * XENIO_SLOT_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool == MAP_FAILED)
		return -errno;
	xenio->pool = pool;
	xenio->nr_pool = nr_pages;
	return 0;
}

int xenio_gntdev_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	struct xenio_gntdev *gntdev = calloc(1, sizeof(*gntdev));
	int err = gntdev ? 0 : -ENOMEM;

	if (gntdev) {
		gntdev->event.xenio = (struct xenio){
			.ops = &gntdev_ops, .drain_fd = { -1, -1 }, .event_fd = -1,
			.batch_max = BATCH_MAX,
		};
		gntdev->fd = fd_take(&fds->gntdev);
		err = make_pool(&gntdev->event.xenio, shape->nr_pool);
	}
	if (!err)
		err = xenio_event_bind(&gntdev->event, &fds->evtchn, domid, port);
	if (err)
		log_error("domain %u: cannot use /dev/xen/gntdev with event channel %u: %s",
			  domid, port, strerror(-err));
	fd_close(&fds->gntdev);
	fd_close(&fds->evtchn);
	if (err && gntdev)
		gntdev_destroy(&gntdev->event.xenio);
	else if (!err)
		*out = &gntdev->event.xenio;
	return err;
}
