// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>

uint8_t pattern(uint64_t sector, uint32_t byte)
{
	return (uint8_t)(sector * 7 + byte * 13 + (sector >> 8));
}

static void fill_image(struct rig *rig)
{
	uint8_t *bytes = malloc(IMAGE_SECTORS * SECTOR_BYTES);
	uint32_t s;
	uint32_t b;

	assert_non_null(bytes);
	for (s = 0; s < IMAGE_SECTORS; s++)
		for (b = 0; b < SECTOR_BYTES; b++)
			bytes[s * SECTOR_BYTES + b] = pattern(s, b);
	assert_int_equal(pwrite(rig->check_fd, bytes, IMAGE_SECTORS * SECTOR_BYTES, 0),
			 IMAGE_SECTORS * SECTOR_BYTES);
	free(bytes);
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
	/* Nothing is left of a test that is killed. */
	unlink(rig->path);
	if (fd < 0) {
		print_message("SKIP: no O_DIRECT on the file system of the build folder\n");
		return false;
	}
	fill_image(rig);
	assert_int_equal(image_open(&rig->image, fd, false, rig->path, why, sizeof(why)), 0);
	assert_int_equal(rig->image.sectors, IMAGE_SECTORS);
	return true;
}

static void *make_journal(struct rig *rig, const struct vbd_config *config)
{
	void *journal = calloc(1, vbd_journal_bytes(config));

	rig->journals = realloc(rig->journals, (rig->nr_journals + 1) * sizeof(void *));
	assert_true(journal && rig->journals);
	rig->journals[rig->nr_journals++] = journal;
	return journal;
}

int rig_create(struct rig *rig, const struct vbd_config *asked, struct vbd **vbd)
{
	struct vbd_config with_journal = *asked;
	const struct vbd_config *config = &with_journal;
	struct vbd_place places[VBD_QUEUES_MAX];
	struct xenio_shape shape;
	uint32_t i;

	with_journal.journal = make_journal(rig, asked);
	vbd_shape(config, &shape);
	for (i = 0; i < config->nr_queues; i++) {
		places[i].worker = rig->threaded ? &rig->threads[i].worker : &rig->worker;
		places[i].xenio = fake_xenio_create(&rig->guest, &shape, rig->kick_fds[i]);
		rig->complaints[i].burst = 10;
		places[i].complaints = &rig->complaints[i];
		rig->xenios[i] = places[i].xenio;
	}
	return vbd_create(config, &rig->store, &rig->worker, places, vbd);
}

static uint32_t ring_gref(unsigned int queue)
{
	return RING_GREF + queue * BLKIF_RING_PAGES_MAX;
}

void rig_attach(struct rig *rig)
{
	struct vbd_config config = {
		.domid = DOMID, .devid = 51712, .protocol = rig->protocol,
		.nr_pages = rig->nr_pages, .nr_queues = rig->nr_queues,
		.readonly = rig->readonly, .discard = rig->discard,
		.persistent = rig->way == DATA_PERSISTENT,
		.way = rig->way, .copy_max = rig->copy_max, .poll_ns = rig->poll_ns,
		.changed = rig->changed, .changed_context = rig,
	};
	uint32_t i, k;

	for (i = 0; i < rig->nr_queues; i++) {
		config.queues[i].port = 9 + i;
		for (k = 0; k < rig->nr_pages; k++)
			config.queues[i].grefs[k] = ring_gref(i) + k;
	}
	for (i = DATA_GREF; i < FAKE_PAGES; i++)
		rig->guest.grants[i] = FAKE_WRITABLE;
	rig->closed = false;
	assert_int_equal(rig_create(rig, &config, &rig->vbd), 0);
}

void rig_connect(struct rig *rig)
{
	uint32_t i;

	for (i = 0; i < rig->nr_queues; i++) {
		front_init(&rig->fronts[i], &rig->guest, rig->protocol, ring_gref(i),
			   rig->nr_pages);
		rig->fronts[i].kick_fd = rig->kick_fds[i];
	}
	rig_attach(rig);
}

static void on_closed(void *context)
{
	((struct rig *)context)->closed = true;
}

void rig_close_begin(struct rig *rig)
{
	vbd_close(rig->vbd, VBD_END, on_closed, rig);
	rig->vbd = NULL;
}

void rig_close_end(struct rig *rig)
{
	int turns = 0;

	while (!rig->closed && turns++ < PATIENCE_MS)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_true(rig->closed);
	assert_int_equal(fake_guest_mapped(&rig->guest), 0);
}

void rig_disconnect(struct rig *rig)
{
	if (!rig->vbd)
		return;
	rig_close_begin(rig);
	rig_close_end(rig);
}

void rig_reconnect(struct rig *rig)
{
	rig_disconnect(rig);
	rig_connect(rig);
}

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int i;

	if (!rig)
		return -1;
	*state = rig;
	rig->protocol = BLKIF_NATIVE;
	rig->nr_pages = rig->nr_queues = 1;
	/* So that requests without indirection go both ways. */
	rig->copy_max = 16384;
	fake_guest_init(&rig->guest, DOMID);
	if (loop_init(&rig->loop) || worker_init(&rig->worker, &rig->loop, 64) ||
	    !rig_open_image(rig) || store_open(&rig->store, &rig->image))
		return -1;
	for (i = 0; i < (int)VBD_QUEUES_MAX; i++) {
		rig->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (rig->kick_fds[i] < 0 || thread_start(&rig->threads[i], 64))
			return -1;
	}
	rig_connect(rig);
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;
	int i;

	rig_disconnect(rig);
	for (i = 0; i < (int)VBD_QUEUES_MAX; i++) {
		thread_stop(&rig->threads[i]);
		close(rig->kick_fds[i]);
	}
	store_close(&rig->store);
	worker_uninit(&rig->worker);
	loop_uninit(&rig->loop);
	image_close(&rig->image);
	fake_guest_uninit(&rig->guest);
	while (rig->nr_journals)
		free(rig->journals[--rig->nr_journals]);
	free(rig->journals);
	close(rig->check_fd);
	free(rig);
	return 0;
}

struct blkif_request pages(uint8_t op, uint64_t id, uint64_t sector, uint32_t gref, uint8_t nr)
{
	struct blkif_request request = { .id = id, .sector = sector, .op = op, .nr_segments = nr };
	uint8_t i;

	for (i = 0; i < nr && i < BLKIF_SEGMENTS_MAX; i++)
		request.segments[i] = (struct blkif_segment){ gref + i, 0, 7 };
	return request;
}

void rig_send(struct rig *rig, unsigned int queue, const struct blkif_request *request)
{
	front_request(&rig->fronts[queue], request);
	front_push(&rig->fronts[queue]);
}

bool rig_turn(struct rig *rig, unsigned int queue, struct front_response *response)
{
	int turns;

	for (turns = 0; turns < PATIENCE_MS; turns++) {
		if (front_response(&rig->fronts[queue], response))
			return true;
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	}
	return false;
}

void rig_quiet_turns(struct rig *rig, int turns)
{
	struct front_response response;

	while (turns--) {
		assert_int_equal(loop_once(&rig->loop, 1), 0);
		assert_false(front_response(&rig->fronts[0], &response));
	}
}

int rig_ask(struct rig *rig, const struct blkif_request *request)
{
	struct front_response response;

	rig_send(rig, 0, request);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.id, request->id);
	assert_int_equal(response.op, request->op);
	/* The guest has every page back when it sees the response. */
	if (rig->way != DATA_PERSISTENT)
		assert_int_equal(fake_guest_mapped(&rig->guest), rig->nr_pages * rig->nr_queues);
	return response.status;
}

void assert_page(struct rig *rig, uint32_t gref, uint64_t sector)
{
	const uint8_t *page = fake_guest_page(&rig->guest, gref);
	uint32_t i;

	for (i = 0; i < XENIO_SLOT_BYTES; i++)
		assert_int_equal(page[i], pattern(sector + i / SECTOR_BYTES, i % SECTOR_BYTES));
}

void assert_untouched(struct rig *rig)
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
