/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data of a queue's requests: which way each goes (mover.h), and a pass's
 * work of all of them done together.
 */
#ifndef VBD_DATA_H
#define VBD_DATA_H

#include "vbd/mover.h"

enum data_way {
	DATA_MAP,
	DATA_COPY,
	DATA_PERSISTENT,
	DATA_AUTO,	/* copy what is small, map the rest */
};

/* 0 or -EINVAL. */
int data_way_parse(const char *name, enum data_way *way);
const char *data_way_name(enum data_way way);

/*
 * The largest request that is copied, unless told otherwise. In instructions copying
 * is cheaper at any size (test/bench/README.md); what large copies do to caches has not
 * been measured.
 */
#define DATA_COPY_MAX_DEFAULT	131072u

struct data_config {
	uint32_t domid;
	enum data_way way;
	uint32_t copy_max;	/* bytes */
	bool persistent;	/* the frontend promised to use the same grants again */
	uint32_t nr_queues;	/* of the frontend; each has data of its own */
};

struct data {
	struct data_config config;
	struct xenio *xenio;
	struct vbd_stats *stats;
	uint32_t nr_transient;		/* slots of each arena that are not kept */
	uint32_t nr_begun;		/* requests that have room */
	struct grants grants;
	struct mover_map map;
	struct mover_copy copy;
	struct mover_persistent persistent;
};

/* What xenio must have for a ring of @entries requests; without nr_ring. */
void data_shape(const struct data_config *config, uint32_t entries, struct xenio_shape *shape);

/* For @xenio made by that shape. 0 or -ENOMEM; to be uninit'ed in any case. */
int data_init(struct data *data, const struct data_config *config, struct xenio *xenio,
	      uint32_t entries, uint32_t nr_ring, struct vbd_stats *stats);
void data_uninit(struct data *data);

/*
 * Find a way and room for @request. 0; -EAGAIN: no room now; -ENOMEM: there
 * never will be, since nobody else has any.
 */
int data_begin(struct data *data, struct request *request);
/* I/O ended, or never began. */
void data_end(struct data *data, struct request *request);

/*
 * Do all that was asked for since the last time. Errors are the requests'. 0,
 * or an error of the module's that no guest can cause.
 */
int data_run(struct data *data);

/* After data_run(): 0, request->again set, or the error; then data_end() is due. */
int data_ready(struct data *data, struct request *request);
/* All is undone but for what drains: the room is given back. */
void data_release(struct data *data, struct request *request);

/* A request of which nothing drains any more, or NULL. */
struct request *data_drained(struct data *data, enum xenio_arena arena,
			     const struct xenio_drained *record);

/* The grant behind an address in the data of a request. 0 or -ENOENT. */
int data_gref(const struct data *data, const void *address, uint32_t *gref);

/* No request is left: begin to unmap what was kept. data_run() is due. */
void data_close(struct data *data);
static inline bool data_is_closed(const struct data *data)
{
	return !data->persistent.nr_draining;
}

#endif /* VBD_DATA_H */
