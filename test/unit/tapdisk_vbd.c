// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk's data path from ring to file, one queue, every page mapped. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "fake/rig.h"

/* ---- tests ---- */

static void read_gives_image_bytes_in_every_layout(void **state)
{
	static const enum blkif_protocol protocols[] = { BLKIF_NATIVE, BLKIF_X86_32, BLKIF_X86_64 };
	struct rig *rig = *state;
	uint32_t nr_pages;
	unsigned int p;

	for (p = 0; p < 3; p++) {
		for (nr_pages = 1; nr_pages <= BLKIF_RING_PAGES_MAX; nr_pages *= 2) {
			struct blkif_request request =
				pages(BLKIF_READ, 0xfedcba9876543210, 800 + p, DATA_GREF, 11);
			unsigned int i;

			rig->protocol = protocols[p];
			rig->nr_pages = nr_pages;
			rig_reconnect(rig);
			assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
			for (i = 0; i < 11; i++)
				assert_page(rig, DATA_GREF + i, 800 + p + i * 8);
		}
	}
}

static void write_changes_just_its_sectors(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = {
		.op = BLKIF_WRITE, .id = 1, .sector = 100, .nr_segments = 3,
		.segments = { { DATA_GREF, 5, 7 }, { DATA_GREF + 1, 0, 7 }, { DATA_GREF + 2, 2, 2 } },
	};
	uint8_t sector[SECTOR_BYTES];
	uint32_t s;

	memset(fake_guest_page(&rig->guest, DATA_GREF), 0xa1, XENIO_SLOT_BYTES);
	memset(fake_guest_page(&rig->guest, DATA_GREF + 1), 0xa2, XENIO_SLOT_BYTES);
	memset(fake_guest_page(&rig->guest, DATA_GREF + 2), 0xa3, XENIO_SLOT_BYTES);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	for (s = 99; s < 113; s++) {
		uint8_t want = s < 100 || s >= 112 ? pattern(s, 9) :
			       s < 103 ? 0xa1 : s < 111 ? 0xa2 : 0xa3;

		assert_int_equal(pread(rig->check_fd, sector, sizeof(sector),
				       (off_t)s * SECTOR_BYTES), sizeof(sector));
		assert_int_equal(sector[9], want);
	}
}

static void full_ring_is_one_batch(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint32_t i;

	for (i = 0; i < 32; i++) {
		struct blkif_request request =
			pages(BLKIF_READ, i, i * 8, DATA_GREF + i, 1);

		front_request(rig_front(rig), &request);
	}
	rig->guest.batches = 0;
	rig->guest.notifies = 0;
	front_push(rig_front(rig));
	for (i = 0; i < 32; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_page(rig, DATA_GREF + (uint32_t)response.id, response.id * 8);
	}
	/* One call maps all; they may end, and be unmapped, in a few groups. */
	assert_in_range(rig->guest.batches, 2, 33);
	assert_in_range(rig->guest.notifies, 1, 32);
	assert_in_range(rig->guest.unmasks, 1, 40);
}

/*
 * Requests of a guest that sends no event, since it is not asked to, are seen: most of
 * them, as nobody looks out while others want the processor.
 */
static void looks_out_for_more(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint64_t events, deadline_ms = clock_ms() + PATIENCE_MS;
	uint32_t i, unasked = 0;

	rig->poll_ns = 1000000000;
	rig_reconnect(rig);
	for (i = 0; unasked < 20; i++) {
		struct blkif_request request = pages(BLKIF_READ, i, i % 32 * 8, DATA_GREF + i % 32, 1);

		events = vbd_stats(rig->vbd).events;
		front_request(rig_front(rig), &request);
		front_push(rig_front(rig));
		assert_true(rig_turn(rig, 0, &response));
		assert_page(rig, DATA_GREF + i % 32, i % 32 * 8);
		unasked += vbd_stats(rig->vbd).events == events;
		assert_true(clock_ms() < deadline_ms);
	}
	assert_true(vbd_stats(rig->vbd).polls > 20);
}

static void out_of_range_is_refused(void **state)
{
	static const struct {
		uint64_t sector;
		uint8_t nr;
		int status;
	} cases[] = {
		{ IMAGE_SECTORS - 8, 1, BLKIF_OKAY },
		{ IMAGE_SECTORS - 88, 11, BLKIF_OKAY },
		{ IMAGE_SECTORS - 7, 1, BLKIF_ERROR },
		{ IMAGE_SECTORS, 1, BLKIF_ERROR },
		{ UINT64_MAX, 1, BLKIF_ERROR },
		{ UINT64_MAX - 7, 1, BLKIF_ERROR },
		{ 1ull << 55, 1, BLKIF_ERROR },		/* times 512 is 2^64 */
		{ (1ull << 55) + 8, 11, BLKIF_ERROR },
		{ 1ull << 63, 1, BLKIF_ERROR },
	};
	struct rig *rig = *state;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct blkif_request request =
			pages(BLKIF_READ, i, cases[i].sector, DATA_GREF, cases[i].nr);

		assert_int_equal(rig_ask(rig, &request), cases[i].status);
		request.op = BLKIF_WRITE;
		if (cases[i].status)
			assert_int_equal(rig_ask(rig, &request), cases[i].status);
	}
	assert_untouched(rig);
}

/* Refused; then what the frontend needs to be served at once again: something good. */
static void assert_refused(struct rig *rig, const struct blkif_request *request,
			   enum blkif_status status)
{
	struct blkif_request flush = pages(BLKIF_FLUSH, 1, 0, 0, 0);

	assert_int_equal(rig_ask(rig, request), status);
	assert_int_equal(rig_ask(rig, &flush), BLKIF_OKAY);
}

static void bad_segments_are_refused(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	for (n = 0; n < 256; n++) {
		struct blkif_request count = pages(BLKIF_WRITE, n, 0, DATA_GREF, (uint8_t)n);
		struct blkif_request last = pages(BLKIF_WRITE, n, 0, DATA_GREF, 11);

		if (n == 0 || n > 11) {
			assert_refused(rig, &count, BLKIF_ERROR);
			count.op = BLKIF_READ;
			assert_refused(rig, &count, BLKIF_ERROR);
		}
		if (n > 7) {
			last.segments[10].last_sect = (uint8_t)n;
			assert_refused(rig, &last, BLKIF_ERROR);
			last.segments[10] = (struct blkif_segment){ DATA_GREF, (uint8_t)n, 7 };
			assert_refused(rig, &last, BLKIF_ERROR);
		}
	}
	assert_untouched(rig);
	assert_int_equal(vbd_stats(rig->vbd).grants, 0);
}

static void unknown_operations_are_named(void **state)
{
	struct rig *rig = *state;
	unsigned int op;

	for (op = 0; op < 256; op++) {
		struct blkif_request request =
			pages((uint8_t)op, op | 0xabcd00000000, 0, DATA_GREF, 1);

		if (op <= BLKIF_FLUSH || op == BLKIF_INDIRECT)
			continue;
		assert_refused(rig, &request, BLKIF_EOPNOTSUPP);
	}
	assert_untouched(rig);
}

static void readonly_disk_is_not_written(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF, 1);

	rig->readonly = true;
	rig_reconnect(rig);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_FLUSH;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.nr_segments = 0;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	request = pages(BLKIF_READ, 2, 16, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF, 16);
	assert_untouched(rig);
}

static void bad_grants_fail_alone(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 11);
	struct front_response response;
	uint32_t i;

	rig->guest.grants[DATA_GREF + 5] = FAKE_NOT_GRANTED;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.segments[0].gref = UINT32_MAX;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);

	rig->guest.grants[DATA_GREF] = FAKE_RDONLY;
	request = pages(BLKIF_READ, 1, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_WRITE;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);

	/* Every third of a batch is bad; the others work. */
	for (i = 0; i < 30; i++) {
		request = pages(BLKIF_READ, i, 8 * i, DATA_GREF + 100 + i * 2, 2);
		if (i % 3 == 0)
			rig->guest.grants[DATA_GREF + 100 + i * 2 + i % 2] = FAKE_NOT_GRANTED;
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	for (i = 0; i < 30; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, response.id % 3 ? BLKIF_OKAY : BLKIF_ERROR);
	}
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
}

static void same_grant_and_id_many_times(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint32_t i;

	for (i = 0; i < 32; i++) {
		struct blkif_request request =
			pages(i % 2 ? BLKIF_READ : BLKIF_WRITE, 0, 64, DATA_GREF, 11);
		unsigned int s;

		for (s = 0; s < 11; s++)
			request.segments[s].gref = DATA_GREF;
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	for (i = 0; i < 32; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_int_equal(response.id, 0);
	}
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
}

static void ring_index_out_of_range_halts(void **state)
{
	static const uint32_t jumps[] = { 33, 1000, 0x80000000, UINT32_MAX };
	struct rig *rig = *state;
	unsigned int i;

	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		rig_reconnect(rig);
		rig_quiet_turns(rig, 3);
		rig->guest.unmasks = 0;
		*front_req_prod(rig_front(rig)) = jumps[i];
		fake_kick(rig->kick_fds[0]);
		rig_quiet_turns(rig, 20);
		assert_int_equal(rig->guest.unmasks, 0);
		assert_int_equal(vbd_stats(rig->vbd).requests, 0);
	}
}

static void index_wraps_at_32_bits(void **state)
{
	struct rig *rig = *state;
	uint32_t *head = fake_guest_page(&rig->guest, RING_GREF);
	uint32_t i;

	/* A ring that another backend left short of the wrap. */
	rig_disconnect(rig);
	front_init(rig_front(rig), &rig->guest, BLKIF_NATIVE, RING_GREF, 1);
	rig_front(rig)->kick_fd = rig->kick_fds[0];
	head[0] = head[2] = UINT32_MAX - 40;
	head[1] = head[3] = UINT32_MAX - 39;
	rig_front(rig)->req_prod = rig_front(rig)->rsp_cons = UINT32_MAX - 40;
	rig_attach(rig);
	for (i = 0; i < 100; i++) {
		struct blkif_request request = pages(BLKIF_READ, i, i * 8, DATA_GREF, 1);

		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, DATA_GREF, i * 8);
	}
}

static void response_waits_for_the_page(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 4);
	struct front_response response;

	rig->guest.busy = true;
	rig->guest.busy_gref = DATA_GREF + 2;
	front_request(rig_front(rig), &request);
	front_push(rig_front(rig));
	rig_quiet_turns(rig, 30);
	/* Others are not held up. */
	request = pages(BLKIF_READ, 2, 8, DATA_GREF + 20, 1);
	front_request(rig_front(rig), &request);
	front_push(rig_front(rig));
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.id, 2);
	rig_quiet_turns(rig, 5);
	assert_int_equal(vbd_stats(rig->vbd).drains, 1);

	rig->guest.busy = false;
	fake_xenio_drain(rig->xenios[0]);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.id, 1);
	assert_int_equal(response.status, BLKIF_OKAY);
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
}

static void flush_works_empty_and_with_data(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_FLUSH, 1, UINT64_MAX, 0, 0);
	uint8_t byte;

	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	memset(fake_guest_page(&rig->guest, DATA_GREF), 0x5a, XENIO_SLOT_BYTES);
	request = pages(BLKIF_FLUSH, 2, 40, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_int_equal(pread(rig->check_fd, &byte, 1, 40 * SECTOR_BYTES + 3), 1);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(vbd_stats(rig->vbd).flushes, 2);
}

static void failed_flush_stops_writes(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_FLUSH, 1, 0, 0, 0);
	int good_fd = rig->image.fd;
	int bad_fd = eventfd(0, EFD_CLOEXEC);	/* cannot be synced */

	rig->image.fd = bad_fd;
	front_request(rig_front(rig), &request);
	front_push(rig_front(rig));
	/* Never "error": a Linux guest would take it for "done". */
	rig_quiet_turns(rig, 30);
	rig->image.fd = good_fd;
	close(bad_fd);

	request = pages(BLKIF_WRITE, 2, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 3, 0, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF, 0);
	assert_untouched(rig);
}

static void image_cut_short_gives_errors(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 4);

	assert_int_equal(ftruncate(rig->check_fd, 8192), 0);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 2, 512, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 3, 8, DATA_GREF, 1);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
}

static void close_under_load_returns_every_grant(void **state)
{
	struct rig *rig = *state;
	uint32_t round;
	uint32_t i;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < 32; i++) {
			struct blkif_request request =
				pages(BLKIF_READ, i, i * 8, DATA_GREF + i * 11, 11);

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < round % 4; i++)
			assert_int_equal(loop_once(&rig->loop, 0), 0);
		rig_reconnect(rig);
	}
}

static void wrong_domain_and_bad_ring_are_refused(void **state)
{
	struct rig *rig = *state;
	struct vbd_config config = {
		.domid = DOMID, .devid = 1, .nr_pages = 1, .nr_queues = 1,
		.queues[0].grefs = { RING_GREF + 1 },
	};
	struct vbd *vbd;

	assert_int_equal(rig_create(rig, &config, &vbd), -ENOENT);
	config.queues[0].grefs[0] = RING_GREF;
	config.domid = DOMID + 1;
	assert_int_equal(rig_create(rig, &config, &vbd), -ESRCH);
	/* More requests than a ring holds were left unanswered. */
	config.domid = DOMID;
	*front_req_prod(rig_front(rig)) = 77;
	assert_int_equal(rig_create(rig, &config, &vbd), -EPROTO);
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
	*front_req_prod(rig_front(rig)) = 0;
}

/* Random requests, each byte compared with a model of the disk. */
static void random_requests_match_a_model(void **state)
{
	struct rig *rig = *state;
	uint8_t *model = malloc(IMAGE_SECTORS * SECTOR_BYTES);
	unsigned int seed = (unsigned int)time(NULL);
	int round;

	assert_non_null(model);
	assert_int_equal(pread(rig->check_fd, model, IMAGE_SECTORS * SECTOR_BYTES, 0),
			 IMAGE_SECTORS * SECTOR_BYTES);
	print_message("seed %u\n", seed);
	srandom(seed);
	for (round = 0; round < 1500; round++) {
		struct blkif_request request = { .id = (uint64_t)random() };
		uint64_t offset;
		unsigned int i;

		request.op = random() % 2 ? BLKIF_READ : BLKIF_WRITE;
		request.nr_segments = (uint8_t)(1 + random() % 11);
		request.sector = (uint64_t)random() % (IMAGE_SECTORS - 88);
		for (i = 0; i < request.nr_segments; i++) {
			struct blkif_segment *segment = &request.segments[i];
			uint32_t *page;
			unsigned int w;

			segment->gref = DATA_GREF + (uint32_t)(i * 50 + random() % 50);
			segment->first_sect = (uint8_t)(random() % 8);
			segment->last_sect = (uint8_t)(segment->first_sect +
						       random() % (8 - segment->first_sect));
			page = fake_guest_page(&rig->guest, segment->gref);
			for (w = 0; w < XENIO_SLOT_BYTES / 4; w++)
				page[w] = (uint32_t)random();
		}
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		offset = request.sector * SECTOR_BYTES;
		for (i = 0; i < request.nr_segments; i++) {
			const struct blkif_segment *segment = &request.segments[i];
			uint8_t *bytes = (uint8_t *)fake_guest_page(&rig->guest, segment->gref) +
					 segment->first_sect * SECTOR_BYTES;
			size_t length = (segment->last_sect - segment->first_sect + 1u) *
					SECTOR_BYTES;

			if (request.op == BLKIF_WRITE)
				memcpy(model + offset, bytes, length);
			else
				assert_memory_equal(bytes, model + offset, length);
			offset += length;
		}
	}
	free(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_gives_image_bytes_in_every_layout),
		TEST(write_changes_just_its_sectors),
		TEST(full_ring_is_one_batch),
		TEST(looks_out_for_more),
		TEST(out_of_range_is_refused),
		TEST(bad_segments_are_refused),
		TEST(unknown_operations_are_named),
		TEST(readonly_disk_is_not_written),
		TEST(bad_grants_fail_alone),
		TEST(same_grant_and_id_many_times),
		TEST(ring_index_out_of_range_halts),
		TEST(index_wraps_at_32_bits),
		TEST(response_waits_for_the_page),
		TEST(flush_works_empty_and_with_data),
		TEST(failed_flush_stops_writes),
		TEST(image_cut_short_gives_errors),
		TEST(close_under_load_returns_every_grant),
		TEST(wrong_domain_and_bad_ring_are_refused),
		TEST(random_requests_match_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
