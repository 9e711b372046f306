// SPDX-License-Identifier: GPL-2.0-or-later
/* xenio over the xentap module and Xen's event channel device. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "uapi/xentap.h"
#include "xen/xenio.h"
#include "xen/xenio_event.h"

/* Entries pass through as they are. */
_Static_assert(sizeof(struct xenio_map) == sizeof(struct xentap_map) &&
	       offsetof(struct xenio_map, slot) == offsetof(struct xentap_map, slot) &&
	       offsetof(struct xenio_map, gref) == offsetof(struct xentap_map, gref) &&
	       offsetof(struct xenio_map, domid) == offsetof(struct xentap_map, domid) &&
	       offsetof(struct xenio_map, status) == offsetof(struct xentap_map, status), "map");
_Static_assert(sizeof(struct xenio_unmap) == sizeof(struct xentap_unmap) &&
	       offsetof(struct xenio_unmap, slot) == offsetof(struct xentap_unmap, slot) &&
	       offsetof(struct xenio_unmap, status) == offsetof(struct xentap_unmap, status), "unmap");
_Static_assert(sizeof(struct xenio_drained) == sizeof(struct xentap_drained) &&
	       offsetof(struct xenio_drained, slot) == offsetof(struct xentap_drained, slot) &&
	       offsetof(struct xenio_drained, status) == offsetof(struct xentap_drained, status),
	       "drained");
_Static_assert(sizeof(struct xenio_copy) == sizeof(struct xentap_copy) &&
	       offsetof(struct xenio_copy, page) == offsetof(struct xentap_copy, page) &&
	       offsetof(struct xenio_copy, gref) == offsetof(struct xentap_copy, gref) &&
	       offsetof(struct xenio_copy, domid) == offsetof(struct xentap_copy, domid) &&
	       offsetof(struct xenio_copy, page_offset) ==
			offsetof(struct xentap_copy, page_offset) &&
	       offsetof(struct xenio_copy, gref_offset) ==
			offsetof(struct xentap_copy, gref_offset) &&
	       offsetof(struct xenio_copy, len) == offsetof(struct xentap_copy, len) &&
	       offsetof(struct xenio_copy, flags) == offsetof(struct xentap_copy, flags) &&
	       offsetof(struct xenio_copy, status) == offsetof(struct xentap_copy, status) &&
	       XENIO_COPY_TO_GUEST == XENTAP_COPY_F_TO_GUEST, "copy");
_Static_assert(XENIO_SLOT_BYTES == XENTAP_SLOT_BYTES, "slot");

static int xentap_batch(struct xenio *xenio, enum xenio_arena arena,
			struct xenio_unmap *unmaps, uint32_t nr_unmaps,
			struct xenio_map *maps, uint32_t nr_maps)
{
	struct xentap_batch batch = {
		.unmaps = (uintptr_t)unmaps,
		.maps = (uintptr_t)maps,
		.nr_unmaps = nr_unmaps,
		.nr_maps = nr_maps,
	};

	return ioctl(xenio->drain_fd[arena], XENTAP_IOC_BATCH, &batch) ? -errno : 0;
}

static int xentap_drained(struct xenio *xenio, enum xenio_arena arena,
			  struct xenio_drained *records, uint32_t nr)
{
	ssize_t got = read(xenio->drain_fd[arena], records, nr * sizeof(*records));

	if (got < 0)
		return errno == EAGAIN ? 0 : -errno;
	return (int)((size_t)got / sizeof(*records));
}

static int xentap_copy(struct xenio *xenio, struct xenio_copy *copies, uint32_t nr)
{
	struct xentap_copy_list list = { .entries = (uintptr_t)copies, .nr = nr };

	return ioctl(xenio->drain_fd[XENIO_RW], XENTAP_IOC_COPY, &list) ? -errno : 0;
}

static void xentap_destroy(struct xenio *xenio)
{
	struct xenio_event *event = (struct xenio_event *)xenio;
	int i;

	xenio_event_unbind(event);
	if (xenio->pool)
		munmap(xenio->pool, (size_t)xenio->nr_pool * XENIO_SLOT_BYTES);
	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		if (xenio->base[i])
			munmap(xenio->base[i], (size_t)xenio->nr_slots[i] * XENIO_SLOT_BYTES);
		fd_close(&xenio->drain_fd[i]);
	}
	free(event);
}

static const struct xenio_ops xentap_ops = {
	.batch = xentap_batch,
	.drained = xentap_drained,
	.copy = xentap_copy,
	.ring_map = xenio_arena_ring_map,
	.ring_unmap = xenio_arena_ring_unmap,
	.event_take = xenio_event_take,
	.event_unmask = xenio_event_unmask,
	.event_send = xenio_event_send,
	.destroy = xentap_destroy,
};

static int arena_open(struct xenio *xenio, enum xenio_arena arena, int *fd,
		      uint32_t nr_slots)
{
	struct xentap_arena_create create = {
		.nr_slots = nr_slots,
		.flags = arena == XENIO_RO ? XENTAP_ARENA_F_RDONLY : 0,
	};
	int protection = arena == XENIO_RO ? PROT_READ : PROT_READ | PROT_WRITE;
	struct xentap_info info;
	void *base;

	xenio->drain_fd[arena] = fd_take(fd);
	if (fcntl(xenio->drain_fd[arena], F_SETFL, O_RDWR | O_NONBLOCK) ||
	    ioctl(xenio->drain_fd[arena], XENTAP_IOC_GET_INFO, &info) ||
	    ioctl(xenio->drain_fd[arena], XENTAP_IOC_ARENA_CREATE, &create))
		return -errno;
	if (info.abi_version < XENTAP_ABI_VERSION)
		return -EPROTONOSUPPORT;
	base = mmap(NULL, (size_t)nr_slots * XENIO_SLOT_BYTES, protection, MAP_SHARED,
		    xenio->drain_fd[arena], 0);
	if (base == MAP_FAILED)
		return -errno;
	xenio->base[arena] = base;
	xenio->nr_slots[arena] = nr_slots;
	xenio->batch_max = info.max_batch;
	return 0;
}

static int pool_open(struct xenio *xenio, uint32_t nr_pages)
{
	struct xentap_pool_create create = { .nr_pages = nr_pages };
	int fd = xenio->drain_fd[XENIO_RW];
	void *pool;

	if (ioctl(fd, XENTAP_IOC_POOL_CREATE, &create))
		return -errno;
	pool = mmap(NULL, (size_t)nr_pages * XENIO_SLOT_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, (off_t)XENTAP_POOL_OFFSET);
	if (pool == MAP_FAILED)
		return -errno;
	xenio->pool = pool;
	xenio->nr_pool = nr_pages;
	return 0;
}

int xenio_xentap_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	struct xenio_event *xentap = calloc(1, sizeof(*xentap));
	int err = xentap ? 0 : -ENOMEM;
	int i;

	if (xentap)
		xentap->xenio = (struct xenio){
			.ops = &xentap_ops, .drain_fd = { -1, -1 }, .event_fd = -1,
		};
	for (i = 0; i < XENIO_NR_ARENAS && !err; i++) {
		uint32_t nr = shape->nr_slots[i] + (i == XENIO_RW ? shape->nr_ring : 0);

		err = arena_open(&xentap->xenio, (enum xenio_arena)i, &fds->tap[i], nr);
		if (err)
			log_error("domain %u: cannot set up %u slots of /dev/xen/tap: %s", domid,
				  nr, strerror(-err));
	}
	if (!err) {
		err = pool_open(&xentap->xenio, shape->nr_pool);
		if (err)
			log_error("domain %u: cannot set up a pool of %u pages of /dev/xen/tap: %s",
				  domid, shape->nr_pool, strerror(-err));
	}
	if (!err) {
		err = xenio_event_bind(xentap, &fds->evtchn, domid, port);
		if (err)
			log_error("domain %u: cannot bind event channel %u: %s", domid, port,
				  strerror(-err));
	}
	for (i = 0; i < XENIO_NR_ARENAS; i++)
		fd_close(&fds->tap[i]);
	fd_close(&fds->evtchn);
	if (err && xentap)
		xentap_destroy(&xentap->xenio);
	else if (!err)
		*out = &xentap->xenio;
	return err;
}
