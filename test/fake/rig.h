/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole disk in a test: real loop, real AIO with O_DIRECT on a real file, a
 * guest in memory with one frontend of one or several queues. Functions fail the
 * test (cmocka) when what they do fails.
 */
#ifndef FAKE_RIG_H
#define FAKE_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "fake/frontend.h"
#include "fake/xenio_fake.h"
#include "image/image.h"
#include "loop/loop.h"
#include "loop/thread.h"
#include "store/store.h"
#include "vbd/vbd.h"

#define IMAGE_SECTORS	16384u		/* 8 MiB */
#define DOMID		7u
#define RING_GREF	1u		/* and the next ones, for each queue 16 */
#define DATA_GREF	256u		/* and all after it */
#define PATIENCE_MS	10000

struct rig {
	char path[64];
	int check_fd;			/* buffered view of the image */
	struct image image;
	struct loop loop;
	struct worker worker;
	struct thread threads[VBD_QUEUES_MAX];
	struct store store;
	struct fake_guest guest;

	/* How the next rig_connect() is to be; all of it may be changed. */
	enum blkif_protocol protocol;
	uint32_t nr_pages;
	uint32_t nr_queues;
	bool readonly, discard, threaded;
	enum data_way way;
	uint32_t copy_max;
	uint64_t poll_ns;
	void (*changed)(void *rig);	/* its numbers; or NULL */

	int kick_fds[VBD_QUEUES_MAX];
	struct front fronts[VBD_QUEUES_MAX];
	struct xenio *xenios[VBD_QUEUES_MAX];
	struct log_limit complaints[VBD_QUEUES_MAX];
	struct vbd *vbd;
	bool closed;
	void **journals;		/* of all vbds there were; for each one a new one */
	unsigned int nr_journals;
};

/*
 * For cmocka: one queue, one page, everything mapped. rig_setup() skips the test
 * where the build folder's file system has no O_DIRECT.
 */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Connect a new frontend; all data pages are granted for writing. */
void rig_connect(struct rig *rig);
/* A backend for the rings as they are. */
void rig_attach(struct rig *rig);
/* vbd_create() with the rig's store, for queues that are there. */
int rig_create(struct rig *rig, const struct vbd_config *config, struct vbd **vbd);
void rig_disconnect(struct rig *rig);
/* Its two halves: closed tells when the second one will end at once. */
void rig_close_begin(struct rig *rig);
void rig_close_end(struct rig *rig);
/* Disconnect, and connect by what was changed. */
void rig_reconnect(struct rig *rig);

/* What byte @byte of a sector of the image is in the beginning. */
uint8_t pattern(uint64_t sector, uint32_t byte);

/* A request of @nr whole pages from @gref on. */
struct blkif_request pages(uint8_t op, uint64_t id, uint64_t sector, uint32_t gref, uint8_t nr);

/* Push one; push all on a queue. */
void rig_send(struct rig *rig, unsigned int queue, const struct blkif_request *request);
/* The next response of a queue; false: none within our patience. */
bool rig_turn(struct rig *rig, unsigned int queue, struct front_response *response);
/* No response comes to queue 0 while the loop turns that often. */
void rig_quiet_turns(struct rig *rig, int turns);
/* Send one to queue 0 and wait for its response: the status. */
int rig_ask(struct rig *rig, const struct blkif_request *request);

/* The page @gref holds what the image had at @sector in the beginning. */
void assert_page(struct rig *rig, uint32_t gref, uint64_t sector);
/* The image is as it was in the beginning. */
void assert_untouched(struct rig *rig);

static inline struct front *rig_front(struct rig *rig)
{
	return &rig->fronts[0];
}

#endif /* FAKE_RIG_H */
