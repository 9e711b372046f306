// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/frontend.h"

#include <string.h>

struct segment {
	uint32_t gref;
	uint8_t first_sect;
	uint8_t last_sect;
};

struct request_64 {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	struct segment seg[BLKIF_SEGMENTS_MAX];
};

struct discard_64 {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
};

struct indirect_64 {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint16_t pad;
	uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES];
};

struct response_64 {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};

#pragma pack(push, 4)
struct request_32 {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	struct segment seg[BLKIF_SEGMENTS_MAX];
};

struct discard_32 {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
};

struct indirect_32 {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint16_t pad;
	uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES];
	uint64_t pad2;
};

struct response_32 {
	uint64_t id;
	uint8_t operation;
	int16_t status;
};
#pragma pack(pop)

_Static_assert(sizeof(struct request_64) == 112, "xen/io/blkif.h");
_Static_assert(sizeof(struct request_32) == 108, "xen/io/blkif.h");
_Static_assert(sizeof(struct discard_64) == 32 && sizeof(struct indirect_64) == 64 &&
	       sizeof(struct discard_32) == 28 && sizeof(struct indirect_32) == 64,
	       "xen/io/blkif.h");

struct head {
	uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
};

static volatile struct head *head(struct front *front)
{
	return fake_guest_page(front->guest, front->first_gref);
}

static bool is_32(const struct front *front)
{
	return front->protocol == BLKIF_X86_32;
}

static void *entry(struct front *front, uint32_t index)
{
	size_t bytes = is_32(front) ? sizeof(struct request_32) : sizeof(struct request_64);

	return (uint8_t *)fake_guest_page(front->guest, front->first_gref) + sizeof(struct head) +
	       (index % front->entries) * bytes;
}

void front_init(struct front *front, struct fake_guest *guest, enum blkif_protocol protocol,
		uint32_t first_gref, uint32_t nr_pages)
{
	uint32_t i;

	*front = (struct front){
		.guest = guest, .protocol = protocol, .first_gref = first_gref,
		.nr_pages = nr_pages, .entries = 32 * nr_pages, .kick_fd = -1,
	};
	for (i = 0; i < nr_pages; i++) {
		memset(fake_guest_page(guest, first_gref + i), 0, XENIO_SLOT_BYTES);
		guest->grants[first_gref + i] = FAKE_WRITABLE;
	}
	head(front)->req_event = 1;
	head(front)->rsp_event = 1;
}

#define FILL_HEAD(wire, request)						\
	do {									\
		(wire)->operation = (request)->op;				\
		(wire)->handle = 0xbeef;					\
		(wire)->id = (request)->id;					\
		(wire)->sector_number = (request)->sector;			\
	} while (0)

#define FILL_REQUEST(wire, request)						\
	do {									\
		unsigned int i_;						\
		FILL_HEAD(wire, request);					\
		(wire)->nr_segments = (uint8_t)(request)->nr_segments;		\
		for (i_ = 0; i_ < BLKIF_SEGMENTS_MAX; i_++) {			\
			(wire)->seg[i_].gref = (request)->segments[i_].gref;	\
			(wire)->seg[i_].first_sect = (request)->segments[i_].first_sect; \
			(wire)->seg[i_].last_sect = (request)->segments[i_].last_sect;	\
		}								\
	} while (0)

#define FILL_DISCARD(wire, request)						\
	do {									\
		FILL_HEAD(wire, request);					\
		(wire)->flag = (request)->flags;				\
		(wire)->nr_sectors = (request)->nr_sectors;			\
	} while (0)

#define FILL_INDIRECT(wire, request)						\
	do {									\
		FILL_HEAD(wire, request);					\
		(wire)->operation = BLKIF_INDIRECT;				\
		(wire)->indirect_op = (request)->op;				\
		(wire)->nr_segments = (request)->nr_segments;			\
		memcpy((wire)->indirect_grefs, (request)->pages,		\
		       sizeof((wire)->indirect_grefs));				\
	} while (0)

#define FILL(bits, slot, request)						\
	do {									\
		if ((request)->indirect)					\
			FILL_INDIRECT((struct indirect_##bits *)(slot), request); \
		else if ((request)->op == BLKIF_DISCARD)			\
			FILL_DISCARD((struct discard_##bits *)(slot), request);	\
		else								\
			FILL_REQUEST((struct request_##bits *)(slot), request);	\
	} while (0)

void front_request(struct front *front, const struct blkif_request *request)
{
	void *slot = entry(front, front->req_prod++);

	if (is_32(front))
		FILL(32, slot, request);
	else
		FILL(64, slot, request);
}

void front_raw(struct front *front, const void *bytes, size_t size)
{
	uint8_t *slot = entry(front, front->req_prod++);
	size_t all = is_32(front) ? sizeof(struct request_32) : sizeof(struct request_64);

	memset(slot, 0, all);
	memcpy(slot, bytes, size < all ? size : all);
}

void front_segments(struct front *front, uint32_t gref, const struct blkif_segment *segments,
		    unsigned int nr)
{
	struct segment *page = fake_guest_page(front->guest, gref);
	unsigned int i;

	for (i = 0; i < nr; i++)
		page[i] = (struct segment){
			segments[i].gref, segments[i].first_sect, segments[i].last_sect
		};
}

void front_push(struct front *front)
{
	uint32_t old = head(front)->req_prod;
	uint32_t event;

	__atomic_store_n(&head(front)->req_prod, front->req_prod, __ATOMIC_SEQ_CST);
	event = head(front)->req_event;
	if (front->req_prod - event < front->req_prod - old)
		fake_kick(front->kick_fd < 0 ? front->guest->kick_fd : front->kick_fd);
}

bool front_response(struct front *front, struct front_response *response)
{
	uint32_t rsp_prod = __atomic_load_n(&head(front)->rsp_prod, __ATOMIC_SEQ_CST);

	if (front->rsp_cons == rsp_prod) {
		head(front)->rsp_event = front->rsp_cons + 1;
		return false;
	}
	if (is_32(front)) {
		const struct response_32 *wire = entry(front, front->rsp_cons++);

		*response = (struct front_response){ wire->id, wire->operation, wire->status };
	} else {
		const struct response_64 *wire = entry(front, front->rsp_cons++);

		*response = (struct front_response){ wire->id, wire->operation, wire->status };
	}
	return true;
}

volatile uint32_t *front_req_prod(struct front *front)
{
	return &head(front)->req_prod;
}
