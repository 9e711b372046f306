/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to Xen: what one queue of a disk needs of it, grants and an event
 * channel. xenio_xentap.c is the real one, over the xentap module;
 * xenio_gntdev.c does what is possible without it; tests have one in memory.
 *
 * Grants live in two arenas of slots, each slot a page at a fixed address:
 * writable ones in XENIO_RW (the target of a read, and the ring), read-only
 * ones in XENIO_RO (the source of a write). The caller owns the slots' numbers.
 * Or their contents are copied to and from a pool of pages, whose numbers the
 * caller owns as well.
 *
 * Used by one thread at a time.
 */
#ifndef XEN_XENIO_H
#define XEN_XENIO_H

#include <stdbool.h>
#include <stdint.h>

#define XENIO_SLOT_BYTES	4096u

enum xenio_arena {
	XENIO_RW,
	XENIO_RO,
	XENIO_NR_ARENAS,
};

/* status: 0 or -errno; the layouts are those of the module's entries. */
struct xenio_map {
	uint32_t slot;
	uint32_t gref;
	uint32_t domid;
	int32_t status;
};

/*
 * status: 0: the guest has its page back. -EINPROGRESS: I/O still holds the
 * page; drained() will name the slot. Anything else: lost for good.
 */
struct xenio_unmap {
	uint32_t slot;
	int32_t status;
};

struct xenio_drained {
	uint32_t slot;
	int32_t status;		/* 0 or -errno */
};

#define XENIO_COPY_TO_GUEST	(1u << 0)	/* from the pool into the grant */

/* status: 0 or -errno; the layout is that of the module's entries. */
struct xenio_copy {
	uint32_t page;
	uint32_t gref;
	uint32_t domid;
	uint16_t page_offset;
	uint16_t gref_offset;
	uint16_t len;
	uint16_t flags;
	int32_t status;
};

/* How much of everything; the pages of the ring are slots beyond nr_slots. */
struct xenio_shape {
	uint32_t nr_slots[XENIO_NR_ARENAS];
	uint32_t nr_ring;
	uint32_t nr_pool;
};

struct xenio {
	const struct xenio_ops *ops;
	uint8_t *base[XENIO_NR_ARENAS];		/* address of slot 0; NULL: no arenas */
	uint32_t nr_slots[XENIO_NR_ARENAS];
	uint8_t *pool;				/* address of page 0 */
	uint32_t nr_pool;
	uint32_t batch_max;			/* entries of one list */
	int drain_fd[XENIO_NR_ARENAS];		/* readable: drained() has some */
	int event_fd;				/* readable: the frontend's event */
};

struct xenio_ops {
	/*
	 * Unmap, then map; each list at most batch_max long. Statuses are in
	 * the entries. -errno: nothing was done.
	 */
	int (*batch)(struct xenio *xenio, enum xenio_arena arena,
		     struct xenio_unmap *unmaps, uint32_t nr_unmaps,
		     struct xenio_map *maps, uint32_t nr_maps);

	/* Slots that have drained, at most @nr; how many, or -errno. */
	int (*drained)(struct xenio *xenio, enum xenio_arena arena,
		       struct xenio_drained *records, uint32_t nr);

	/* Each by itself, at most batch_max. -errno: nothing was done. */
	int (*copy)(struct xenio *xenio, struct xenio_copy *copies, uint32_t nr);

	/*
	 * Map @nr pages in a row, to be unmapped by ring_unmap() or destroy().
	 * 0 or -errno.
	 */
	int (*ring_map)(struct xenio *xenio, uint32_t domid, const uint32_t *grefs,
			uint32_t nr, void **ring);
	void (*ring_unmap)(struct xenio *xenio, uint32_t nr);

	/*
	 * Take the event that made event_fd readable. The next one comes only
	 * after event_unmask(), so that a storm of them costs one wake-up.
	 */
	int (*event_take)(struct xenio *xenio);
	int (*event_unmask)(struct xenio *xenio);
	int (*event_send)(struct xenio *xenio);

	/* Everything is unmapped, by and by if I/O still holds pages. */
	void (*destroy)(struct xenio *xenio);
};

static inline void *xenio_address(const struct xenio *xenio,
				  enum xenio_arena arena, uint32_t slot)
{
	return xenio->base[arena] + (uint64_t)slot * XENIO_SLOT_BYTES;
}

static inline bool xenio_maps(const struct xenio *xenio)
{
	return xenio->base[XENIO_RW];
}

static inline void *xenio_page(const struct xenio *xenio, uint32_t page)
{
	return xenio->pool + (uint64_t)page * XENIO_SLOT_BYTES;
}

/* ring_map and ring_unmap in the writable arena, by batch. */
int xenio_arena_ring_map(struct xenio *xenio, uint32_t domid, const uint32_t *grefs,
			 uint32_t nr, void **ring);
void xenio_arena_ring_unmap(struct xenio *xenio, uint32_t nr);

/*
 * The real ones, from descriptors that are restricted to @domid already, but
 * for that of /dev/xen/gntdev, which cannot be: two of /dev/xen/tap and one of
 * /dev/xen/evtchn, or one of gntdev and one of evtchn. -1: not given. All are taken
 * over, on error too. 0 or -errno.
 */
struct xenio_fds {
	int tap[XENIO_NR_ARENAS];
	int gntdev;
	int evtchn;
};

int xenio_xentap_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out);
/* Only copies: has no arenas. */
int xenio_gntdev_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out);

#endif /* XEN_XENIO_H */
