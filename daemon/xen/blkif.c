// SPDX-License-Identifier: GPL-2.0-or-later
#include "xen/blkif.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* The head of the shared ring; the entries begin after it. */
struct shared_ring {
	uint32_t req_prod;
	uint32_t req_event;
	uint32_t rsp_prod;
	uint32_t rsp_event;
	uint8_t pad[48];
};
_Static_assert(sizeof(struct shared_ring) == 64, "xen/io/ring.h");

/*
 * Where things are in an entry, in bytes. operation, nr_segments and a
 * response's status lie alike in all layouts but for the id before them.
 */
struct blkif_layout {
	uint8_t entry_bytes;
	uint8_t id;
	uint8_t sector;
	uint8_t segments;
	uint8_t response_bytes;
};

/* Where a discard has its length, and an indirect request its pages. */
#define DISCARD_SECTORS(layout)	((layout)->segments)
#define INDIRECT_COUNT		2u
#define INDIRECT_PAGES(layout)	((layout)->segments + 4u)

static const struct blkif_layout layout_64 = {
	.entry_bytes = 112, .id = 8, .sector = 16, .segments = 24, .response_bytes = 16,
};

/* 64-bit members are aligned to 4 bytes by 32-bit compilers. */
static const struct blkif_layout layout_x86_32 = {
	.entry_bytes = 108, .id = 4, .sector = 12, .segments = 20, .response_bytes = 12,
};

/* A response: u64 id, u8 operation, (u8), s16 status, zeros. */
#define RESPONSE_OP	8u
#define RESPONSE_STATUS	10u

static const struct blkif_layout *layout_of(enum blkif_protocol protocol)
{
#ifdef __i386__
	return protocol == BLKIF_X86_64 ? &layout_64 : &layout_x86_32;
#else
	return protocol == BLKIF_X86_32 ? &layout_x86_32 : &layout_64;
#endif
}

int blkif_protocol_parse(const char *name, enum blkif_protocol *protocol)
{
	static const char *const names[] = {
		[BLKIF_NATIVE] = "native",
		[BLKIF_X86_32] = "x86_32",
		[BLKIF_X86_64] = "x86_64",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*protocol = (enum blkif_protocol)i;
			return 0;
		}
	}
	return -EINVAL;
}

enum blkif_status blkif_status(int err)
{
	switch (err) {
	case 0:
		return BLKIF_OKAY;
	case -EOPNOTSUPP:
		return BLKIF_EOPNOTSUPP;
	default:
		return BLKIF_ERROR;
	}
}

uint32_t ring_entries(enum blkif_protocol protocol, uint32_t nr_pages)
{
	uint32_t bytes = nr_pages * BLKIF_PAGE_BYTES - (uint32_t)sizeof(struct shared_ring);
	uint32_t fit = bytes / layout_of(protocol)->entry_bytes;

	return 1u << (31 - __builtin_clz(fit));
}

static volatile struct shared_ring *head(const struct ring *ring)
{
	return ring->shared;
}

static volatile uint8_t *entry(const struct ring *ring, uint32_t index)
{
	return (volatile uint8_t *)ring->shared + sizeof(struct shared_ring) +
	       (size_t)(index & (ring->entries - 1)) * ring->layout->entry_bytes;
}

int ring_attach(struct ring *ring, enum blkif_protocol protocol, void *shared,
		uint32_t nr_pages)
{
	uint32_t waiting;

	*ring = (struct ring){
		.layout = layout_of(protocol),
		.shared = shared,
		.entries = ring_entries(protocol, nr_pages),
	};
	ring->rsp_prod = head(ring)->rsp_prod;
	ring->rsp_pushed = ring->rsp_prod;
	ring->req_cons = ring->rsp_prod;
	waiting = head(ring)->req_prod - ring->req_cons;
	return waiting > ring->entries ? -EPROTO : 0;
}

/*
 * The index of requests is the journal's word, that of responses is the shared
 * one: the frontend's memory, from which nothing but a distance is made.
 */
int ring_resume(struct ring *ring, uint32_t req_cons)
{
	if (req_cons - ring->rsp_prod > ring->entries)
		return -EPROTO;
	ring->req_cons = req_cons;
	return 0;
}

int ring_waiting(struct ring *ring)
{
	uint32_t unanswered = ring->req_cons - ring->rsp_prod;
	uint32_t waiting;

	if (ring->halted)
		return -EPROTO;
	waiting = __atomic_load_n(&head(ring)->req_prod, __ATOMIC_ACQUIRE) - ring->req_cons;
	/* What is not answered yet has its entry; an index that moved back is far ahead. */
	if (waiting > ring->entries - unanswered) {
		ring->halted = true;
		return -EPROTO;
	}
	return (int)waiting;
}

bool ring_is_empty(const struct ring *ring)
{
	return ring->halted ||
	       head(ring)->req_prod == __atomic_load_n(&ring->req_cons, __ATOMIC_RELAXED);
}

/*
 * The one copy (XSA-155): each word is read once, by a volatile access that
 * the compiler can neither repeat nor leave out.
 */
void ring_take(struct ring *ring, struct blkif_entry *copy)
{
	const volatile uint32_t *from = (const volatile uint32_t *)entry(ring, ring->req_cons++);
	unsigned int i;

	/* Entries of all layouts have the same length, but for the last word. */
#pragma GCC unroll 32
	for (i = 0; i < BLKIF_ENTRY_WORDS - 1; i++)
		copy->words[i] = from[i];
	copy->words[i] = ring->layout->entry_bytes > i * sizeof(copy->words[0]) ? from[i] : 0;
}

struct blkif_segment blkif_segment(const uint8_t from[BLKIF_SEGMENT_BYTES])
{
	struct blkif_segment segment = { .first_sect = from[4], .last_sect = from[5] };

	memcpy(&segment.gref, from, sizeof(segment.gref));
	return segment;
}

static void parse_indirect(const struct blkif_layout *layout, const uint8_t *copy,
			   struct blkif_request *request)
{
	request->indirect = true;
	request->op = copy[1];
	memcpy(&request->nr_segments, copy + INDIRECT_COUNT, sizeof(request->nr_segments));
	memcpy(request->pages, copy + INDIRECT_PAGES(layout), sizeof(request->pages));
}

static void parse_discard(const struct blkif_layout *layout, const uint8_t *copy,
			  struct blkif_request *request)
{
	request->flags = copy[1];
	memcpy(&request->nr_sectors, copy + DISCARD_SECTORS(layout), sizeof(request->nr_sectors));
}

static void parse_segments(const struct blkif_layout *layout, const uint8_t *copy,
			   struct blkif_request *request)
{
	unsigned int i;

	request->nr_segments = copy[1];
	for (i = 0; i < BLKIF_SEGMENTS_MAX && i < request->nr_segments; i++)
		request->segments[i] = blkif_segment(copy + layout->segments +
						     i * BLKIF_SEGMENT_BYTES);
}

void ring_parse(const struct ring *ring, const struct blkif_entry *entry_copy,
		struct blkif_request *request)
{
	const struct blkif_layout *layout = ring->layout;
	const uint8_t *copy = (const uint8_t *)entry_copy->words;

	request->op = copy[0];
	request->indirect = false;
	request->nr_segments = 0;
	memcpy(&request->id, copy + layout->id, sizeof(request->id));
	memcpy(&request->sector, copy + layout->sector, sizeof(request->sector));
	if (request->op == BLKIF_INDIRECT)
		parse_indirect(layout, copy, request);
	else if (request->op == BLKIF_DISCARD)
		parse_discard(layout, copy, request);
	else
		parse_segments(layout, copy, request);
}

void ring_respond(struct ring *ring, uint64_t id, uint8_t op,
		  enum blkif_status status)
{
	/* Zeros after the status: nothing of ours leaks (XSA-216). */
	uint8_t response[16] = { 0 };
	int16_t value = (int16_t)status;

	memcpy(response, &id, sizeof(id));
	response[RESPONSE_OP] = op;
	memcpy(response + RESPONSE_STATUS, &value, sizeof(value));
	memcpy((uint8_t *)entry(ring, ring->rsp_prod), response,
	       ring->layout->response_bytes);
	ring->rsp_prod++;
}

bool ring_push(struct ring *ring)
{
	uint32_t old = ring->rsp_pushed;
	uint32_t event;

	ring->rsp_pushed = ring->rsp_prod;
	__atomic_store_n(&head(ring)->rsp_prod, ring->rsp_prod, __ATOMIC_SEQ_CST);
	/* The frontend sets its event, then looks for responses; we the other way. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = head(ring)->rsp_event;
	return ring->rsp_prod - event < ring->rsp_prod - old;
}

bool ring_ask_event(struct ring *ring, uint32_t ahead)
{
	if (ring->halted)
		return false;
	head(ring)->req_event = ring->req_cons + ahead;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* An index that makes no sense is for ring_waiting() to judge. */
	return head(ring)->req_prod - ring->req_cons >= ahead;
}
