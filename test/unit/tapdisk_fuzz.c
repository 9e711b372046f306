// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes as what a frontend does, for libFuzzer: requests good and bad, any
 * bytes in its ring, its lists and its pages, grants that end, I/O that ends in any
 * order or fails, disconnects at any time; over all ways of moving data and all
 * layouts. The store is a disk in memory that accepts nothing but whole blocks inside
 * it. What must not happen ends the program, in a sanitizer or here.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "fake/bottom.h"
#include "fake/bytes.h"
#include "fake/frontend.h"
#include "loop/loop.h"
#include "store/rmw.h"
#include "store/store.h"
#include "vbd/vbd.h"

#define QUEUES	3u
#define DOMID	7u
#define SECTORS	4096u
#define RING	1u		/* pages of the rings; for each queue 16 */
#define LIST	60u
#define LISTS	4u
#define DATA	64u
#define ACTS	400u		/* of one stream, at most */
#define TURNS	20000		/* of the loop; more are a loop without end */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {

	struct loop loop;
	struct worker worker;
	struct bottom bottoms[2];	/* of small blocks, of large ones */
	struct bottom *bottom;
	struct image image;
	struct store store;
	struct log_limit complaints;

	struct fake_guest guest;
	struct vbd_config config;
	struct front fronts[QUEUES];
	struct xenio *xenios[QUEUES];
	int kick_fds[QUEUES];
	struct vbd *vbd;		/* NULL: not connected */
	unsigned int closed, closing;

	/* What the guest does after the backend's next call. */
	bool armed;
	enum fake_call when;
	uint32_t gref, at, value;

	/* Another guest's disk of the same store, which no stream touches. */
	struct fake_guest other;
	struct front other_front;
	struct vbd *other_vbd;
} f;

static uint32_t any_u32(void)
{
	static const uint32_t edges[] = { 0, 1, 31, 32, 33, 0x7fffffff, 0x80000000, UINT32_MAX };
	uint32_t how = byte();

	if (how < 8)
		return edges[how];
	if (how & 1)
		return how >> 1;
	how = word();
	return how | word() << 16;
}

static uint32_t any_gref(void)
{
	uint32_t how = byte();

	if (how < 240)
		return DATA + how % 80;
	return how < 244 ? LIST + how % LISTS : how < 248 ? RING : how < 252 ? 0 : any_u32();
}

/* One that is a page of the guest. */
static uint32_t any_page(void)
{
	return any_gref() % FAKE_PAGES;
}

static struct front *any_front(void)
{
	return &f.fronts[below(f.config.nr_queues)];
}

static unsigned int queue_of(const struct front *front)
{
	return (unsigned int)(front - f.fronts);
}

/* ---- the loop ---- */

static bool is_idle(void)
{
	struct pollfd poll_fd = { .fd = f.loop.epoll_fd, .events = POLLIN };

	return !f.loop.tasks && poll(&poll_fd, 1, 0) == 0;
}

/* Until nobody has anything to do. That comes, whatever is in the rings. */
static void settle(void)
{
	int turns;

	for (turns = 0; !is_idle(); turns++) {
		must(turns < TURNS);
		must(!loop_once(&f.loop, 0));
	}
}

static void end_all_io(void)
{
	settle();
	while (bottom_pending(f.bottom)) {
		bottom_end(f.bottom, 0);
		settle();
	}
}

static void let_pages_go(void)
{
	uint32_t i;

	f.guest.busy = false;
	for (i = 0; f.vbd && i < f.config.nr_queues; i++)
		if (xenio_maps(f.xenios[i]))
			fake_xenio_drain(f.xenios[i]);
}

/* ---- connections ---- */

static void on_closed(void *context)
{
	(void)context;
	f.closed++;
}

static int create(struct fake_guest *guest, const struct vbd_config *config, const int *kick_fds,
		  struct xenio **xenios, struct vbd **vbd)
{
	struct vbd_place places[QUEUES];
	struct xenio_shape shape;
	uint32_t i;

	vbd_shape(config, &shape);
	for (i = 0; i < config->nr_queues; i++) {
		xenios[i] = fake_xenio_create(guest, &shape, kick_fds[i]);
		places[i] = (struct vbd_place){ &f.worker, xenios[i], &f.complaints };
	}
	return vbd_create(config, &f.store, &f.worker, places, vbd);
}

/* All that is under way ends; then nothing is mapped any more. */
static void disconnect(void)
{
	if (!f.vbd)
		return;
	f.closing++;
	vbd_close(f.vbd, VBD_END, on_closed, NULL);
	settle();
	if (f.closed != f.closing)
		let_pages_go();
	f.vbd = NULL;
	end_all_io();
	must(f.closed == f.closing);
	must(fake_guest_mapped(&f.guest) == 0);
}

static void choose_config(void)
{
	static const uint32_t copy_max[] = { 0, 4096, DATA_COPY_MAX_DEFAULT, 1 << 20 };
	uint32_t how = byte(), more = byte(), q, i;

	f.config = (struct vbd_config){
		.domid = DOMID, .devid = 1, .protocol = how % 3, .nr_pages = 1u << more % 3,
		.nr_queues = 1 + how / 4 % QUEUES, .readonly = !(how / 16 % 4),
		.discard = how & 64, .persistent = how & 128,
		.way = more / 4 % 4, .copy_max = copy_max[more / 16 % 4],
	};
	f.guest.no_arenas = more / 64 == 3;
	for (q = 0; q < f.config.nr_queues; q++)
		for (i = 0; i < f.config.nr_pages; i++)
			f.config.queues[q].grefs[i] = RING + q * BLKIF_RING_PAGES_MAX + i;
}

static void connect_anew(void)
{
	uint32_t q;

	disconnect();
	choose_config();
	f.guest.map_error = f.guest.take_error = 0;
	for (q = 0; q < f.config.nr_queues; q++) {
		front_init(&f.fronts[q], &f.guest, f.config.protocol, f.config.queues[q].grefs[0],
			   f.config.nr_pages);
		f.fronts[q].kick_fd = f.kick_fds[q];
	}
	must(!create(&f.guest, &f.config, f.kick_fds, f.xenios, &f.vbd));
	f.bottom->ops[IO_WRITE] = f.bottom->ops[IO_DISCARD] = 0;
}

/* With the rings as they are: that may be refused. */
static void connect_again(void)
{
	disconnect();
	if (!create(&f.guest, &f.config, f.kick_fds, f.xenios, &f.vbd))
		return;
	f.vbd = NULL;
	settle();
	must(fake_guest_mapped(&f.guest) == 0);
}

/* ---- what a guest does ---- */

static void do_request(void)
{
	struct front *front = any_front();
	uint32_t how = byte(), gref = any_gref(), first, i;
	struct blkif_request request = {
		.op = (uint8_t)(how & 1 ? how / 2 % 8 : how / 2 % 2), .flags = (uint8_t)how,
	};

	request.id = byte();
	request.sector = word() % (SECTORS + 8);
	request.nr_segments = (uint16_t)below(13);
	if (how & 64)
		request.sector |= (uint64_t)any_u32() << 32;
	request.nr_sectors = request.sector % 777;
	for (i = 0; i < request.nr_segments && i < BLKIF_SEGMENTS_MAX; i++) {
		struct blkif_segment *segment = &request.segments[i];

		*segment = (struct blkif_segment){ gref + i, 0, 7 };
		if (!(how & 32))
			continue;
		segment->gref = any_gref();
		first = below(9);
		segment->first_sect = (uint8_t)first;
		segment->last_sect = (uint8_t)(first + below(8));
	}
	front_request(front, &request);
}

static void do_indirect(void)
{
	struct front *front = any_front();
	struct blkif_segment segments[512];
	uint32_t how = byte(), gref = any_gref(), list = LIST + how % LISTS, i;
	struct blkif_request request = { .op = (uint8_t)(how / 4 % 2), .indirect = true };

	request.id = byte();
	request.sector = word() % SECTORS;
	request.nr_segments = (uint16_t)(word() % 270);
	request.pages[0] = how & 64 ? any_gref() : list;
	if (how & 128)
		request.op = (uint8_t)byte();
	for (i = 0; i < 512; i++)
		segments[i] = (struct blkif_segment){ gref + i, 0, 7 };
	if (how & 32)
		segments[gref % 200].last_sect = (uint8_t)byte();
	front_segments(front, list, segments, 512);
	front_request(front, &request);
}

static void do_raw(void)
{
	struct front *front = any_front();
	uint8_t bytes[112];
	uint32_t n = below(sizeof(bytes) + 1), i;

	for (i = 0; i < n; i++)
		bytes[i] = (uint8_t)byte();
	front_raw(front, bytes, n);
}

static void do_push(void)
{
	front_push(any_front());
}

static void do_kick(void)
{
	fake_kick(f.kick_fds[below(f.config.nr_queues)]);
}

/* The indices: near what they should be, or not. */
static void do_index(void)
{
	struct front *front = any_front();
	uint32_t how = byte();
	uint32_t *head = fake_guest_page(&f.guest, front->first_gref);

	head[how % 4] = how & 4 ? front->req_prod + byte() - 128 : any_u32();
	if (how & 8)
		front->req_prod = front->rsp_cons = any_u32();
	if (how & 16)
		fake_kick(f.kick_fds[queue_of(front)]);
}

static void do_poke(void)
{
	uint8_t *page = fake_guest_page(&f.guest, any_page());
	uint32_t at = word() % XENIO_SLOT_BYTES, n = 1 + below(16);

	while (n-- && at < XENIO_SLOT_BYTES)
		page[at++] = (uint8_t)byte();
}

static void do_grant(void)
{
	uint32_t gref = any_page(), n = below(32), how = below(3);

	for (; n-- && gref < FAKE_PAGES; gref++)
		f.guest.grants[gref] = (enum fake_grant)how;
}

static void after_call(struct fake_guest *guest, enum fake_call call)
{
	if (!f.armed || call != f.when)
		return;
	f.armed = false;
	memcpy((uint8_t *)fake_guest_page(guest, f.gref) + f.at % (XENIO_SLOT_BYTES - 4),
	       &f.value, sizeof(f.value));
	guest->grants[f.value % FAKE_PAGES] = (enum fake_grant)(f.at % 3);
}

static void do_arm(void)
{
	f.armed = true;
	f.when = (enum fake_call)below(3);
	f.gref = any_page();
	f.at = word();
	f.value = any_u32();
}

static void do_responses(void)
{
	struct front *front = any_front();
	struct front_response response;
	uint32_t n = byte();

	while (n-- && front_response(front, &response))
		;
}

/* ---- what happens beneath ---- */

static void do_turn(void)
{
	uint32_t n = 1 + below(6);

	while (n--)
		must(!loop_once(&f.loop, 0));
}

static void do_settle(void)
{
	settle();
}

static void do_end_io(void)
{
	static const int errors[] = { 0, 0, 0, -EIO, -ENOSPC, -EOPNOTSUPP };
	uint32_t n = 1 + below(8), error = below(6);

	f.bottom->error = errors[error];
	while (n-- && bottom_pending(f.bottom))
		bottom_end(f.bottom, byte() % bottom_pending(f.bottom));
	f.bottom->error = 0;
}

static void do_end_all(void)
{
	end_all_io();
}

static void do_busy(void)
{
	uint32_t how = byte();

	f.guest.busy = how & 1;
	f.guest.busy_gref = DATA + how / 2 % 40;
	if (how % 4 == 0)
		let_pages_go();
}

static void do_fail(void)
{
	static const int errors[] = { 0, -ENOSPC, -EDQUOT, -EIO, -EAGAIN };
	uint32_t how = byte();
	int error = errors[how / 4 % 5];

	if (how % 4 == 0)
		f.guest.map_error = error;
	else if (how % 4 == 1)
		f.guest.copy_error = error;
	else if (how % 4 == 2)
		f.guest.send_error = error;
	else if (how > 250)
		f.guest.take_error = error;
}

static void do_size(void)
{
	f.image.sectors = byte() & 1 ? SECTORS : word() % SECTORS / 8 * 8;
}

/* Seldom: it costs more than all else. */
static void do_connect(void)
{
	uint32_t how = byte();

	if (how < 32)
		connect_anew();
	else if (how < 48)
		connect_again();
	else
		do_turn();
}

/* ---- what must be ---- */

static void check(void)
{
	struct vbd_stats stats;

	must(!f.bottom->refused);
	must(bottom_pending(f.bottom) < BOTTOM_PENDING);
	if (!f.vbd)
		return;
	stats = vbd_stats(f.vbd);
	must(stats.requests == stats.responses + stats.held + stats.outstanding);
	must(stats.outstanding <= f.config.nr_queues * 32 * f.config.nr_pages);
	must(!f.config.readonly || !(f.bottom->ops[IO_WRITE] + f.bottom->ops[IO_DISCARD]));
	must(f.config.discard || !f.bottom->ops[IO_DISCARD]);
}

/* When all I/O has ended and no page is held, all that was taken is answered. */
static void check_answered(void)
{
	let_pages_go();
	end_all_io();
	if (f.vbd)
		must(!vbd_stats(f.vbd).outstanding);
}

static void check_other(void)
{
	struct blkif_request request = {
		.op = BLKIF_READ, .id = 5, .nr_segments = 1, .segments = { { DATA, 0, 7 } },
	};
	struct front_response response;

	front_request(&f.other_front, &request);
	front_push(&f.other_front);
	end_all_io();
	must(front_response(&f.other_front, &response));
	must(response.id == 5 && response.status == BLKIF_OKAY);
	must(fake_guest_mapped(&f.other) == 1);
}

/* ---- the world ---- */

static void begin_once(void)
{
	struct vbd_config config = {
		.domid = DOMID + 1, .devid = 1, .protocol = BLKIF_X86_64, .nr_pages = 1,
		.nr_queues = 1, .queues[0].grefs = { RING }, .way = DATA_AUTO,
	};
	struct xenio *xenios[QUEUES];
	uint32_t i;

	if (f.other_vbd)
		return;
	log_set_level(LOG_EMERG);
	must(!loop_init(&f.loop));
	must(!worker_init(&f.worker, &f.loop, 8));
	for (i = 0; i < 2; i++) {
		bottom_init(&f.bottoms[i], SECTORS * SECTOR_BYTES, i ? 4096 : 512);
		bottom_add_worker(&f.bottoms[i], &f.worker);
		f.bottoms[i].manual = true;
	}
	for (i = 0; i < QUEUES; i++)
		f.kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f.store.image = &f.image;
	fake_guest_init(&f.other, DOMID + 1);
	f.other.grants[DATA] = FAKE_WRITABLE;
	front_init(&f.other_front, &f.other, BLKIF_X86_64, RING, 1);
	must(!create(&f.other, &config, &f.other.kick_fd, xenios, &f.other_vbd));
	settle();
}

static void begin(void)
{
	uint32_t how = byte(), i;
	struct layer *top;
	eventfd_t value;

	f.bottom = &f.bottoms[how & 1];
	if (f.bottom->ops[IO_WRITE])
		memset(f.bottom->data, 0, f.bottom->bytes);
	for (i = 0; i < IO_NR_OPS; i++)
		f.bottom->ops[i] = 0;
	f.image = (struct image){
		.fd = -1, .sectors = SECTORS, .sector_bytes = how & 2 ? 4096 : 512,
		.block_bytes = f.bottom->block_bytes, .can_discard = true,
		.discard_granularity = how & 4 ? 4096 : 512,
	};
	top = &f.bottom->layer;
	if (f.image.block_bytes > f.image.sector_bytes)
		must(!rmw_create(top, f.image.block_bytes, &top));
	f.store.top = top;
	f.store.flush_failed = false;
	fake_guest_init(&f.guest, DOMID);
	f.guest.after = after_call;
	for (i = LIST; i < DATA + 400; i++)
		f.guest.grants[i] = FAKE_WRITABLE;
	for (i = 0; i < QUEUES; i++)
		eventfd_read(f.kick_fds[i], &value);
	f.armed = false;
	connect_anew();
}

static void end(void)
{
	check_answered();
	disconnect();
	f.image.sectors = SECTORS;
	check_other();
	check();
	if (f.store.top != &f.bottom->layer)
		f.store.top->ops->destroy(f.store.top);
	fake_guest_uninit(&f.guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const acts[])(void) = {
		do_request, do_request, do_indirect, do_raw, do_push, do_push, do_kick, do_index,
		do_poke, do_grant, do_arm, do_responses, do_turn, do_settle, do_end_io,
		do_end_all, do_busy, do_fail, do_size, check_answered, do_connect,
	};
	uint32_t i;

	begin_once();
	bytes_are(data, size);
	begin();
	for (i = 0; i < ACTS && bytes_left(); i++) {
		acts[below(sizeof(acts) / sizeof(acts[0]))]();
		check();
	}
	end();
	return 0;
}
