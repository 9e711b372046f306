// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk's data path from ring to file: real loop, real AIO with O_DIRECT on a
 * real file, a guest in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake/frontend.h"
#include "fake/xenio_fake.h"
#include "image/image.h"
#include "loop/aio.h"
#include "loop/loop.h"
#include "vbd/vbd.h"

#define IMAGE_SECTORS	16384u		/* 8 MiB */
#define DOMID		7u
#define RING_GREF	1u		/* and the next ones */
#define DATA_GREF	64u		/* and all after it */
#define PATIENCE_MS	5000

struct rig {
	char path[64];
	int check_fd;			/* buffered view of the image */
	struct image image;
	struct loop loop;
	struct aio aio;
	struct store store;
	struct fake_guest guest;
	struct front front;
	struct xenio *xenio;
	struct vbd *vbd;
	bool closed;
};

static uint8_t pattern(uint64_t sector, uint32_t byte)
{
	return (uint8_t)(sector * 7 + byte * 13 + (sector >> 8));
}

static void fill_image(struct rig *rig)
{
	uint8_t sector[SECTOR_BYTES];
	uint32_t s;
	uint32_t b;

	for (s = 0; s < IMAGE_SECTORS; s++) {
		for (b = 0; b < SECTOR_BYTES; b++)
			sector[b] = pattern(s, b);
		assert_int_equal(pwrite(rig->check_fd, sector, sizeof(sector),
					(off_t)s * SECTOR_BYTES), sizeof(sector));
	}
	assert_int_equal(fsync(rig->check_fd), 0);
}

static bool rig_open_image(struct rig *rig)
{
	char why[256];
	int fd;

	/* In the build folder: /tmp may be a file system without O_DIRECT. */
	snprintf(rig->path, sizeof(rig->path), "vbd-test.XXXXXX");
	rig->check_fd = mkstemp(rig->path);
	assert_true(rig->check_fd >= 0);
	fd = open(rig->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		print_message("SKIP: no O_DIRECT on the file system of the build folder\n");
		return false;
	}
	fill_image(rig);
	assert_int_equal(image_open(&rig->image, fd, false, rig->path, why, sizeof(why)), 0);
	assert_int_equal(rig->image.sectors, IMAGE_SECTORS);
	return true;
}

/* A backend for the ring as it is. */
static void rig_attach(struct rig *rig, enum blkif_protocol protocol, uint32_t nr_pages,
		       bool readonly)
{
	struct vbd_config config = {
		.domid = DOMID, .devid = 51712, .port = 9, .protocol = protocol,
		.nr_pages = nr_pages, .readonly = readonly,
	};
	uint32_t nr_slots[XENIO_NR_ARENAS];
	uint32_t i;

	for (i = 0; i < nr_pages; i++)
		config.grefs[i] = RING_GREF + i;
	for (i = DATA_GREF; i < FAKE_PAGES; i++)
		rig->guest.grants[i] = FAKE_WRITABLE;
	vbd_slots(&config, nr_slots);
	rig->xenio = fake_xenio_create(&rig->guest, nr_slots);
	rig->closed = false;
	assert_int_equal(vbd_create(&config, &rig->store, rig->xenio, &rig->vbd), 0);
}

static void rig_connect(struct rig *rig, enum blkif_protocol protocol, uint32_t nr_pages,
			bool readonly)
{
	front_init(&rig->front, &rig->guest, protocol, RING_GREF, nr_pages);
	rig_attach(rig, protocol, nr_pages, readonly);
}

static void on_closed(void *context)
{
	((struct rig *)context)->closed = true;
}

static void rig_disconnect(struct rig *rig)
{
	int turns = 0;

	if (!rig->vbd)
		return;
	vbd_close(rig->vbd, on_closed, rig);
	rig->vbd = NULL;
	while (!rig->closed && turns++ < PATIENCE_MS)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_true(rig->closed);
	assert_int_equal(fake_guest_mapped(&rig->guest), 0);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	*state = rig;
	fake_guest_init(&rig->guest, DOMID);
	if (loop_init(&rig->loop) || aio_init(&rig->aio, &rig->loop, 64) || !rig_open_image(rig))
		return -1;
	rig->store = (struct store){ .image = &rig->image, .aio = &rig->aio, .loop = &rig->loop };
	rig_connect(rig, BLKIF_NATIVE, 1, false);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rig_disconnect(rig);
	aio_uninit(&rig->aio);
	loop_uninit(&rig->loop);
	image_close(&rig->image);
	fake_guest_uninit(&rig->guest);
	close(rig->check_fd);
	unlink(rig->path);
	free(rig);
	return 0;
}

/* ---- a guest's steps ---- */

static struct blkif_request pages(uint8_t op, uint64_t id, uint64_t sector, uint32_t gref,
				  uint8_t nr)
{
	struct blkif_request request = { .id = id, .sector = sector, .op = op, .nr_segments = nr };
	uint8_t i;

	for (i = 0; i < nr && i < BLKIF_SEGMENTS_MAX; i++)
		request.segments[i] = (struct blkif_segment){ gref + i, 0, 7 };
	return request;
}

static bool turn(struct rig *rig, struct front_response *response)
{
	int turns;

	for (turns = 0; turns < PATIENCE_MS; turns++) {
		if (front_response(&rig->front, response))
			return true;
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	}
	return false;
}

static void quiet_turns(struct rig *rig, int turns)
{
	struct front_response response;

	while (turns--) {
		assert_int_equal(loop_once(&rig->loop, 1), 0);
		assert_false(front_response(&rig->front, &response));
	}
}

static int ask(struct rig *rig, const struct blkif_request *request)
{
	struct front_response response;

	front_request(&rig->front, request);
	front_push(&rig->front);
	assert_true(turn(rig, &response));
	assert_int_equal(response.id, request->id);
	assert_int_equal(response.op, request->op);
	/* The guest has every page back when it sees the response. */
	assert_int_equal(fake_guest_mapped(&rig->guest), rig->front.nr_pages);
	return response.status;
}

static void assert_page(struct rig *rig, uint32_t gref, uint64_t sector)
{
	const uint8_t *page = fake_guest_page(&rig->guest, gref);
	uint32_t i;

	for (i = 0; i < XENIO_SLOT_BYTES; i++)
		assert_int_equal(page[i], pattern(sector + i / SECTOR_BYTES, i % SECTOR_BYTES));
}

static void assert_untouched(struct rig *rig)
{
	uint8_t sector[SECTOR_BYTES];
	uint32_t s;
	uint32_t b;

	for (s = 0; s < IMAGE_SECTORS; s++) {
		assert_int_equal(pread(rig->check_fd, sector, sizeof(sector),
				       (off_t)s * SECTOR_BYTES), sizeof(sector));
		for (b = 0; b < SECTOR_BYTES; b += 61)
			assert_int_equal(sector[b], pattern(s, b));
	}
}

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

			rig_disconnect(rig);
			rig_connect(rig, protocols[p], nr_pages, false);
			assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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

		front_request(&rig->front, &request);
	}
	rig->guest.batches = 0;
	rig->guest.notifies = 0;
	front_push(&rig->front);
	for (i = 0; i < 32; i++) {
		assert_true(turn(rig, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_page(rig, DATA_GREF + (uint32_t)response.id, response.id * 8);
	}
	/* One call maps all; they may end, and be unmapped, in a few groups. */
	assert_in_range(rig->guest.batches, 2, 33);
	assert_in_range(rig->guest.notifies, 1, 32);
	assert_in_range(rig->guest.unmasks, 1, 40);
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

		assert_int_equal(ask(rig, &request), cases[i].status);
		request.op = BLKIF_WRITE;
		if (cases[i].status)
			assert_int_equal(ask(rig, &request), cases[i].status);
	}
	assert_untouched(rig);
}

static void bad_segments_are_refused(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	for (n = 0; n < 256; n++) {
		struct blkif_request count = pages(BLKIF_WRITE, n, 0, DATA_GREF, (uint8_t)n);
		struct blkif_request last = pages(BLKIF_WRITE, n, 0, DATA_GREF, 11);

		if (n == 0 || n > 11) {
			assert_int_equal(ask(rig, &count), BLKIF_ERROR);
			count.op = BLKIF_READ;
			assert_int_equal(ask(rig, &count), BLKIF_ERROR);
		}
		if (n > 7) {
			last.segments[10].last_sect = (uint8_t)n;
			assert_int_equal(ask(rig, &last), BLKIF_ERROR);
			last.segments[10] = (struct blkif_segment){ DATA_GREF, (uint8_t)n, 7 };
			assert_int_equal(ask(rig, &last), BLKIF_ERROR);
		}
	}
	assert_untouched(rig);
	assert_int_equal(vbd_stats(rig->vbd)->grants, 0);
}

static void unknown_operations_are_named(void **state)
{
	struct rig *rig = *state;
	unsigned int op;

	for (op = 0; op < 256; op++) {
		struct blkif_request request =
			pages((uint8_t)op, op | 0xabcd00000000, 0, DATA_GREF, 1);

		if (op == BLKIF_READ || op == BLKIF_WRITE || op == BLKIF_FLUSH)
			continue;
		assert_int_equal(ask(rig, &request), BLKIF_EOPNOTSUPP);
	}
	assert_untouched(rig);
}

static void readonly_disk_is_not_written(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_WRITE, 1, 0, DATA_GREF, 1);

	rig_disconnect(rig);
	rig_connect(rig, BLKIF_NATIVE, 1, true);
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_FLUSH;
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request.nr_segments = 0;
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
	request = pages(BLKIF_READ, 2, 16, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request.segments[0].gref = UINT32_MAX;
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);

	rig->guest.grants[DATA_GREF] = FAKE_RDONLY;
	request = pages(BLKIF_READ, 1, 0, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request.op = BLKIF_WRITE;
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);

	/* Every third of a batch is bad; the others work. */
	for (i = 0; i < 30; i++) {
		request = pages(BLKIF_READ, i, 8 * i, DATA_GREF + 100 + i * 2, 2);
		if (i % 3 == 0)
			rig->guest.grants[DATA_GREF + 100 + i * 2 + i % 2] = FAKE_NOT_GRANTED;
		front_request(&rig->front, &request);
	}
	front_push(&rig->front);
	for (i = 0; i < 30; i++) {
		assert_true(turn(rig, &response));
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
		front_request(&rig->front, &request);
	}
	front_push(&rig->front);
	for (i = 0; i < 32; i++) {
		assert_true(turn(rig, &response));
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
		rig_disconnect(rig);
		rig_connect(rig, BLKIF_NATIVE, 1, false);
		quiet_turns(rig, 3);
		rig->guest.unmasks = 0;
		*front_req_prod(&rig->front) = jumps[i];
		fake_guest_kick(&rig->guest);
		quiet_turns(rig, 20);
		assert_int_equal(rig->guest.unmasks, 0);
		assert_int_equal(vbd_stats(rig->vbd)->requests, 0);
	}
}

static void index_wraps_at_32_bits(void **state)
{
	struct rig *rig = *state;
	uint32_t *head = fake_guest_page(&rig->guest, RING_GREF);
	uint32_t i;

	/* A ring that another backend left short of the wrap. */
	rig_disconnect(rig);
	front_init(&rig->front, &rig->guest, BLKIF_NATIVE, RING_GREF, 1);
	head[0] = head[2] = UINT32_MAX - 40;
	head[1] = head[3] = UINT32_MAX - 39;
	rig->front.req_prod = rig->front.rsp_cons = UINT32_MAX - 40;
	rig_attach(rig, BLKIF_NATIVE, 1, false);
	for (i = 0; i < 100; i++) {
		struct blkif_request request = pages(BLKIF_READ, i, i * 8, DATA_GREF, 1);

		assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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
	front_request(&rig->front, &request);
	front_push(&rig->front);
	quiet_turns(rig, 30);
	/* Others are not held up. */
	request = pages(BLKIF_READ, 2, 8, DATA_GREF + 20, 1);
	front_request(&rig->front, &request);
	front_push(&rig->front);
	assert_true(turn(rig, &response));
	assert_int_equal(response.id, 2);
	quiet_turns(rig, 5);
	assert_int_equal(vbd_stats(rig->vbd)->drains, 1);

	rig->guest.busy = false;
	fake_xenio_drain(rig->xenio);
	assert_true(turn(rig, &response));
	assert_int_equal(response.id, 1);
	assert_int_equal(response.status, BLKIF_OKAY);
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
}

static void flush_works_empty_and_with_data(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_FLUSH, 1, UINT64_MAX, 0, 0);
	uint8_t byte;

	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
	memset(fake_guest_page(&rig->guest, DATA_GREF), 0x5a, XENIO_SLOT_BYTES);
	request = pages(BLKIF_FLUSH, 2, 40, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
	assert_int_equal(pread(rig->check_fd, &byte, 1, 40 * SECTOR_BYTES + 3), 1);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(vbd_stats(rig->vbd)->flushes, 2);
}

static void failed_flush_stops_writes(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_FLUSH, 1, 0, 0, 0);
	int good_fd = rig->image.fd;
	int bad_fd = eventfd(0, EFD_CLOEXEC);	/* cannot be synced */

	rig->image.fd = bad_fd;
	front_request(&rig->front, &request);
	front_push(&rig->front);
	/* Never "error": a Linux guest would take it for "done". */
	quiet_turns(rig, 30);
	rig->image.fd = good_fd;
	close(bad_fd);

	request = pages(BLKIF_WRITE, 2, 0, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 3, 0, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF, 0);
	assert_untouched(rig);
}

static void image_cut_short_gives_errors(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 4);

	assert_int_equal(ftruncate(rig->check_fd, 8192), 0);
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 2, 512, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_ERROR);
	request = pages(BLKIF_READ, 3, 8, DATA_GREF, 1);
	assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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

			front_request(&rig->front, &request);
		}
		front_push(&rig->front);
		for (i = 0; i < round % 4; i++)
			assert_int_equal(loop_once(&rig->loop, 0), 0);
		rig_disconnect(rig);
		rig_connect(rig, BLKIF_NATIVE, 1, false);
	}
}

static void wrong_domain_and_bad_ring_are_refused(void **state)
{
	struct rig *rig = *state;
	struct vbd_config config = { .domid = DOMID, .nr_pages = 1, .grefs = { 3000 } };
	uint32_t nr_slots[XENIO_NR_ARENAS];
	struct vbd *vbd;

	vbd_slots(&config, nr_slots);
	assert_int_equal(vbd_create(&config, &rig->store,
				    fake_xenio_create(&rig->guest, nr_slots), &vbd), -ENOENT);
	config.grefs[0] = RING_GREF;
	config.domid = DOMID + 1;
	assert_int_equal(vbd_create(&config, &rig->store,
				    fake_xenio_create(&rig->guest, nr_slots), &vbd), -ESRCH);
	/* More requests than a ring holds were left unanswered. */
	config.domid = DOMID;
	*front_req_prod(&rig->front) = 77;
	assert_int_equal(vbd_create(&config, &rig->store,
				    fake_xenio_create(&rig->guest, nr_slots), &vbd), -EPROTO);
	assert_int_equal(fake_guest_mapped(&rig->guest), 1);
	*front_req_prod(&rig->front) = 0;
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
		assert_int_equal(ask(rig, &request), BLKIF_OKAY);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_gives_image_bytes_in_every_layout),
		TEST(write_changes_just_its_sectors),
		TEST(full_ring_is_one_batch),
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
