// SPDX-License-Identifier: GPL-2.0-or-later
/* Hostile ranges, discards, and what an image may turn into. Numbers: test/hostile.md. */
#include <fcntl.h>
#include <stdio.h>

#include "fake/hostile.h"

/* ---- segments and ranges ---- */

static void bounds_of_a_segment(void **state)
{
	struct rig *rig = *state;
	unsigned int first, last;

	for (first = 0; first < 16; first++) {
		for (last = 0; last < 16; last++) {
			struct blkif_request request = {
				.op = BLKIF_READ, .id = first, .sector = 8, .nr_segments = 2,
				.segments = { { DATA_GREF, 0, 7 },
					      { DATA_GREF + 1, (uint8_t)first, (uint8_t)last } },
			};
			bool good = first <= last && last < 8;
			uint64_t refused = vbd_stats(rig->vbd).bad_requests;

			fill(rig, DATA_GREF + 1, 1, 0x31);
			assert_int_equal(rig_ask(rig, &request), good ? BLKIF_OKAY : BLKIF_ERROR);
			/* Refused before anything was done, not saved by what is unmapped. */
			assert_int_equal(vbd_stats(rig->vbd).bad_requests, refused + !good);
		}
	}
	assert_untouched(rig);
}

/* What a disk of 4096-byte sectors is asked is whole sectors, whole ones of a page. */
static void sectors_of_4096_bytes(void **state)
{
	static const struct {
		uint64_t sector;
		uint8_t first, last;
		int status;
	} cases[] = {
		{ 0, 0, 7, BLKIF_OKAY }, { 8, 0, 7, BLKIF_OKAY }, { 1, 0, 7, BLKIF_ERROR },
		{ 4, 0, 7, BLKIF_ERROR }, { 7, 0, 7, BLKIF_ERROR }, { 0, 7, 7, BLKIF_ERROR },
		{ 0, 0, 0, BLKIF_ERROR }, { 0, 0, 6, BLKIF_ERROR }, { 0, 1, 7, BLKIF_ERROR },
		{ IMAGE_SECTORS - 8, 0, 7, BLKIF_OKAY }, { IMAGE_SECTORS - 4, 0, 7, BLKIF_ERROR },
	};
	struct rig *rig = *state;
	unsigned int i;

	rig->image.sector_bytes = 4096;
	rig_reconnect(rig);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct blkif_request request = {
			.op = BLKIF_READ, .sector = cases[i].sector, .nr_segments = 1,
			.segments = { { DATA_GREF, cases[i].first, cases[i].last } },
		};

		assert_int_equal(rig_ask(rig, &request), cases[i].status);
		request.op = BLKIF_WRITE;
		if (cases[i].status)
			assert_int_equal(rig_ask(rig, &request), cases[i].status);
	}
	assert_untouched(rig);
}

/* In any order, but each sector is what one of them has written. */
static void writes_that_overlap(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	unsigned int w, i, s;

	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		for (i = 0; i < 32; i++) {
			struct blkif_request request = pages(i % 2 ? BLKIF_WRITE : BLKIF_READ, i,
							     64 + i % 8, DATA_GREF + i * 4, 4);

			fill(rig, DATA_GREF + i * 4, 4, (uint8_t)(0x80 + i));
			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < 32; i++) {
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status, BLKIF_OKAY);
		}
		assert_int_equal(image_byte(rig, 63), pattern(63, 0));
		assert_int_equal(image_byte(rig, 65 + 32 + 6), pattern(65 + 32 + 6, 0));
		for (s = 65; s < 64 + 7 + 32; s++) {
			assert_in_range(image_byte(rig, s), 0x80, 0x9f);
			assert_int_equal(image_byte(rig, s) % 2, 1);
		}
	}
}

static void a_disk_without_sectors(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;

	rig->image.sectors = 0;
	request = pages(BLKIF_READ, 1, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_WRITE;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_FLUSH;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.nr_segments = 0;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->image.sectors = IMAGE_SECTORS;
	assert_untouched(rig);
}

/* A request is checked against the size that the disk has when it is taken. */
static void a_size_that_changes(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 8000, DATA_GREF, 1);
	struct front_response response;
	struct hand hand;

	hand_insert(&hand, rig);
	hand.hold = true;
	rig_send(rig, 0, &request);
	turn_often(rig, 5);
	assert_int_equal(hand.nr, 1);
	rig->image.sectors = 8000;
	hand.hold = false;
	layer_submit(hand.layer.below, hand.ios[0]);
	aio_submit(&rig->worker.aio);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	assert_page(rig, DATA_GREF, 8000);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	hand_remove(&hand);
	rig->image.sectors = IMAGE_SECTORS;
}

static void nothing_writes_to_a_read_only_disk(void **state)
{
	static const uint8_t ops[] = { BLKIF_WRITE, BLKIF_BARRIER, BLKIF_FLUSH };
	struct rig *rig = *state;
	struct blkif_request request;
	unsigned int w, i;

	rig->readonly = rig->discard = true;
	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		for (i = 0; i < ARRAY_SIZE(ops); i++) {
			request = pages(ops[i], i, 64, DATA_GREF, 3);
			assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		}
		request = indirect(rig, BLKIF_WRITE, 64, DATA_GREF, 30);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		request = (struct blkif_request){ .op = BLKIF_DISCARD, .nr_sectors = 8 };
		assert_int_equal(rig_ask(rig, &request),
				 rig->image.can_discard ? BLKIF_ERROR : BLKIF_EOPNOTSUPP);
		for (i = 1; i < ARRAY_SIZE(ops); i++) {
			request = pages(ops[i], i, 64, DATA_GREF, 0);
			assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		}
		assert_alive(rig);
	}
	assert_untouched(rig);
}

/* ---- discards ---- */

/* Only one that was offered reaches the store as such, and other flags never do. */
static void flags_of_a_discard(void **state)
{
	static const uint8_t flags[] = { 0, BLKIF_DISCARD_SECURE, 0xfe, 0xff };
	struct rig *rig = *state;
	struct front_response response;
	struct hand hand;
	unsigned int i;

	if (!rig->image.can_discard)
		skip();
	rig->discard = true;
	rig_reconnect(rig);
	hand_insert(&hand, rig);
	for (i = 0; i < 2 * ARRAY_SIZE(flags); i++) {
		bool offered = i % 2, asked = flags[i / 2] & BLKIF_DISCARD_SECURE;

		rig->image.discard_secure = offered;
		hand.hold = true;
		rig_send(rig, 0, &(struct blkif_request){
			 .op = BLKIF_DISCARD, .flags = flags[i / 2], .sector = 4096, .nr_sectors = 64 });
		turn_often(rig, 5);
		assert_int_equal(hand.nr, 1);
		assert_int_equal(hand.ios[0]->op, IO_DISCARD);
		assert_int_equal(hand.ios[0]->flags, offered && asked ? IO_SECURE : 0);
		hand.hold = false;
		hand.nr = 0;
		io_done(hand.ios[0], 0);
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
	}
	rig->image.discard_secure = false;
	hand_remove(&hand);
	assert_untouched(rig);
}

/* Zeros or what was written, sector by sector; and all beside it as it was. */
static void writes_during_a_discard(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	unsigned int i, s;

	if (!rig->image.can_discard)
		skip();
	rig->discard = true;
	rig_reconnect(rig);
	fill(rig, DATA_GREF, 11, 0x5a);
	for (i = 0; i < 31; i++) {
		struct blkif_request request = pages(BLKIF_WRITE, i, 4096 + i * 88, DATA_GREF, 11);

		if (i % 3 == 0)
			request = (struct blkif_request){
				.op = BLKIF_DISCARD, .id = i, .sector = 4096, .nr_sectors = 31 * 88,
			};
		front_request(rig_front(rig), &request);
	}
	rig_send(rig, 0, &(struct blkif_request){ .op = BLKIF_FLUSH, .id = 31 });
	for (i = 0; i < 32; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
	}
	for (s = 4096; s < 4096 + 31 * 88; s++) {
		uint8_t byte = image_byte(rig, s);

		assert_true(byte == 0 || byte == 0x5a || byte == pattern(s, 0));
	}
	assert_int_equal(image_byte(rig, 4095), pattern(4095, 0));
	assert_int_equal(image_byte(rig, 4096 + 31 * 88), pattern(4096 + 31 * 88, 0));
}

/* A ring full of discards, of pieces or of the whole disk; reads pass all the same. */
static void a_flood_of_discards(void **state)
{
	static const uint64_t lengths[] = { 1, 8, 1024, IMAGE_SECTORS };
	struct rig *rig = *state;
	struct front_response response;
	unsigned int l, i;

	if (!rig->image.can_discard)
		skip();
	rig->discard = true;
	rig->nr_queues = 2;
	rig_reconnect(rig);
	for (l = 0; l < ARRAY_SIZE(lengths); l++) {
		struct blkif_request read = pages(BLKIF_READ, 32, 0, DATA_GREF, 1);

		for (i = 0; i < 32; i++) {
			struct blkif_request request = {
				.op = BLKIF_DISCARD, .id = i, .nr_sectors = lengths[l],
				.sector = (i * lengths[l]) % (IMAGE_SECTORS - lengths[l] + 1),
			};

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		rig_send(rig, 1, &read);
		assert_true(rig_turn(rig, 1, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		for (i = 0; i < 32; i++) {
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status, BLKIF_OKAY);
			assert_int_equal(response.op, BLKIF_DISCARD);
		}
	}
	assert_int_equal(image_byte(rig, 0), 0);
	assert_int_equal(image_byte(rig, IMAGE_SECTORS - 1), 0);
}

/* ---- images and stores ---- */

/* What a guest writes to its disk is never taken for the head of an image format. */
static void a_guest_writes_an_image_header(void **state)
{
	static const char magics[][9] = { "QFI\xfb\0\0\0\3", "conectix", "KDMV\1", "vhdxfile",
					  "LUKS\xba\xbe" };
	struct rig *rig = *state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(magics); i++) {
		struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF, 1);
		char self[64], why[256];
		struct image again;

		fill(rig, DATA_GREF, 1, 0);
		memcpy(fake_guest_page(&rig->guest, DATA_GREF), magics[i], 8);
		strcpy((char *)fake_guest_page(&rig->guest, DATA_GREF) + 64, "/etc/shadow");
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		snprintf(self, sizeof(self), "/proc/self/fd/%d", rig->image.fd);
		assert_int_equal(image_open(&again, open(self, O_RDWR | O_DIRECT | O_CLOEXEC),
					    false, "image", why, sizeof(why)), 0);
		assert_int_equal(again.sectors, IMAGE_SECTORS);
		image_close(&again);
		fill(rig, DATA_GREF + 1, 1, 0);
		request = pages(BLKIF_READ, 2, 0, DATA_GREF + 1, 1);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_memory_equal(fake_guest_page(&rig->guest, DATA_GREF),
				    fake_guest_page(&rig->guest, DATA_GREF + 1), XENIO_SLOT_BYTES);
	}
}

/* Nothing between the guest's data and its store that another one might see, or lose. */
static void an_image_that_is_cached(void **state)
{
	static const struct {
		int flags;
		bool readonly;
		int error;
	} cases[] = {
		{ O_RDWR, false, -EINVAL }, { O_RDONLY, true, -EINVAL },
		{ O_RDWR | O_DIRECT, false, 0 }, { O_RDONLY | O_DIRECT, true, 0 },
		{ O_RDONLY | O_DIRECT, false, -EACCES }, { O_RDWR | O_DIRECT, true, -EINVAL },
	};
	struct rig *rig = *state;
	char self[64], why[256];
	struct image image;
	unsigned int i;
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", rig->image.fd);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		fd = open(self, cases[i].flags | O_CLOEXEC);
		assert_int_equal(image_open(&image, fd, cases[i].readonly, "image", why,
					    sizeof(why)), cases[i].error);
		close(fd);
	}
}

static void a_store_without_space(void **state)
{
	static const int errors[] = { -ENOSPC, -EDQUOT, -EFBIG, -EOPNOTSUPP, -EIO };
	struct rig *rig = *state;
	struct hand hand;
	unsigned int w, i;

	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		hand_insert(&hand, rig);
		for (i = 0; i < ARRAY_SIZE(errors); i++) {
			struct blkif_request request = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 9);

			hand.error = errors[i];
			assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
			assert_int_equal(vbd_stats(rig->vbd).write_errors, i + 1);
			assert_alive(rig);
		}
		hand_remove(&hand);
	}
	assert_untouched(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT("31", writes_that_overlap),
		INPUT("32", writes_during_a_discard),
		INPUT("33 34", bounds_of_a_segment),
		INPUT("35 37 38", sectors_of_4096_bytes),
		INPUT("44", a_disk_without_sectors),
		INPUT("45", a_size_that_changes),
		INPUT("47", nothing_writes_to_a_read_only_disk),
		INPUT("88 89", flags_of_a_discard),
		INPUT("90 91", a_flood_of_discards),
		INPUT("145 146", a_guest_writes_an_image_header),
		INPUT("149", an_image_that_is_cached),
		INPUT("148", a_store_without_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
