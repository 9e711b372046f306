/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A way to have a guest's pages at hand for I/O. There are three: map grants
 * for one request (mover_map.c), copy to and from memory of our own
 * (mover_copy.c), and keep grants mapped that the frontend uses again
 * (mover_persistent.c). data.c chooses.
 *
 * Movers only note down what they want done; data.c does it for all requests
 * of a pass together.
 */
#ifndef VBD_MOVER_H
#define VBD_MOVER_H

#include <stdbool.h>

#include "vbd/grants.h"
#include "vbd/request.h"
#include "vbd/slots.h"

struct mover_ops {
	/*
	 * Room for all of a request's pages, and what has to be done before its
	 * I/O. False: no room now.
	 */
	bool (*begin)(struct mover *mover, struct request *request);
	/* It was done: 0, or why the data is not at hand. */
	int (*ready)(struct mover *mover, const struct request *request);
	/* Fill in iov. */
	void (*gather)(struct mover *mover, struct request *request);
	/* I/O ended, or did not begin because of request->error. */
	void (*end)(struct mover *mover, struct request *request);
	/* What that wanted was done, and nothing drains: give the room back. */
	void (*release)(struct mover *mover, struct request *request);
};

struct mover {
	const struct mover_ops *ops;
};

/* ---- map ---- */

struct mover_map {
	struct mover mover;
	struct grants *grants;
	struct slots slots[XENIO_NR_ARENAS];
	struct request **owners[XENIO_NR_ARENAS];	/* of each slot in use */
};

/* Slots 0..@nr-1 of both arenas are for this. 0 or -ENOMEM. */
int mover_map_init(struct mover_map *map, struct grants *grants, uint32_t nr);
void mover_map_uninit(struct mover_map *map);
/* What became of a slot. */
void mover_map_mapped(struct mover_map *map, enum xenio_arena arena,
		      const struct xenio_map *result);
void mover_map_unmapped(struct mover_map *map, enum xenio_arena arena,
			const struct xenio_unmap *result);
/* A request that can be answered now because nothing of it drains, or NULL. */
struct request *mover_map_drained(struct mover_map *map, enum xenio_arena arena,
				  const struct xenio_drained *record);

/* The grant that a request has mapped at @slot. 0 or -ENOENT. */
int mover_map_gref(const struct mover_map *map, enum xenio_arena arena, uint32_t slot,
		   uint32_t *gref);

/* ---- copy ---- */

struct mover_copy {
	struct mover mover;
	struct xenio *xenio;
	struct vbd_stats *stats;
	uint32_t domid;
	struct slots pages;
	struct xenio_copy *copies;
	struct request **owners;	/* of each copy */
	uint32_t nr_copies;
	struct request **users;		/* of each page in use */
};

int mover_copy_init(struct mover_copy *copy, struct xenio *xenio, uint32_t domid,
		    struct vbd_stats *stats);
void mover_copy_uninit(struct mover_copy *copy);
/* The page that holds an indirect request's segments: ask, and once it ran, read. */
bool mover_copy_fetch(struct mover_copy *copy, struct request *request);
void mover_copy_fetched(struct mover_copy *copy, struct request *request);
/* The grant whose data is in @page. 0 or -ENOENT. */
int mover_copy_gref(const struct mover_copy *copy, uint32_t page, uint32_t *gref);
/* Do what was asked for; the first error of a request becomes its own. */
void mover_copy_run(struct mover_copy *copy);

/* ---- persistent ---- */

struct kept;

struct mover_persistent {
	struct mover mover;
	struct grants *grants;
	struct vbd_stats *stats;
	uint32_t first_slot;		/* of the writable arena */
	uint32_t nr;			/* the cap */
	struct kept *kept;		/* one for each slot */
	uint32_t *buckets;
	uint32_t nr_buckets;		/* a power of two */
	uint32_t free;			/* a list, like the next */
	uint32_t newest, oldest;	/* not in use, by age */
	uint32_t nr_free, nr_idle;
	uint32_t nr_draining;
};

/* Slots @first..@first+@nr-1 of the writable arena are for this. 0 or -ENOMEM. */
int mover_persistent_init(struct mover_persistent *persistent, struct grants *grants,
			  uint32_t first, uint32_t nr, struct vbd_stats *stats);
void mover_persistent_uninit(struct mover_persistent *persistent);
void mover_persistent_mapped(struct mover_persistent *persistent,
			     const struct xenio_map *result);
void mover_persistent_unmapped(struct mover_persistent *persistent,
			       const struct xenio_unmap *result);
void mover_persistent_drained(struct mover_persistent *persistent,
			      const struct xenio_drained *record);
/* The grant at @slot. 0 or -ENOENT. */
int mover_persistent_gref(const struct mover_persistent *persistent, uint32_t slot,
			  uint32_t *gref);
/* Ask for all to be unmapped; no request may be on its way. */
void mover_persistent_close(struct mover_persistent *persistent);

#endif /* VBD_MOVER_H */
