// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/vbd.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/log.h"
#include "loop/thread.h"
#include "vbd/gate.h"
#include "vbd/journal.h"
#include "vbd/queue.h"

struct vbd {
	struct vbd_config config;
	struct store *store;
	struct store_witness witness;	/* in the journal */
	struct worker *home;
	struct gate gate;
	struct gate_member *members[VBD_QUEUES_MAX];
	struct queue *queues;
	unsigned int nr_init;		/* queues that were made */
	unsigned int nr_open;

	void (*closed)(void *context);
	void *closed_context;
};

static struct data_config data_config(const struct vbd_config *config)
{
	return (struct data_config){
		.domid = config->domid, .way = config->way, .copy_max = config->copy_max,
		.persistent = config->persistent, .nr_queues = config->nr_queues,
	};
}

void vbd_shape(const struct vbd_config *config, struct xenio_shape *shape)
{
	const struct data_config data = data_config(config);

	data_shape(&data, ring_entries(config->protocol, config->nr_pages), shape);
	shape->nr_ring = config->nr_pages;
}

static struct journal_shape journal_shape(const struct vbd_config *config)
{
	return (struct journal_shape){
		.protocol = config->protocol,
		.nr_queues = config->nr_queues,
		.entries = ring_entries(config->protocol, config->nr_pages),
	};
}

size_t vbd_journal_bytes(const struct vbd_config *config)
{
	const struct journal_shape shape = journal_shape(config);

	return journal_bytes(&shape);
}

static void vbd_free(struct vbd *vbd)
{
	unsigned int i;

	for (i = 0; i < vbd->nr_init; i++)
		queue_uninit(&vbd->queues[i]);
	store_remove_witness(vbd->store, &vbd->witness);
	free(vbd->queues);
	free(vbd);
}

/* ---- the end ---- */

/* A barrier's notes may still be on their way when the last queue has closed. */
static void finish_close(struct vbd *vbd)
{
	void (*closed)(void *context) = vbd->closed;
	void *context = vbd->closed_context;

	if (vbd->nr_open || !gate_is_idle(&vbd->gate))
		return;
	vbd_free(vbd);
	closed(context);
}

static void gate_idle(struct gate *gate)
{
	finish_close((struct vbd *)((char *)gate - offsetof(struct vbd, gate)));
}

static void queue_closed(struct queue *queue)
{
	struct gate *gate = queue->member.gate;
	struct vbd *vbd = (struct vbd *)((char *)gate - offsetof(struct vbd, gate));

	vbd->nr_open--;
	finish_close(vbd);
}

void vbd_close(struct vbd *vbd, enum vbd_end how, void (*closed)(void *context), void *context)
{
	unsigned int i;

	vbd->closed = closed;
	vbd->closed_context = context;
	/* Somebody wants it to end: should we be killed now, it has ended. */
	if (vbd->config.journal && how == VBD_END)
		journal_end(vbd->config.journal);
	for (i = 0; i < vbd->config.nr_queues; i++)
		queue_close(&vbd->queues[i]);
}

/* ---- the beginning ---- */

static int init_queues(struct vbd *vbd, struct store *store, const struct vbd_place *places)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < vbd->config.nr_queues && !err; i++) {
		struct queue *queue = &vbd->queues[i];

		err = queue_init(queue, &vbd->config, i, store, vbd->home, &places[i]);
		queue->on_closed = queue_closed;
		vbd->members[i] = &queue->member;
		vbd->nr_init++;
	}
	/* Nobody else takes them over. */
	for (; i < vbd->config.nr_queues; i++)
		places[i].xenio->ops->destroy(places[i].xenio);
	return err;
}

/* All queues listen before the first one serves, so that this can be undone. */
static int run_queues(struct vbd *vbd)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < vbd->config.nr_queues && !err; i++)
		err = worker_run(vbd->queues[i].worker, queue_listen, &vbd->queues[i]);
	if (err) {
		while (i--)
			worker_run(vbd->queues[i].worker, queue_ignore, &vbd->queues[i]);
		return err;
	}
	for (i = 0; i < vbd->config.nr_queues; i++)
		worker_run(vbd->queues[i].worker, queue_run, &vbd->queues[i]);
	vbd->nr_open = vbd->config.nr_queues;
	return 0;
}

static struct vbd *vbd_alloc(const struct vbd_config *config, struct store *store,
			     struct worker *home)
{
	struct vbd *vbd = calloc(1, sizeof(*vbd));
	struct queue *queues = calloc(config->nr_queues, sizeof(*queues));

	if (!vbd || !queues) {
		free(vbd);
		free(queues);
		return NULL;
	}
	vbd->config = *config;
	vbd->store = store;
	vbd->home = home;
	vbd->queues = queues;
	vbd->gate.idle = gate_idle;
	return vbd;
}

static int open_journal(struct vbd *vbd)
{
	const struct journal_shape shape = journal_shape(&vbd->config);
	struct journal_head *journal = vbd->config.journal;
	int found;

	vbd->config.resume = false;
	if (!journal)
		return 0;
	found = journal_open(journal, &shape);
	if (found < 0) {
		log_error("domain %u, device %u: the journal is none of this ring",
			  vbd->config.domid, vbd->config.devid);
		return found;
	}
	vbd->config.resume = found;
	if (found && journal->flush_failed)
		store_fail(vbd->store);
	store_add_witness(vbd->store, &vbd->witness, &journal->flush_failed);
	return 0;
}

/* The journal counts before the first request is taken. */
static int start_queues(struct vbd *vbd)
{
	gate_init(&vbd->gate, vbd->home, vbd->members, vbd->config.nr_queues);
	if (vbd->config.journal)
		journal_begin(vbd->config.journal);
	return run_queues(vbd);
}

int vbd_create(const struct vbd_config *config, struct store *store, struct worker *home,
	       const struct vbd_place *places, struct vbd **out)
{
	struct vbd *vbd = vbd_alloc(config, store, home);
	int err = vbd ? open_journal(vbd) : -ENOMEM;
	unsigned int i;

	if (err) {
		for (i = 0; i < config->nr_queues; i++)
			places[i].xenio->ops->destroy(places[i].xenio);
		if (vbd)
			vbd_free(vbd);
		return err;
	}
	err = init_queues(vbd, store, places);
	if (!err)
		err = start_queues(vbd);
	if (err) {
		vbd_free(vbd);
		return err;
	}
	*out = vbd;
	return 0;
}

/* ---- looking at it ---- */

const struct vbd_config *vbd_config(const struct vbd *vbd)
{
	return &vbd->config;
}

uint32_t vbd_nr_resumed(const struct vbd *vbd)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < vbd->config.nr_queues; i++)
		sum += vbd->queues[i].nr_resumed;
	return sum;
}

/* All members are counters. */
static void add_up(struct vbd_stats *sum, const struct vbd_stats *stats)
{
	const uint64_t *from = (const uint64_t *)stats;
	uint64_t *to = (uint64_t *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += stats_read(&from[i]);
}

struct vbd_stats vbd_queue_stats(const struct vbd *vbd, unsigned int queue)
{
	struct vbd_stats sum = { 0 };

	add_up(&sum, &vbd->queues[queue].stats);
	return sum;
}

struct vbd_stats vbd_stats(const struct vbd *vbd)
{
	struct vbd_stats sum = { 0 };
	unsigned int i;

	for (i = 0; i < vbd->config.nr_queues; i++)
		add_up(&sum, &vbd->queues[i].stats);
	return sum;
}

bool vbd_is_quiet(const struct vbd *vbd)
{
	unsigned int i;

	for (i = 0; i < vbd->config.nr_queues; i++)
		if (stats_read(&vbd->queues[i].stats.outstanding) ||
		    !ring_is_empty(&vbd->queues[i].ring))
			return false;
	return true;
}

const struct xenio *vbd_xenio(const struct vbd *vbd, unsigned int queue)
{
	return vbd->queues[queue].xenio;
}
