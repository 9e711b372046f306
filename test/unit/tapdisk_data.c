// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways of moving data, and the operations that need more than one step. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#include "fake/rig.h"
#include "vbd/request.h"

#define NR_DATA		(FAKE_PAGES - DATA_GREF)
#define LIST_GREF	(FAKE_PAGES - 16)	/* pages of indirect segments */

static void use_way(struct rig *rig, enum data_way way)
{
	rig->way = way;
	rig_reconnect(rig);
}

/* @nr whole pages of data from @gref on; their list is in page @list. */
static struct blkif_request indirect(struct rig *rig, uint8_t op, uint64_t id, uint64_t sector,
				     uint32_t gref, uint16_t nr, uint32_t list)
{
	struct blkif_request request = {
		.id = id, .sector = sector, .op = op, .nr_segments = nr, .indirect = true,
		.pages = { list },
	};
	struct blkif_segment segments[512];
	uint32_t i;

	for (i = 0; i < nr && i < 512; i++)
		segments[i] = (struct blkif_segment){ gref + i % (NR_DATA - 600), 0, 7 };
	front_segments(rig_front(rig), list, segments, i);
	return request;
}

static void fill(struct rig *rig, uint32_t gref, uint32_t nr, uint8_t byte)
{
	memset(fake_guest_page(&rig->guest, gref), byte, (size_t)nr * XENIO_SLOT_BYTES);
}

static void assert_image(struct rig *rig, uint64_t sector, uint32_t nr, uint8_t byte)
{
	uint8_t got[SECTOR_BYTES];
	uint32_t s;

	for (s = 0; s < nr; s++) {
		assert_int_equal(pread(rig->check_fd, got, sizeof(got),
				       (off_t)(sector + s) * SECTOR_BYTES), sizeof(got));
		assert_int_equal(got[0], byte);
		assert_int_equal(got[SECTOR_BYTES - 1], byte);
	}
}

/* ---- ways ---- */

static void each_way_reads_and_writes(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	unsigned int w;

	for (w = 0; w < 4; w++) {
		struct blkif_request read = pages(BLKIF_READ, 1, 4000, DATA_GREF, 11);
		struct blkif_request write = pages(BLKIF_WRITE, 2, 100 + 100 * w, DATA_GREF + 20, 11);
		struct vbd_stats stats;
		unsigned int i;

		use_way(rig, ways[w]);
		/* Segments that do not fill their pages, and do not join. */
		read.segments[0].first_sect = 3;
		read.segments[10].last_sect = 2;
		assert_int_equal(rig_ask(rig, &read), BLKIF_OKAY);
		for (i = 1; i < 10; i++)
			assert_page(rig, DATA_GREF + i, 4000 + 5 + (i - 1) * 8);
		fill(rig, DATA_GREF + 20, 11, (uint8_t)(0x90 + w));
		assert_int_equal(rig_ask(rig, &write), BLKIF_OKAY);
		assert_image(rig, 100 + 100 * w, 88, (uint8_t)(0x90 + w));
		stats = vbd_stats(rig->vbd);
		assert_int_equal(stats.moved_map, ways[w] == DATA_MAP || ways[w] == DATA_AUTO ? 2 : 0);
		assert_int_equal(stats.moved_copy, ways[w] == DATA_COPY ? 2 : 0);
		assert_int_equal(stats.moved_persistent, ways[w] == DATA_PERSISTENT ? 2 : 0);
	}
}

static void auto_copies_the_small_ones(void **state)
{
	struct rig *rig = *state;
	unsigned int nr;

	use_way(rig, DATA_AUTO);
	for (nr = 1; nr <= 11; nr++) {
		struct blkif_request request = pages(BLKIF_READ, nr, 8 * nr, DATA_GREF, (uint8_t)nr);

		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF, 8 * nr);
		assert_page(rig, DATA_GREF + nr - 1, 8 * nr + 8 * (nr - 1));
	}
	assert_int_equal(vbd_stats(rig->vbd).moved_copy, 4);
	assert_int_equal(vbd_stats(rig->vbd).moved_map, 7);
	/* Nothing is mapped for what is copied. */
	assert_int_equal(vbd_stats(rig->vbd).grants, 5 + 6 + 7 + 8 + 9 + 10 + 11);
}

static void a_pass_copies_all_by_one_call(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	unsigned int i;

	use_way(rig, DATA_COPY);
	for (i = 0; i < 32; i++) {
		struct blkif_request request = pages(BLKIF_WRITE, i, i * 8, DATA_GREF + i, 2);

		front_request(rig_front(rig), &request);
	}
	rig->guest.copy_calls = 0;
	rig->guest.batches = 0;
	front_push(rig_front(rig));
	for (i = 0; i < 32; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
	}
	assert_int_equal(rig->guest.copy_calls, 1);
	assert_int_equal(rig->guest.batches, 0);
}

static void bad_grants_fail_alone_in_each_way(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	struct front_response response;
	unsigned int w, i;

	for (w = 0; w < 4; w++) {
		use_way(rig, ways[w]);
		for (i = 0; i < 10; i++) {
			uint32_t gref = DATA_GREF + 100 + i * 5;
			struct blkif_request request = pages(BLKIF_READ, i, 8 * i, gref, 3);

			if (i % 3 == 0)
				rig->guest.grants[gref + i % 2] = FAKE_NOT_GRANTED;
			if (i == 9)
				request.segments[2].gref = UINT32_MAX;
			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < 10; i++) {
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status,
					 response.id % 3 ? BLKIF_OKAY : BLKIF_ERROR);
		}
		assert_untouched(rig);
	}
}

static void read_only_grants(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	unsigned int w;

	for (w = 0; w < 4; w++) {
		struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 2);

		use_way(rig, ways[w]);
		rig->guest.grants[DATA_GREF + 1] = FAKE_RDONLY;
		fill(rig, DATA_GREF, 2, 0x77);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		assert_int_equal(((uint8_t *)fake_guest_page(&rig->guest, DATA_GREF + 1))[5], 0x77);
		request.op = BLKIF_WRITE;
		request.sector = 64 * (w + 1);
		fill(rig, DATA_GREF, 2, 0x78);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_image(rig, 64 * (w + 1), 16, 0x78);
	}
}

/* The data that counts is the one at the time of the copy. */
static void no_stale_data_after_a_short_read(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF, 4);

	use_way(rig, DATA_COPY);
	fill(rig, DATA_GREF, 4, 0xee);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	fill(rig, DATA_GREF, 4, 0x11);
	assert_int_equal(ftruncate(rig->check_fd, 8192), 0);
	request.op = BLKIF_READ;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	/* Not a byte of what was in our memory before. */
	assert_int_equal(((uint8_t *)fake_guest_page(&rig->guest, DATA_GREF + 3))[9], 0x11);
	assert_int_equal(((uint8_t *)fake_guest_page(&rig->guest, DATA_GREF))[9], 0x11);
}

static void what_cannot_be_mapped_is_copied(void **state)
{
	static const int errors[] = { -EDQUOT, -ENOSPC, -ENOMEM };
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 11);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		use_way(rig, i ? DATA_MAP : DATA_AUTO);
		rig->guest.map_error = errors[i];
		fill(rig, DATA_GREF, 11, 0);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF + 10, 80);
		assert_int_equal(vbd_stats(rig->vbd).fallbacks, 1);
		assert_int_equal(vbd_stats(rig->vbd).moved_copy, 1);
		/* All other errors are the guest's. */
		rig->guest.map_error = -EIO;
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		rig->guest.map_error = 0;
	}
}

/* As without the module: whatever was asked for, all is copied. */
static void without_arenas_all_is_copied(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	unsigned int w;

	for (w = 0; w < 4; w++) {
		struct blkif_request request;

		rig->guest.no_arenas = true;
		use_way(rig, ways[w]);
		request = pages(BLKIF_WRITE, 1, 64 * w, DATA_GREF, 8);
		fill(rig, DATA_GREF, 8, (uint8_t)(1 + w));
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_image(rig, 64 * w, 64, (uint8_t)(1 + w));
		request = indirect(rig, BLKIF_READ, 2, 1000, DATA_GREF, 256, LIST_GREF);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF + 255, 1000 + 255 * 8);
		assert_int_equal(vbd_stats(rig->vbd).moved_copy, 2);
		assert_int_equal(vbd_stats(rig->vbd).batches, 0);
	}
}

/* A layer that asks for the grants behind what passes through. */
struct spy {
	struct layer layer;
	uint32_t grefs[BLKIF_INDIRECT_MAX];
	unsigned int nr;
};

static void ask_grants(struct spy *spy, const struct io *io)
{
	const void *address;
	struct io_grant grant;
	unsigned int v;
	size_t at;

	spy->nr = 0;
	for (v = 0; v < io->nr_iov; v++) {
		for (at = 0; at < io->iov[v].iov_len; at += XENIO_SLOT_BYTES) {
			address = (uint8_t *)io->iov[v].iov_base + at + 17;
			assert_int_equal(io->source->ops->grants(io->source, &address, 1, &grant), 0);
			assert_int_equal(grant.error, 0);
			assert_int_equal(grant.domid, DOMID);
			spy->grefs[spy->nr++] = grant.gref;
		}
	}
	address = spy;
	assert_int_equal(io->source->ops->grants(io->source, &address, 1, &grant), 0);
	assert_int_equal(grant.error, -ENOENT);
}

static void spy_submit(struct layer *layer, struct io *io)
{
	if (io->nr_iov)
		ask_grants((struct spy *)layer, io);
	layer_submit(layer->below, io);
}

static void grants_behind_addresses(void **state)
{
	static const struct layer_ops ops = { .name = "spy", .submit = spy_submit };
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	struct spy spy = { .layer = { &ops, rig->store.top } };
	unsigned int w, i;

	for (w = 0; w < 4; w++) {
		struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF + 9, 11);

		use_way(rig, ways[w]);
		rig->store.top = &spy.layer;
		request.segments[4].gref = DATA_GREF + 999;
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_int_equal(spy.nr, 11);
		for (i = 0; i < 11; i++)
			assert_int_equal(spy.grefs[i], request.segments[i].gref);
		request = indirect(rig, BLKIF_READ, 2, 0, DATA_GREF + 100, 200, LIST_GREF);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_int_equal(spy.nr, 200);
		for (i = 0; i < 200; i++)
			assert_int_equal(spy.grefs[i], DATA_GREF + 100 + i);
		rig->store.top = spy.layer.below;
	}
}

/* ---- persistent grants ---- */

static void persistent_grants_stay_mapped(void **state)
{
	struct rig *rig = *state;
	unsigned int round;

	use_way(rig, DATA_PERSISTENT);
	for (round = 0; round < 50; round++) {
		struct blkif_request request =
			pages(round % 2 ? BLKIF_READ : BLKIF_WRITE, round, 0, DATA_GREF, 11);

		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_int_equal(fake_guest_mapped(&rig->guest), 1 + 11);
	}
	assert_int_equal(vbd_stats(rig->vbd).grants, 11);
	assert_int_equal(vbd_stats(rig->vbd).persistent_grants, 11);
}

/* A guest with ever new grants gets no more than the cap, and every byte right. */
static void persistent_grants_are_capped(void **state)
{
	struct rig *rig = *state;
	uint32_t cap = 32 * 33;
	uint32_t i;

	use_way(rig, DATA_PERSISTENT);
	for (i = 0; i + 11 <= NR_DATA; i += 11) {
		struct blkif_request request = pages(BLKIF_READ, i, i % 8192, DATA_GREF + i, 11);

		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF + i + 10, i % 8192 + 80);
		assert_in_range(fake_guest_mapped(&rig->guest), 1, cap + 1);
	}
	assert_in_range(vbd_stats(rig->vbd).persistent_evicted, 1, NR_DATA);
	assert_int_equal(vbd_stats(rig->vbd).persistent_grants, cap);
	/* The newest are still there, the oldest not. */
	assert_int_equal(rig->guest.mapped[DATA_GREF], 0);
	assert_int_equal(rig->guest.mapped[DATA_GREF + i - 11], 1);
}

static void an_evicted_page_that_io_holds_is_not_reused(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;
	uint32_t i;

	use_way(rig, DATA_PERSISTENT);
	rig->guest.busy = true;
	rig->guest.busy_gref = DATA_GREF;
	for (i = 0; i + 11 <= NR_DATA; i += 11) {
		request = pages(BLKIF_READ, i, 0, DATA_GREF + i, 11);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF + i, 0);
	}
	assert_int_equal(vbd_stats(rig->vbd).drains, 1);
	assert_in_range(vbd_stats(rig->vbd).fallbacks, 1, 1);
	rig->guest.busy = false;
	fake_xenio_drain(rig->xenios[0]);
	request = pages(BLKIF_READ, i, 0, DATA_GREF, 11);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
}

/* The end waits for a page that is held, and no mapping survives it. */
static void closing_waits_for_kept_pages(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 3);
	struct xenio *xenio;
	int i;

	use_way(rig, DATA_PERSISTENT);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->guest.busy = true;
	rig->guest.busy_gref = DATA_GREF + 1;
	xenio = rig->xenios[0];
	rig_close_begin(rig);
	for (i = 0; i < 30; i++)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_false(rig->closed);
	assert_int_equal(rig->guest.mapped[DATA_GREF + 1], 1);
	assert_int_equal(rig->guest.mapped[DATA_GREF], 0);
	rig->guest.busy = false;
	fake_xenio_drain(xenio);
	rig_close_end(rig);
}

static void same_grant_twice_in_a_persistent_request(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF, 11);
	unsigned int i;

	use_way(rig, DATA_PERSISTENT);
	for (i = 0; i < 11; i++)
		request.segments[i].gref = DATA_GREF + i % 2;
	for (i = 0; i < 5; i++)
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_int_equal(fake_guest_mapped(&rig->guest), 1 + 2);
}

/* ---- indirect ---- */

static void indirect_in_every_layout_and_way(void **state)
{
	static const enum blkif_protocol protocols[] = { BLKIF_NATIVE, BLKIF_X86_32, BLKIF_X86_64 };
	static const uint16_t counts[] = { 1, 11, 12, 64, 255, 256 };
	struct rig *rig = *state;
	unsigned int p, c, way;

	for (p = 0; p < 3; p++) {
		for (way = DATA_MAP; way <= DATA_AUTO; way++) {
			rig->protocol = protocols[p];
			use_way(rig, (enum data_way)way);
			for (c = 0; c < 6; c++) {
				struct blkif_request request =
					indirect(rig, BLKIF_READ, 0xfedcba9876543210, 1000, DATA_GREF,
						 counts[c], LIST_GREF);

				assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
				assert_page(rig, DATA_GREF, 1000);
				assert_page(rig, DATA_GREF + counts[c] - 1u,
					    1000 + 8 * (counts[c] - 1u));
			}
			assert_int_equal(vbd_stats(rig->vbd).indirect, 6);
		}
	}
}

static void indirect_write_from_read_only_grants(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;
	uint32_t i;

	request = indirect(rig, BLKIF_WRITE, 1, 2000, DATA_GREF, 200, LIST_GREF);
	rig->guest.grants[LIST_GREF] = FAKE_RDONLY;
	for (i = 0; i < 200; i++)
		rig->guest.grants[DATA_GREF + i] = FAKE_RDONLY;
	fill(rig, DATA_GREF, 200, 0x3c);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_image(rig, 2000, 1600, 0x3c);
}

/* Inputs 73 to 82 of what hostile frontends try; the answer has the inner operation. */
static void hostile_indirect_requests(void **state)
{
	static const uint16_t counts[] = { 0, 257, 512, 513, 4096, 4097, 32768, 65535 };
	struct rig *rig = *state;
	struct blkif_request request;
	unsigned int i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		request = indirect(rig, BLKIF_READ, i, 0, DATA_GREF, counts[i], LIST_GREF);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	}
	for (i = 2; i < 256; i++) {
		request = indirect(rig, (uint8_t)i, i, 0, DATA_GREF, 1, LIST_GREF);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	}
	/* Lists that are not granted. */
	request = indirect(rig, BLKIF_WRITE, 1, 0, DATA_GREF, 20, LIST_GREF);
	request.pages[0] = UINT32_MAX;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	rig->guest.grants[LIST_GREF + 1] = FAKE_NOT_GRANTED;
	request.pages[0] = LIST_GREF + 1;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	/* Only the pages that are needed count. */
	request = indirect(rig, BLKIF_READ, 1, 0, DATA_GREF, 20, LIST_GREF);
	memset(&request.pages[1], 0xff, sizeof(request.pages) - sizeof(request.pages[0]));
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_untouched(rig);
	assert_int_equal(vbd_stats(rig->vbd).write_errors, 0);
}

static void hostile_indirect_segments(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	for (n = 0; n < 64; n++) {
		struct blkif_request request =
			indirect(rig, BLKIF_WRITE, n, 0, DATA_GREF, 100, LIST_GREF);
		struct blkif_segment segment = { DATA_GREF, (uint8_t)(n % 8), (uint8_t)(n / 8) };
		uint8_t *raw = (uint8_t *)fake_guest_page(&rig->guest, LIST_GREF) + 99 * 8;

		raw[4] = segment.first_sect;
		raw[5] = segment.last_sect;
		if (segment.first_sect <= segment.last_sect) {
			/* Beyond the end by what the last segment adds. */
			request.sector = IMAGE_SECTORS - 99 * 8;
		}
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		raw[4] = 0;
		raw[5] = (uint8_t)(8 + n);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	}
	assert_untouched(rig);
}

/* The list is also the target of the read that it describes: copied once. */
static void an_indirect_list_that_is_its_own_target(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = indirect(rig, BLKIF_READ, 1, 800, DATA_GREF, 30, LIST_GREF);
	struct blkif_segment segments[30];
	unsigned int i;

	for (i = 0; i < 30; i++)
		segments[i] = (struct blkif_segment){ i == 3 ? LIST_GREF : DATA_GREF + i, 0, 7 };
	front_segments(rig_front(rig), LIST_GREF, segments, 30);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, LIST_GREF, 800 + 24);
	assert_page(rig, DATA_GREF + 29, 800 + 29 * 8);
}

/* A ring full of the largest: they take turns at the slots, none is lost. */
static void a_ring_of_largest_requests_waits_for_room(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	struct front_response response;
	unsigned int w, i;

	for (w = 0; w < 4; w++) {
		uint64_t seen = 0;

		use_way(rig, ways[w]);
		for (i = 0; i < 32; i++) {
			struct blkif_request request =
				indirect(rig, BLKIF_READ, i, 8 * i, DATA_GREF + i, 256,
					 LIST_GREF + i % 16);

			/* Lists are shared by two: both mean the same. */
			if (i >= 16)
				request = indirect(rig, BLKIF_READ, i, 8 * (i - 16),
						   DATA_GREF + i - 16, 256, LIST_GREF + i - 16);
			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < 32; i++) {
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status, BLKIF_OKAY);
			seen |= 1ull << response.id;
		}
		assert_int_equal(seen, 0xffffffff);
		if (ways[w] == DATA_MAP || ways[w] == DATA_COPY)
			assert_in_range(vbd_stats(rig->vbd).waits, 1, 1000);
	}
}

/* ---- barriers, discards ---- */

static void barrier_empty_and_with_data(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_BARRIER, 1, UINT64_MAX, 0, 0);

	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	fill(rig, DATA_GREF, 2, 0x5b);
	request = pages(BLKIF_BARRIER, 2, 40, DATA_GREF, 2);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_image(rig, 40, 16, 0x5b);
	assert_int_equal(vbd_stats(rig->vbd).barriers, 2);
	/* A bad one is refused and leaves no gate closed. */
	request.segments[0].last_sect = 8;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_BARRIER, 3, 40, DATA_GREF, 2);
	request.segments[1].gref = UINT32_MAX;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 4, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
}

/* What came before has ended, what came after has not begun. */
static void barriers_are_in_order(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint64_t last = 0;
	unsigned int round, i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 32; i++) {
			struct blkif_request request =
				pages(i % 8 == 7 ? BLKIF_BARRIER : BLKIF_WRITE, i, 0,
				      DATA_GREF + i, 1);

			fill(rig, DATA_GREF + i, 1, (uint8_t)(i / 8 * 16 + round));
			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < 32; i++) {
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status, BLKIF_OKAY);
			assert_int_equal(response.id / 8, i / 8);
			if (response.id % 8 == 7)
				assert_int_equal(i % 8, 7);
			last = response.id;
		}
		assert_int_equal(last, 31);
		assert_image(rig, 0, 8, (uint8_t)(48 + round));
	}
}

static void a_failed_barrier_is_held_and_stops_writes(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_BARRIER, 1, 0, 0, 0);
	int good_fd = rig->image.fd;
	int bad_fd = eventfd(0, EFD_CLOEXEC);	/* cannot be synced */

	rig->image.fd = bad_fd;
	rig_send(rig, 0, &request);
	rig_quiet_turns(rig, 30);
	rig->image.fd = good_fd;
	close(bad_fd);
	request = pages(BLKIF_WRITE, 2, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	/* The gate is open again. */
	request = pages(BLKIF_READ, 3, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_int_equal(vbd_stats(rig->vbd).held, 1);
}

static struct blkif_request discard(uint64_t sector, uint64_t nr)
{
	return (struct blkif_request){
		.op = BLKIF_DISCARD, .id = 9, .sector = sector, .nr_sectors = nr,
	};
}

/* Inputs 84 to 89. */
static void hostile_discards(void **state)
{
	static const struct {
		uint64_t sector, nr;
		int status;
	} cases[] = {
		{ 0, 0, BLKIF_OKAY },
		{ IMAGE_SECTORS, 0, BLKIF_OKAY },
		{ IMAGE_SECTORS, 1, BLKIF_ERROR },
		{ 0, IMAGE_SECTORS + 1, BLKIF_ERROR },
		{ 0, 1ull << 63, BLKIF_ERROR },
		{ 8, UINT64_MAX - 7, BLKIF_ERROR },
		{ 8, UINT64_MAX, BLKIF_ERROR },
		{ UINT64_MAX, 1, BLKIF_ERROR },
		{ UINT64_MAX, UINT64_MAX, BLKIF_ERROR },
		{ 1ull << 55, 8, BLKIF_ERROR },
	};
	struct rig *rig = *state;
	struct blkif_request request;
	unsigned int i;

	/* Not offered. */
	request = discard(0, 8);
	assert_int_equal(rig_ask(rig, &request), BLKIF_EOPNOTSUPP);
	rig->discard = true;
	rig_reconnect(rig);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request = discard(cases[i].sector, cases[i].nr);
		request.flags = (uint8_t)i * 31;
		assert_int_equal(rig_ask(rig, &request), cases[i].status);
	}
	rig->readonly = true;
	rig_reconnect(rig);
	request = discard(0, 8);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	assert_untouched(rig);
}

/* What was discarded is a hole in the file; its neighbours are as they were. */
static void discards_reach_the_image(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = discard(1001, 2048);
	uint64_t piece = rig->image.discard_granularity / SECTOR_BYTES;
	uint64_t first, end;

	if (!rig->image.can_discard)
		skip();
	rig->discard = true;
	rig_reconnect(rig);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	first = (1001 + piece - 1) / piece * piece;
	end = (1001 + 2048) / piece * piece;
	assert_image(rig, first, (uint32_t)(end - first), 0);
	request = pages(BLKIF_READ, 1, first - 8, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF, first - 8);
	request = pages(BLKIF_READ, 1, end, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF, end);
	assert_int_equal(vbd_stats(rig->vbd).discards, 1);
	assert_int_equal(vbd_stats(rig->vbd).discard_sectors, end - first);
}

/* The range is cut to whole pieces, never the other way. */
static void discard_ranges_are_cut_inwards(void **state)
{
	static const struct {
		uint32_t piece, offset;
		uint64_t sector, nr, want, want_nr;
	} cases[] = {
		{ 1, 0, 5, 3, 5, 3 },
		{ 8, 0, 0, 8, 0, 8 },
		{ 8, 0, 1, 7, 0, 0 },
		{ 8, 0, 1, 15, 8, 8 },
		{ 8, 0, 7, 18, 8, 16 },
		{ 8, 3, 0, 11, 3, 8 },
		{ 8, 3, 0, 3, 0, 0 },
		{ 8, 3, 4, 100, 11, 88 },
		{ 8, 0, 96, 4, 96, 4 },		/* up to the end of the disk */
		{ 8, 0, 97, 3, 0, 0 },
		{ 128, 0, 0, 100, 0, 100 },
		{ 128, 64, 0, 100, 64, 36 },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct request_limits limits = {
			.sectors = 100 + (i == 7 ? 100 : 0), .block_sectors = 1, .discard = true,
			.discard_sectors = cases[i].piece, .discard_offset = cases[i].offset,
		};
		struct request request = {
			.wire = { .sector = cases[i].sector, .nr_sectors = cases[i].nr },
		};
		uint64_t sector, nr;

		assert_int_equal(request_discard_range(&request, &limits, &sector, &nr), 0);
		assert_int_equal(nr, cases[i].want_nr);
		if (nr)
			assert_int_equal(sector, cases[i].want);
	}
}

/* ---- all together ---- */

/*
 * A frontend that is reset with requests under way, and comes back another one. What
 * it was writing is what the disk has there already, so that the model knows.
 */
static void reset_under_load(struct rig *rig, const uint8_t *model)
{
	unsigned int i, turns = (unsigned int)random() % 6;

	/* More than there is room for at a time. */
	for (i = 0; i < 6; i++) {
		uint64_t sector = (uint64_t)random() % (IMAGE_SECTORS - 2048);
		uint32_t gref = DATA_GREF + i * 256;
		uint8_t op = random() % 3 ? BLKIF_WRITE : BLKIF_READ;
		struct blkif_request request =
			indirect(rig, op, i, sector, gref, 256, LIST_GREF + i);

		memcpy(fake_guest_page(&rig->guest, gref), model + sector * SECTOR_BYTES,
		       (size_t)256 * XENIO_SLOT_BYTES);
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	while (turns--)
		assert_int_equal(loop_once(&rig->loop, 0), 0);
	rig_disconnect(rig);
	rig->protocol = (enum blkif_protocol)(random() % 3);
	rig->nr_pages = 1u << random() % 3;
	rig->copy_max = random() % 2 ? DATA_COPY_MAX_DEFAULT : 65536;
	rig->guest.no_arenas = random() % 8 == 0;
	rig->way = (enum data_way)(random() % 4);
	rig_connect(rig);
}

/*
 * Random requests in a random way, of frontends that come and go; each byte is compared
 * with a model of the disk, and in the end the disk with it.
 */
static void random_requests_match_a_model(void **state)
{
	struct rig *rig = *state;
	uint8_t *model = malloc(IMAGE_SECTORS * SECTOR_BYTES);
	uint8_t *disk = malloc(IMAGE_SECTORS * SECTOR_BYTES);
	unsigned int seed = (unsigned int)time(NULL);
	int round;

	assert_true(model && disk);
	assert_int_equal(pread(rig->check_fd, model, IMAGE_SECTORS * SECTOR_BYTES, 0),
			 IMAGE_SECTORS * SECTOR_BYTES);
	print_message("seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 600; round++) {
		static const uint8_t ops[] = { BLKIF_READ, BLKIF_WRITE, BLKIF_FLUSH, BLKIF_BARRIER };
		struct blkif_segment segments[BLKIF_INDIRECT_MAX];
		struct blkif_request request = { .id = (uint64_t)random() };
		uint64_t offset;
		unsigned int i;

		if (round % 20 == 0)
			reset_under_load(rig, model);
		request.indirect = random() % 2;
		request.op = ops[random() % (request.indirect ? 2 : 4)];
		request.nr_segments = (uint16_t)(1 + random() % (request.indirect ? 256 : 11));
		request.sector = (uint64_t)random() % (IMAGE_SECTORS - 2048);
		request.pages[0] = LIST_GREF + (uint32_t)random() % 16;
		for (i = 0; i < request.nr_segments; i++) {
			uint8_t first = (uint8_t)(random() % 8);
			uint32_t *page;
			unsigned int w;

			segments[i].gref = DATA_GREF + i * 6 + (uint32_t)random() % 6;
			segments[i].first_sect = random() % 2 ? 0 : first;
			segments[i].last_sect = random() % 2 ? 7 : (uint8_t)(first + random() % (8 - first));
			page = fake_guest_page(&rig->guest, segments[i].gref);
			for (w = 0; w < XENIO_SLOT_BYTES / 4; w += 16)
				page[w] = (uint32_t)random();
		}
		if (request.indirect)
			front_segments(rig_front(rig), request.pages[0], segments,
				       request.nr_segments);
		else
			memcpy(request.segments, segments,
			       request.nr_segments * sizeof(segments[0]));
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		offset = request.sector * SECTOR_BYTES;
		for (i = 0; i < request.nr_segments; i++) {
			uint8_t *bytes = (uint8_t *)fake_guest_page(&rig->guest, segments[i].gref) +
					 segments[i].first_sect * SECTOR_BYTES;
			size_t length = (segments[i].last_sect - segments[i].first_sect + 1u) *
					SECTOR_BYTES;

			if (request.op == BLKIF_READ)
				assert_memory_equal(bytes, model + offset, length);
			else
				memcpy(model + offset, bytes, length);
			offset += length;
		}
	}
	rig_disconnect(rig);
	assert_int_equal(pread(rig->check_fd, disk, IMAGE_SECTORS * SECTOR_BYTES, 0),
			 IMAGE_SECTORS * SECTOR_BYTES);
	assert_memory_equal(disk, model, IMAGE_SECTORS * SECTOR_BYTES);
	free(disk);
	free(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_way_reads_and_writes),
		TEST(auto_copies_the_small_ones),
		TEST(a_pass_copies_all_by_one_call),
		TEST(bad_grants_fail_alone_in_each_way),
		TEST(read_only_grants),
		TEST(no_stale_data_after_a_short_read),
		TEST(what_cannot_be_mapped_is_copied),
		TEST(without_arenas_all_is_copied),
		TEST(grants_behind_addresses),
		TEST(persistent_grants_stay_mapped),
		TEST(persistent_grants_are_capped),
		TEST(an_evicted_page_that_io_holds_is_not_reused),
		TEST(closing_waits_for_kept_pages),
		TEST(same_grant_twice_in_a_persistent_request),
		TEST(indirect_in_every_layout_and_way),
		TEST(indirect_write_from_read_only_grants),
		TEST(hostile_indirect_requests),
		TEST(hostile_indirect_segments),
		TEST(an_indirect_list_that_is_its_own_target),
		TEST(a_ring_of_largest_requests_waits_for_room),
		TEST(barrier_empty_and_with_data),
		TEST(barriers_are_in_order),
		TEST(a_failed_barrier_is_held_and_stops_writes),
		TEST(hostile_discards),
		TEST(discards_reach_the_image),
		TEST(discard_ranges_are_cut_inwards),
		TEST(random_requests_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
