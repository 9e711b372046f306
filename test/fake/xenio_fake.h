/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest in this process: its memory, its grants, its event channel, and the
 * xenio that a backend sees of it. Mapping a grant maps the guest's very page,
 * so that zero-copy I/O is what it says.
 */
#ifndef FAKE_XENIO_FAKE_H
#define FAKE_XENIO_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen/xenio.h"

#define FAKE_PAGES	2048u	/* of the guest; gref N grants page N */

enum fake_grant {
	FAKE_NOT_GRANTED,
	FAKE_RDONLY,
	FAKE_WRITABLE,
};

/* What a backend asks Xen for. */
enum fake_call {
	FAKE_BATCH,
	FAKE_COPY,
	FAKE_SEND,
};

struct fake_guest {
	int memory_fd;
	uint8_t *memory;			/* page N at N * 4096 */
	enum fake_grant grants[FAKE_PAGES];
	_Atomic uint32_t mapped[FAKE_PAGES];	/* how often, now */
	uint32_t domid;
	int kick_fd;				/* eventfd: guest to backend */
	/* Of all queues, some of them in other threads. */
	_Atomic uint32_t notifies;		/* backend to guest */
	_Atomic uint32_t unmasks;
	_Atomic uint32_t batches;
	_Atomic uint32_t copy_calls;
	int map_error;				/* instead of each mapping of data, or 0 */
	int copy_error;				/* instead of each copy, or 0 */
	int take_error, send_error;		/* of event channels, or 0 */
	bool no_arenas;				/* of the next xenio: it can only copy */
	/* The next unmaps of this page say that I/O holds it. */
	uint32_t busy_gref;
	bool busy;
	/* What a guest does that is as fast as can be: after each call, in its thread. */
	void (*after)(struct fake_guest *guest, enum fake_call call);
	void *after_context;
};

void fake_guest_init(struct fake_guest *guest, uint32_t domid);
void fake_guest_uninit(struct fake_guest *guest);
void *fake_guest_page(struct fake_guest *guest, uint32_t gref);
/* The guest's event channel notification. */
void fake_guest_kick(struct fake_guest *guest);
/* Mappings that exist now, of all pages. */
uint32_t fake_guest_mapped(const struct fake_guest *guest);

/* One with an event channel of its own is heard by @kick_fd; -1: the guest's. */
struct xenio *fake_xenio_create(struct fake_guest *guest, const struct xenio_shape *shape,
				int kick_fd);
void fake_kick(int kick_fd);
/* I/O let go of the pages that it held: they drain. */
void fake_xenio_drain(struct xenio *xenio);

#endif /* FAKE_XENIO_FAKE_H */
