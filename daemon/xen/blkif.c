// SPDX-License-Identifier: GPL-2.0-or-later
#include "xen/blkif.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ENTRY_WORDS_MAX	28u	/* 112 bytes */

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

#define SEGMENT_BYTES	8u

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

int ring_waiting(struct ring *ring)
{
	uint32_t req_prod;

	if (ring->halted)
		return -EPROTO;
	req_prod = __atomic_load_n(&head(ring)->req_prod, __ATOMIC_ACQUIRE);
	/* Measured from the last response: all before it is answered. */
	if (req_prod - ring->rsp_prod > ring->entries) {
		ring->halted = true;
		return -EPROTO;
	}
	return (int)(req_prod - ring->req_cons);
}

/*
 * The one copy (XSA-155): each word is read once, by a volatile access that
 * the compiler can neither repeat nor leave out.
 */
static void copy_entry(const struct ring *ring, uint32_t index, uint8_t *copy)
{
	const volatile uint32_t *from = (const volatile uint32_t *)entry(ring, index);
	uint32_t words[ENTRY_WORDS_MAX];
	unsigned int i;

	for (i = 0; i < ring->layout->entry_bytes / sizeof(words[0]); i++)
		words[i] = from[i];
	memcpy(copy, words, ring->layout->entry_bytes);
}

void ring_take(struct ring *ring, struct blkif_request *request)
{
	const struct blkif_layout *layout = ring->layout;
	uint8_t copy[ENTRY_WORDS_MAX * sizeof(uint32_t)];
	unsigned int i;

	copy_entry(ring, ring->req_cons++, copy);
	request->op = copy[0];
	request->nr_segments = copy[1];
	memcpy(&request->id, copy + layout->id, sizeof(request->id));
	memcpy(&request->sector, copy + layout->sector, sizeof(request->sector));
	for (i = 0; i < BLKIF_SEGMENTS_MAX; i++) {
		const uint8_t *from = copy + layout->segments + i * SEGMENT_BYTES;
		struct blkif_segment *segment = &request->segments[i];

		memcpy(&segment->gref, from, sizeof(segment->gref));
		segment->first_sect = from[4];
		segment->last_sect = from[5];
	}
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

bool ring_ask_event(struct ring *ring)
{
	if (ring->halted)
		return false;
	head(ring)->req_event = ring->req_cons + 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return head(ring)->req_prod != ring->req_cons;
}
