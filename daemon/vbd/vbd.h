/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One frontend of a disk: its ring, the grants it lends, and the requests in
 * flight between both and the store.
 */
#ifndef VBD_VBD_H
#define VBD_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "loop/aio.h"
#include "loop/loop.h"
#include "xen/blkif.h"
#include "xen/xenio.h"

/* What all frontends of a disk share. The disk owns it. */
struct store {
	struct image *image;
	struct aio *aio;
	struct loop *loop;
	/*
	 * A flush failed: what was acknowledged may be lost, and no later
	 * flush can prove otherwise. Writes fail from then on.
	 */
	bool flush_failed;
};

struct vbd_config {
	uint32_t domid;
	uint32_t devid;
	uint32_t port;				/* the frontend's event channel */
	enum blkif_protocol protocol;
	uint32_t nr_pages;			/* of the ring; a power of two */
	uint32_t grefs[BLKIF_RING_PAGES_MAX];
	bool readonly;				/* for this frontend */
};

/* Since the frontend connected. Sectors of 512 bytes. */
struct vbd_stats {
	uint64_t reads, writes, flushes;	/* completed well */
	uint64_t read_sectors, write_sectors;
	uint64_t read_errors, write_errors;	/* of the store, or of grants */
	uint64_t bad_requests;			/* refused before any I/O */
	uint64_t requests, responses;		/* taken from, put on the ring */
	uint64_t events, notifies;		/* from, to the frontend */
	uint64_t batches;			/* calls to the module */
	uint64_t grants;			/* mapped */
	uint64_t drains;			/* pages that I/O still held */
};

struct vbd;

/* Slots that xenio must have for @config. */
void vbd_slots(const struct vbd_config *config, uint32_t nr_slots[XENIO_NR_ARENAS]);

/*
 * Map the ring and serve it. Takes over @xenio, on error too. 0 or -errno,
 * logged.
 */
int vbd_create(const struct vbd_config *config, struct store *store,
	       struct xenio *xenio, struct vbd **out);

/*
 * Take no more requests; when all in flight are answered and every grant is
 * unmapped, free the vbd and call @closed(@context). May call it at once. Once
 * only for each vbd.
 */
void vbd_close(struct vbd *vbd, void (*closed)(void *context), void *context);

const struct vbd_config *vbd_config(const struct vbd *vbd);
const struct vbd_stats *vbd_stats(const struct vbd *vbd);
const struct xenio *vbd_xenio(const struct vbd *vbd);
/* Requests taken and not answered. */
uint32_t vbd_outstanding(const struct vbd *vbd);

#endif /* VBD_VBD_H */
