// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * What a killed process did is a beginning of its program: only the compiler could
 * exchange two stores. Hence release, which costs nothing on x86.
 */
static void publish(uint32_t *word, uint32_t value)
{
	kill_point();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	kill_point();
}

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static size_t queue_bytes(uint32_t entries)
{
	return sizeof(struct journal_queue) + entries * sizeof(struct journal_entry);
}

size_t journal_bytes(const struct journal_shape *shape)
{
	return sizeof(struct journal_head) + shape->nr_queues * queue_bytes(shape->entries);
}

int journal_open(struct journal_head *memory, const struct journal_shape *shape)
{
	switch (look(&memory->state)) {
	case JOURNAL_EMPTY:
		memory->shape = *shape;
		return 0;
	case JOURNAL_SERVING:
		return memcmp(&memory->shape, shape, sizeof(*shape)) == 0 ? 1 : -EINVAL;
	default:
		return -EINVAL;
	}
}

void journal_begin(struct journal_head *memory)
{
	publish(&memory->state, JOURNAL_SERVING);
}

void journal_end(struct journal_head *memory)
{
	publish(&memory->state, JOURNAL_ENDED);
}

struct journal_queue *journal_queue(struct journal_head *memory, unsigned int index)
{
	if (!memory)
		return NULL;
	return (struct journal_queue *)((uint8_t *)(memory + 1) +
					index * queue_bytes(memory->shape.entries));
}

void journal_queue_init(struct journal_queue *queue, uint32_t req_cons)
{
	if (queue)
		publish(&queue->req_cons, req_cons);
}

void journal_take(struct journal_queue *queue, uint32_t slot, uint32_t req,
		  const struct blkif_entry *wire)
{
	struct journal_entry *entry;

	if (!queue)
		return;
	entry = &queue->entries[slot];
	entry->wire = *wire;
	entry->req = req;
	publish(&entry->state, JOURNAL_IN_FLIGHT);
	/* Until here it is in the ring, and nobody has begun with it. */
	publish(&queue->req_cons, req + 1);
}

void journal_answer(struct journal_queue *queue, uint32_t slot, uint32_t rsp,
		    enum blkif_status status)
{
	struct journal_entry *entry;

	if (!queue)
		return;
	entry = &queue->entries[slot];
	entry->rsp = rsp;
	entry->status = status;
	publish(&entry->state, JOURNAL_ANSWERED);
}

void journal_free(struct journal_queue *queue, uint32_t slot)
{
	if (queue)
		publish(&queue->entries[slot].state, JOURNAL_FREE);
}

struct blkif_entry journal_wire(const struct journal_queue *queue, uint32_t slot)
{
	return queue->entries[slot].wire;
}

/* ---- taking up ---- */

/* Sort an entry by what is to be done with it. 0 or -EPROTO. */
static int find_entry(struct journal_queue *queue, uint32_t slot, const struct ring *ring,
		      uint32_t req_cons, struct journal_found *found)
{
	struct journal_entry *entry = &queue->entries[slot];
	uint32_t ahead = entry->rsp - ring->rsp_prod;

	switch (look(&entry->state)) {
	case JOURNAL_IN_FLIGHT:
		/* The one that was about to be taken is still in the ring. */
		if (entry->req == req_cons)
			break;
		found->slots[found->nr++] = (uint16_t)slot;
		return 0;
	case JOURNAL_ANSWERED:
		/* The frontend knows. */
		if (ahead > UINT32_MAX / 2)
			break;
		if (ahead >= ring->entries || found->answered[ahead] != UINT16_MAX)
			return -EPROTO;
		found->answered[ahead] = (uint16_t)slot;
		found->nr_answered++;
		return 0;
	default:
		break;
	}
	entry->state = JOURNAL_FREE;
	found->free[found->nr_free++] = (uint16_t)slot;
	return 0;
}

static enum blkif_status status_of(const struct journal_entry *entry)
{
	switch (entry->status) {
	case BLKIF_OKAY:
	case BLKIF_EOPNOTSUPP:
		return (enum blkif_status)entry->status;
	default:
		return BLKIF_ERROR;
	}
}

/* Once more, in the same places: they may have been half written. */
static int answer_again(struct journal_queue *queue, struct ring *ring,
			const struct journal_found *found)
{
	uint32_t i;

	for (i = 0; i < found->nr_answered; i++) {
		struct blkif_request request;
		struct blkif_entry wire;

		if (found->answered[i] == UINT16_MAX)
			return -EPROTO;
		wire = journal_wire(queue, found->answered[i]);
		ring_parse(ring, &wire, &request);
		ring_respond(ring, request.id, request.op,
			     status_of(&queue->entries[found->answered[i]]));
	}
	return 0;
}

struct age {
	uint32_t age;
	uint16_t slot;
};

static int older_first(const void *a, const void *b)
{
	const struct age *left = a, *right = b;

	return left->age < right->age ? 1 : left->age > right->age ? -1 : 0;
}

/* An index may have wrapped meanwhile: what counts is how long ago it was. */
static int sort_by_age(const struct journal_queue *queue, uint32_t req_cons,
		       struct journal_found *found)
{
	struct age *ages = calloc(found->nr + 1, sizeof(*ages));
	uint32_t i;

	if (!ages)
		return -ENOMEM;
	for (i = 0; i < found->nr; i++)
		ages[i] = (struct age){
			req_cons - queue->entries[found->slots[i]].req, found->slots[i],
		};
	qsort(ages, found->nr, sizeof(*ages), older_first);
	for (i = 0; i < found->nr; i++)
		found->slots[i] = ages[i].slot;
	free(ages);
	return 0;
}

int journal_recover(struct journal_queue *queue, struct ring *ring,
		    struct journal_found *found)
{
	uint32_t req_cons = look(&queue->req_cons);
	uint32_t slot;
	int err = 0;

	found->nr = found->nr_answered = found->nr_free = 0;
	memset(found->answered, 0xff, ring->entries * sizeof(*found->answered));
	for (slot = 0; slot < ring->entries && !err; slot++)
		err = find_entry(queue, slot, ring, req_cons, found);
	if (!err)
		err = ring_resume(ring, req_cons);
	/* All that was taken is either in flight or answered. */
	if (!err && req_cons - ring->rsp_prod != found->nr + found->nr_answered)
		err = -EPROTO;
	if (!err)
		err = answer_again(queue, ring, found);
	return err ? err : sort_by_age(queue, req_cons, found);
}
