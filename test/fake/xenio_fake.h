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

struct fake_guest {
	int memory_fd;
	uint8_t *memory;			/* page N at N * 4096 */
	enum fake_grant grants[FAKE_PAGES];
	uint32_t mapped[FAKE_PAGES];		/* how often, now */
	uint32_t domid;
	int kick_fd;				/* eventfd: guest to backend */
	uint32_t notifies;			/* backend to guest */
	uint32_t unmasks;
	uint32_t batches;
	/* The next unmaps of this page say that I/O holds it. */
	uint32_t busy_gref;
	bool busy;
};

void fake_guest_init(struct fake_guest *guest, uint32_t domid);
void fake_guest_uninit(struct fake_guest *guest);
void *fake_guest_page(struct fake_guest *guest, uint32_t gref);
/* The guest's event channel notification. */
void fake_guest_kick(struct fake_guest *guest);
/* Mappings that exist now, of all pages. */
uint32_t fake_guest_mapped(const struct fake_guest *guest);

struct xenio *fake_xenio_create(struct fake_guest *guest,
				const uint32_t nr_slots[XENIO_NR_ARENAS]);
/* I/O let go of the pages that it held: they drain. */
void fake_xenio_drain(struct xenio *xenio);

#endif /* FAKE_XENIO_FAKE_H */
