// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/grants.h"

#include <errno.h>
#include <stdlib.h>

int grants_init(struct grants *grants, struct xenio *xenio, uint32_t domid,
		struct vbd_stats *stats)
{
	int i;

	*grants = (struct grants){ .xenio = xenio, .stats = stats, .domid = domid };
	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		struct grants_batch *batch = &grants->batches[i];
		/* One more, so that there is something even for none. */
		uint32_t nr = xenio->nr_slots[i] + 1;

		batch->unmaps = calloc(nr, sizeof(*batch->unmaps));
		batch->maps = calloc(nr, sizeof(*batch->maps));
		if (!batch->unmaps || !batch->maps)
			return -ENOMEM;
	}
	return 0;
}

void grants_uninit(struct grants *grants)
{
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		free(grants->batches[i].unmaps);
		free(grants->batches[i].maps);
	}
}

void grants_unmap(struct grants *grants, enum xenio_arena arena, uint32_t slot)
{
	struct grants_batch *batch = &grants->batches[arena];

	batch->unmaps[batch->nr_unmaps++] = (struct xenio_unmap){ .slot = slot };
}

void grants_map(struct grants *grants, enum xenio_arena arena, uint32_t slot, uint32_t gref)
{
	struct grants_batch *batch = &grants->batches[arena];

	batch->maps[batch->nr_maps++] = (struct xenio_map){
		.slot = slot, .gref = gref, .domid = grants->domid,
	};
}

/* The module took a whole call badly: no entry of it was looked at. */
static void fail(struct xenio_unmap *unmaps, uint32_t nr_unmaps, struct xenio_map *maps,
		 uint32_t nr_maps, int err)
{
	while (nr_unmaps)
		unmaps[--nr_unmaps].status = err;
	while (nr_maps)
		maps[--nr_maps].status = err;
}

static int call(struct grants *grants, enum xenio_arena arena, struct xenio_unmap *unmaps,
		uint32_t nr_unmaps, struct xenio_map *maps, uint32_t nr_maps)
{
	int err = grants->xenio->ops->batch(grants->xenio, arena, unmaps, nr_unmaps, maps,
					    nr_maps);

	if (err)
		fail(unmaps, nr_unmaps, maps, nr_maps, err);
	stats_add(&grants->stats->batches, 1);
	return err;
}

static uint32_t at_most(uint32_t n, uint32_t max)
{
	return n < max ? n : max;
}

/* No map before the last unmap: it may be for the same slot. */
static int run_arena(struct grants *grants, enum xenio_arena arena)
{
	const struct grants_batch *batch = &grants->batches[arena];
	uint32_t max = grants->xenio->batch_max;
	uint32_t u = 0, m = 0;
	int worst = 0;

	while (u < batch->nr_unmaps || m < batch->nr_maps) {
		uint32_t nu = at_most(batch->nr_unmaps - u, max);
		uint32_t nm = u + nu < batch->nr_unmaps ? 0 : at_most(batch->nr_maps - m, max);
		int err = call(grants, arena, batch->unmaps + u, nu, batch->maps + m, nm);

		if (err)
			worst = err;
		u += nu;
		m += nm;
	}
	return worst;
}

int grants_run(struct grants *grants)
{
	int worst = 0;
	int err;
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		err = run_arena(grants, (enum xenio_arena)i);
		if (err)
			worst = err;
	}
	return worst;
}

void grants_forget(struct grants *grants)
{
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++)
		grants->batches[i].nr_unmaps = grants->batches[i].nr_maps = 0;
}
