/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam to Xen: what a disk needs of it for one frontend, grants and an
 * event channel. xenio_xentap.c is the real one, over the xentap module; tests
 * have one in memory.
 *
 * Grants live in two arenas of slots, each slot a page at a fixed address:
 * writable ones in XENIO_RW (the target of a read, and the ring), read-only
 * ones in XENIO_RO (the source of a write). The caller owns the slots' numbers.
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

struct xenio {
	const struct xenio_ops *ops;
	uint8_t *base[XENIO_NR_ARENAS];		/* address of slot 0 */
	uint32_t nr_slots[XENIO_NR_ARENAS];
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

/*
 * The real one, from descriptors that are restricted to @domid already: two of
 * /dev/xen/tap and one of /dev/xen/evtchn. Takes them over, on error too.
 * 0 or -errno.
 */
struct xenio_fds {
	int tap[XENIO_NR_ARENAS];
	int evtchn;
};

int xenio_xentap_create(struct xenio_fds *fds,
			const uint32_t nr_slots[XENIO_NR_ARENAS], uint32_t domid,
			uint32_t port, struct xenio **out);

#endif /* XEN_XENIO_H */
