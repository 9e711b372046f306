// SPDX-License-Identifier: GPL-2.0-or-later
#include "xen/xenio.h"

#include <stddef.h>

#include "xen/blkif.h"

/* The last slots of the writable arena. */
static uint32_t first_slot(const struct xenio *xenio, uint32_t nr)
{
	return xenio->nr_slots[XENIO_RW] - nr;
}

int xenio_arena_ring_map(struct xenio *xenio, uint32_t domid, const uint32_t *grefs,
			 uint32_t nr, void **ring)
{
	struct xenio_map maps[BLKIF_RING_PAGES_MAX];
	uint32_t first = first_slot(xenio, nr);
	uint32_t i;
	int err;

	for (i = 0; i < nr; i++)
		maps[i] = (struct xenio_map){ .slot = first + i, .gref = grefs[i], .domid = domid };
	err = xenio->ops->batch(xenio, XENIO_RW, NULL, 0, maps, nr);
	for (i = 0; i < nr && !err; i++)
		err = maps[i].status;
	if (err)
		return err;
	*ring = xenio_address(xenio, XENIO_RW, first);
	return 0;
}

void xenio_arena_ring_unmap(struct xenio *xenio, uint32_t nr)
{
	struct xenio_unmap unmaps[BLKIF_RING_PAGES_MAX];
	uint32_t i;

	for (i = 0; i < nr; i++)
		unmaps[i].slot = first_slot(xenio, nr) + i;
	xenio->ops->batch(xenio, XENIO_RW, unmaps, nr, NULL, 0);
}
