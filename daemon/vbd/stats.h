/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a frontend's queues count. Each queue's thread alone writes its own; others
 * may read them at any time.
 */
#ifndef VBD_STATS_H
#define VBD_STATS_H

#include <stdint.h>

/* Since the frontend connected. Sectors of 512 bytes. */
struct vbd_stats {
	uint64_t reads, writes, flushes;	/* completed well */
	uint64_t barriers, discards;
	uint64_t indirect;			/* requests of reads and writes */
	uint64_t read_sectors, write_sectors, discard_sectors;
	uint64_t read_errors, write_errors;	/* of the store, or of grants */
	uint64_t bad_requests;			/* refused before any I/O */
	uint64_t requests, responses;		/* taken from, put on the ring */
	uint64_t outstanding;			/* taken, not answered */
	uint64_t held;				/* failed flushes, never answered */
	uint64_t resumed;			/* of a backend that was killed */
	uint64_t events, notifies;		/* from, to the frontend */
	uint64_t passes;
	uint64_t polls;			/* passes that followed another one at once, looking out */
	uint64_t batches;			/* calls to the module to map or unmap */
	uint64_t grants;			/* mapped */
	uint64_t drains;			/* pages that I/O still held */
	uint64_t copy_calls;			/* calls to the module for copies */
	uint64_t copies;			/* pages, or parts of them */
	uint64_t moved_map, moved_copy, moved_persistent;	/* requests */
	uint64_t persistent_grants;		/* mapped now */
	uint64_t persistent_evicted;
	uint64_t fallbacks;			/* requests moved anew, another way */
	uint64_t waits;				/* passes that left a request without room */
	uint64_t merged;			/* segments that became one with the one before */
};

/* Of one's own queue alone. */
static inline void stats_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline uint64_t stats_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif /* VBD_STATS_H */
