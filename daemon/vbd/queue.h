/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One ring of a frontend and its requests, served by one worker. Everything
 * runs on the worker's thread unless it says otherwise.
 */
#ifndef VBD_QUEUE_H
#define VBD_QUEUE_H

#include "base/log.h"
#include "store/store.h"
#include "vbd/data.h"
#include "vbd/gate.h"
#include "vbd/journal.h"
#include "vbd/news.h"
#include "vbd/patience.h"
#include "vbd/poller.h"
#include "vbd/request.h"
#include "vbd/vbd.h"

struct drain_source {
	struct loop_source source;
	struct queue *queue;
	enum xenio_arena arena;
};

struct queue {
	const struct vbd_config *config;
	struct store *store;
	struct worker *worker;
	struct worker *home;		/* the vbd's */
	struct io_source source;
	struct gate_member member;

	struct xenio *xenio;
	struct ring ring;
	struct journal_queue *journal;
	struct data data;
	struct loop_source event;
	struct drain_source drains[XENIO_NR_ARENAS];
	struct loop_task pass;
	struct poller poller;
	bool running;
	bool resuming;			/* the frontend may have missed an event */
	bool unmask_due;		/* an event was taken */
	bool event_new;			/* and it is not known what for */
	bool asked;			/* a request was taken since the event before it */
	struct patience patience;

	struct request *requests;	/* one for each entry of the ring */
	struct blkif_segment *segments;	/* theirs, of indirect ones */
	struct iovec *iovs;
	uint16_t *kept;
	struct request_list free;
	struct request_list resumed;	/* taken by the backend before us, */
	uint32_t nr_resumed;		/* as many at first */
	struct request_list fetching;	/* their segments are in the guest's pages */
	struct request_list waiting;	/* for room */
	struct request_list begun;	/* have room; data to be moved */
	struct request_list done;	/* I/O ended; to be undone */
	struct request_list finished;	/* to be answered */
	struct request_list answered;	/* but the frontend was not told yet */
	struct request *barrier;	/* taken, and not over */
	uint32_t outstanding;		/* taken, not answered */

	bool closing, closed;
	struct note close, closed_note;
	void (*on_closed)(struct queue *queue);	/* at home */

	struct vbd_stats stats;
	struct news news;		/* of these */
	struct log_limit *complaints;
};

/*
 * Takes over @xenio; maps the ring. Any thread. 0 or -errno, logged; to be
 * uninit'ed in any case.
 */
int queue_init(struct queue *queue, const struct vbd_config *config, unsigned int index,
	       struct store *store, struct worker *home, const struct vbd_place *place);
/* Any thread; it must not run, or be closed. */
void queue_uninit(struct queue *queue);

/* Listen to events, and then, or never, serve them. 0 or -errno. */
int queue_listen(void *queue);
int queue_run(void *queue);
/* Not for one that runs. */
int queue_ignore(void *queue);

/*
 * Any thread: take no more requests; when all are answered and all grants
 * unmapped, on_closed() is called at home. Once only.
 */
void queue_close(struct queue *queue);

#endif /* VBD_QUEUE_H */
