// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/hostile.h"

void assert_alive(struct rig *rig)
{
	struct blkif_request request = pages(BLKIF_READ, 0xa11fe, 8000, FAKE_PAGES - 20, 1);

	rig->guest.grants[FAKE_PAGES - 20] = FAKE_WRITABLE;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, FAKE_PAGES - 20, 8000);
}

void turn_often(struct rig *rig, int turns)
{
	while (turns--)
		assert_int_equal(loop_once(&rig->loop, 0), 0);
}

const enum data_way all_ways[4] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };

void use_way(struct rig *rig, enum data_way way)
{
	rig->way = way;
	rig_reconnect(rig);
}

void fill(struct rig *rig, uint32_t gref, uint32_t nr, uint8_t byte)
{
	memset(fake_guest_page(&rig->guest, gref), byte, (size_t)nr * XENIO_SLOT_BYTES);
}

uint8_t image_byte(struct rig *rig, uint64_t sector)
{
	uint8_t byte;

	assert_int_equal(pread(rig->check_fd, &byte, 1, (off_t)sector * SECTOR_BYTES), 1);
	return byte;
}

struct blkif_request indirect(struct rig *rig, uint8_t op, uint64_t sector, uint32_t gref,
			      uint16_t nr)
{
	struct blkif_segment segments[BLKIF_INDIRECT_MAX];
	uint32_t i;

	for (i = 0; i < nr; i++)
		segments[i] = (struct blkif_segment){ gref + i, 0, 7 };
	front_segments(rig_front(rig), LIST_GREF, segments, nr);
	return (struct blkif_request){
		.op = op, .id = sector, .sector = sector, .nr_segments = nr, .indirect = true,
		.pages = { LIST_GREF },
	};
}

static void hand_submit(struct layer *layer, struct io *io)
{
	struct hand *hand = (struct hand *)layer;
	uint32_t i;

	for (i = 0; i < hand->nr_revoke; i++)
		hand->rig->guest.grants[hand->revoke + i] = FAKE_NOT_GRANTED;
	if (hand->hold)
		hand->ios[hand->nr++] = io;
	else if (hand->error && io->op == IO_WRITE)
		io_done(io, hand->error);
	else
		layer_submit(layer->below, io);
}

static const struct layer_ops hand_ops = { .name = "hand", .submit = hand_submit };

void hand_insert(struct hand *hand, struct rig *rig)
{
	*hand = (struct hand){ .layer = { &hand_ops, rig->store.top }, .rig = rig };
	rig->store.top = &hand->layer;
}

void hand_remove(struct hand *hand)
{
	hand->rig->store.top = hand->layer.below;
}

volatile uint32_t *head_word(struct rig *rig, unsigned int queue, enum head_word word)
{
	uint32_t *head = fake_guest_page(&rig->guest, rig->fronts[queue].first_gref);

	return &head[word];
}

struct blkif_request unknown(uint64_t id)
{
	return (struct blkif_request){ .op = 77, .id = id };
}

void fill_ring(struct rig *rig, unsigned int queue)
{
	struct front *front = &rig->fronts[queue];

	while (front->req_prod - front->rsp_cons < front->entries) {
		struct blkif_request request = unknown(front->req_prod);

		front_request(front, &request);
	}
	front_push(front);
}
