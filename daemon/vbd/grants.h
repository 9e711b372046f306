/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pass wants of the module: slots to unmap and grants to map, collected
 * and then done in as few calls as it takes, one for each arena where possible.
 */
#ifndef VBD_GRANTS_H
#define VBD_GRANTS_H

#include <stdint.h>

#include "vbd/stats.h"
#include "xen/xenio.h"

struct grants_batch {
	struct xenio_unmap *unmaps;
	struct xenio_map *maps;
	uint32_t nr_unmaps;
	uint32_t nr_maps;
};

struct grants {
	struct xenio *xenio;
	struct vbd_stats *stats;
	uint32_t domid;
	struct grants_batch batches[XENIO_NR_ARENAS];
};

/* Room for each slot of @xenio, once. 0 or -ENOMEM. */
int grants_init(struct grants *grants, struct xenio *xenio, uint32_t domid,
		struct vbd_stats *stats);
void grants_uninit(struct grants *grants);

void grants_unmap(struct grants *grants, enum xenio_arena arena, uint32_t slot);
/* A slot that is unmapped in the same batch may be mapped again. */
void grants_map(struct grants *grants, enum xenio_arena arena, uint32_t slot, uint32_t gref);

/*
 * Do it all. Every entry then has its status, and stays until
 * grants_forget(). 0, or the last -errno of the module itself, which is also
 * the status of all that was not done.
 */
int grants_run(struct grants *grants);
void grants_forget(struct grants *grants);

#endif /* VBD_GRANTS_H */
