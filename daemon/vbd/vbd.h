/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One frontend of a disk: its queues, and what is common to them.
 */
#ifndef VBD_VBD_H
#define VBD_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/worker.h"
#include "store/store.h"
#include "vbd/data.h"
#include "vbd/stats.h"
#include "xen/blkif.h"
#include "xen/xenio.h"

#define VBD_QUEUES_MAX 8u

struct journal_head;
struct log_limit;

struct vbd_queue {
	uint32_t port;				/* the frontend's event channel */
	uint32_t grefs[BLKIF_RING_PAGES_MAX];
};

struct vbd_config {
	uint32_t domid;
	uint32_t devid;
	enum blkif_protocol protocol;
	uint32_t nr_pages;			/* of each ring; a power of two */
	uint32_t nr_queues;
	struct vbd_queue queues[VBD_QUEUES_MAX];
	bool readonly;				/* for this frontend */
	bool discard;				/* it was offered */
	bool persistent;			/* offered, and accepted */
	enum data_way way;
	uint32_t copy_max;			/* bytes */
	uint64_t poll_ns;			/* longest look-out for more; 0: none (poller.h) */
	/*
	 * Memory of vbd_journal_bytes() that outlives us, zeroed at first and then as
	 * a backend before us left it; NULL: none is kept.
	 */
	struct journal_head *journal;
	bool resume;				/* filled in: there is something to take up */
	/*
	 * Called at home soon after something changed in vbd_stats(), twice a second at most
	 * for each queue, and not after the end (vbd_close()); NULL: no need.
	 */
	void (*changed)(void *context);
	void *changed_context;
};

/*
 * Who serves a queue, its seam to Xen, and how much its guest can have written to the
 * log; this is used on the worker's thread, and outlives the queue, or a guest could
 * begin anew by a new ring.
 */
struct vbd_place {
	struct worker *worker;
	struct xenio *xenio;
	struct log_limit *complaints;
};

struct vbd;

size_t vbd_journal_bytes(const struct vbd_config *config);

/* What each xenio must have for @config. */
void vbd_shape(const struct vbd_config *config, struct xenio_shape *shape);

/*
 * Map the rings and serve them, from where the journal says that a backend before us
 * stopped. Takes over each xenio of @places, on error
 * too. @home is the worker of the calling thread, the one that all of these
 * functions are for. 0 or -errno, logged.
 */
int vbd_create(const struct vbd_config *config, struct store *store, struct worker *home,
	       const struct vbd_place *places, struct vbd **out);

enum vbd_end {
	VBD_END,	/* for good */
	VBD_LEAVE,	/* another backend goes on, by the journal, and what it finds in the ring */
};

/*
 * Take no more requests; when all in flight are answered and every grant is
 * unmapped, free the vbd and call @closed(@context). May call it at once. Once
 * only for each vbd.
 */
void vbd_close(struct vbd *vbd, enum vbd_end how, void (*closed)(void *context), void *context);

/* How many requests of the backend before us were in flight. */
uint32_t vbd_nr_resumed(const struct vbd *vbd);

const struct vbd_config *vbd_config(const struct vbd *vbd);
/* The sum over all queues, as of now. */
struct vbd_stats vbd_stats(const struct vbd *vbd);
struct vbd_stats vbd_queue_stats(const struct vbd *vbd, unsigned int queue);
/* Whether no request is in flight, nor waits in a ring. Not after vbd_close(). */
bool vbd_is_quiet(const struct vbd *vbd);
const struct xenio *vbd_xenio(const struct vbd *vbd, unsigned int queue);

#endif /* VBD_VBD_H */
