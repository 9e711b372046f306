// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Backends that are killed: each is a process of its own, over rings, a journal and an
 * image that outlive it. The guest in this process goes on, and checks that every
 * request is answered once, that what it reads is what it wrote, and the image in the
 * end. VBD_KILL_POINTS gives the backend a place to die at between all stores that
 * matter: tapdisk_recovery_killed, which has no sanitizers, for it makes many processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake/frontend.h"
#include "fake/xenio_fake.h"
#include "image/image.h"
#include "loop/loop.h"
#include "loop/thread.h"
#include "store/store.h"
#include "tapdisk/ctl_proto.h"
#include "vbd/journal.h"
#include "vbd/vbd.h"

#define PAGES		256u		/* of the image */
#define PAGE_SECTORS	8u
#define DOMID		7u
#define RING_GREF	1u
#define DATA_GREF	256u
#define GREFS		24u		/* of each request; the first for its segments */
#define DATA_MAX	20u		/* pages of one request */
#define QUEUES_MAX	2u
#define DEPTH		24u		/* requests in flight on each queue */
#define ZEROS		UINT32_MAX	/* generation of what was discarded */
#define PATIENCE_MS	20000

/* How backends and their guest are. */
struct shape {
	const char *name;
	enum blkif_protocol protocol;
	uint32_t nr_queues;
	enum data_way way;
};

/* A request of the guest's. */
struct op {
	bool pending;
	uint64_t id;
	uint8_t op;
	uint32_t page, nr;		/* of the image */
	uint32_t generation;		/* of what is written */
	bool indirect;
};

/* The backend's, too. */
struct shared {
	_Atomic uint32_t points;	/* kill points that were passed */
	_Atomic uint32_t resumed;
};

struct world {
	struct shape shape;
	int image_fd, check_fd;
	bool can_discard;
	struct fake_guest guest;
	int kick_fds[QUEUES_MAX];
	struct front fronts[QUEUES_MAX];
	struct op ops[QUEUES_MAX][DEPTH];
	uint32_t model[PAGES];
	bool busy[PAGES];
	uint32_t next_generation;
	uint64_t next_id;
	uint32_t in_flight, answered;
	unsigned int seed;
	struct journal_head *journal;
	size_t journal_bytes;
	struct shared *shared;
	pid_t backend;
	unsigned int starts;
};

static struct shared *shared;
static _Atomic int points_left;

#ifdef VBD_KILL_POINTS
#define KILLS_UNDER_LOAD 8u

void kill_point(void)
{
	if (!shared)
		return;
	atomic_fetch_add(&shared->points, 1);
	if (atomic_load(&points_left) && atomic_fetch_sub(&points_left, 1) == 1)
		kill(getpid(), SIGKILL);
}
#else
#define KILLS_UNDER_LOAD 2u
#endif

/* ---- the backend ---- */

struct backend {
	struct loop loop;
	struct worker worker;
	struct thread thread;
	struct image image;
	struct store store;
	struct log_limit complaints[QUEUES_MAX];
	struct vbd *vbd;
	bool closed;
};

static int open_direct(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static struct vbd_config config_of(const struct world *world)
{
	struct vbd_config config = {
		.domid = DOMID, .devid = 51712, .protocol = world->shape.protocol, .nr_pages = 1,
		.nr_queues = world->shape.nr_queues, .discard = true,
		.persistent = world->shape.way == DATA_PERSISTENT, .way = world->shape.way,
		.copy_max = 8192, .journal = world->journal,
	};
	uint32_t i;

	for (i = 0; i < config.nr_queues; i++) {
		config.queues[i].port = 9 + i;
		config.queues[i].grefs[0] = RING_GREF + i;
	}
	return config;
}

/* What vbd_create() says. */
static int backend_serve(struct world *world, struct backend *backend)
{
	struct vbd_config config = config_of(world);
	struct vbd_place places[QUEUES_MAX];
	struct xenio_shape shape;
	uint32_t i;

	vbd_shape(&config, &shape);
	for (i = 0; i < config.nr_queues; i++) {
		places[i].worker = i ? &backend->thread.worker : &backend->worker;
		places[i].xenio = fake_xenio_create(&world->guest, &shape, world->kick_fds[i]);
		backend->complaints[i].burst = 10;
		places[i].complaints = &backend->complaints[i];
	}
	return vbd_create(&config, &backend->store, &backend->worker, places, &backend->vbd);
}

/* 0 or what vbd_create() says; anything else fails the test. */
static int backend_open(struct world *world, struct backend *backend)
{
	char why[256];

	*backend = (struct backend){ 0 };
	if (loop_init(&backend->loop) || worker_init(&backend->worker, &backend->loop, 64) ||
	    thread_start(&backend->thread, 64) ||
	    image_open(&backend->image, open_direct(world->image_fd), false, "image", why,
		       sizeof(why)) ||
	    store_open(&backend->store, &backend->image))
		abort();
	return backend_serve(world, backend);
}

static void on_closed(void *context)
{
	((struct backend *)context)->closed = true;
}

static void turn(struct backend *backend, int times)
{
	while (times--)
		loop_once(&backend->loop, 1);
}

static void backend_let_go(struct backend *backend, enum vbd_end how)
{
	backend->closed = false;
	vbd_close(backend->vbd, how, on_closed, backend);
	while (!backend->closed)
		turn(backend, 1);
	backend->vbd = NULL;
}

static void backend_close(struct backend *backend, enum vbd_end how)
{
	if (backend->vbd)
		backend_let_go(backend, how);
	thread_stop(&backend->thread);
	store_close(&backend->store);
	worker_uninit(&backend->worker);
	loop_uninit(&backend->loop);
	image_close(&backend->image);
}

static volatile sig_atomic_t leaving;

static void on_hangup(int signal)
{
	(void)signal;
	leaving = 1;
}

/* Serves until it is told to leave, or killed; at its @kill_at'th point by itself, 0: not. */
static void backend_start(struct world *world, int kill_at)
{
	struct backend backend;

	world->starts++;
	world->backend = fork();
	assert_true(world->backend >= 0);
	if (world->backend)
		return;
	shared = world->shared;
	atomic_store(&points_left, kill_at);
	if (backend_open(world, &backend))
		_exit(1);
	while (!leaving) {
		turn(&backend, 1);
		atomic_store(&shared->resumed, vbd_stats(backend.vbd).resumed);
	}
	backend_close(&backend, VBD_LEAVE);
	_exit(0);
}

/* While the guest goes on as if nothing were. */
static void backend_leave(struct world *world)
{
	int status;

	kill(world->backend, SIGHUP);
	assert_int_equal(waitpid(world->backend, &status, 0), world->backend);
	assert_int_equal(status, 0);
}

static void backend_kill(struct world *world)
{
	int status;

	kill(world->backend, SIGKILL);
	assert_int_equal(waitpid(world->backend, &status, 0), world->backend);
	/* Not by an assertion or a sanitizer before. */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* It may have killed itself: start another one. */
static bool backend_revive(struct world *world, int kill_at)
{
	int status;
	pid_t ended = waitpid(world->backend, &status, WNOHANG);

	assert_true(ended >= 0);
	if (!ended)
		return false;
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	backend_start(world, kill_at);
	return true;
}

/* ---- the guest ---- */

static unsigned int lot(struct world *world, unsigned int n)
{
	return (unsigned int)rand_r(&world->seed) % n;
}

/* What a page of the image holds in a generation. */
static uint32_t word(uint32_t page, uint32_t generation, uint32_t i)
{
	if (generation == ZEROS)
		return 0;
	return (page * 2654435761u) ^ (generation * 40503u) ^ (i * 97u + 1);
}

static void fill(uint32_t *bytes, uint32_t page, uint32_t generation)
{
	uint32_t i;

	for (i = 0; i < XENIO_SLOT_BYTES / 4; i++)
		bytes[i] = word(page, generation, i);
}

static void assert_filled(const uint32_t *bytes, uint32_t page, uint32_t generation)
{
	uint32_t i;

	for (i = 0; i < XENIO_SLOT_BYTES / 4; i++)
		assert_int_equal(bytes[i], word(page, generation, i));
}

static uint32_t first_gref(unsigned int queue, unsigned int slot)
{
	return DATA_GREF + (queue * DEPTH + slot) * GREFS;
}

static void *data_page(struct world *world, unsigned int queue, unsigned int slot, uint32_t i)
{
	return fake_guest_page(&world->guest, first_gref(queue, slot) + 1 + i);
}

static void send_indirect(struct world *world, unsigned int queue, unsigned int slot,
			  struct blkif_request *request)
{
	struct blkif_segment segments[DATA_MAX];
	uint32_t gref = first_gref(queue, slot);
	uint32_t i;

	for (i = 0; i < request->nr_segments; i++)
		segments[i] = (struct blkif_segment){ gref + 1 + i, 0, 7 };
	front_segments(&world->fronts[queue], gref, segments, request->nr_segments);
	request->indirect = true;
	request->pages[0] = gref;
}

static void send(struct world *world, unsigned int queue, unsigned int slot)
{
	struct op *op = &world->ops[queue][slot];
	struct blkif_request request = {
		.id = op->id, .op = op->op, .sector = (uint64_t)op->page * PAGE_SECTORS,
	};
	uint32_t i;

	if (op->op == BLKIF_DISCARD)
		request.nr_sectors = (uint64_t)op->nr * PAGE_SECTORS;
	else
		request.nr_segments = (uint16_t)op->nr;
	if (op->op == BLKIF_FLUSH)
		request.nr_segments = 0;
	for (i = 0; i < request.nr_segments; i++)
		fill(data_page(world, queue, slot, i), op->page + i,
		     op->op == BLKIF_READ ? 77 : op->generation);
	if (op->indirect)
		send_indirect(world, queue, slot, &request);
	else
		for (i = 0; i < request.nr_segments; i++)
			request.segments[i] = (struct blkif_segment){
				first_gref(queue, slot) + 1 + i, 0, 7,
			};
	op->pending = true;
	world->in_flight++;
	front_request(&world->fronts[queue], &request);
}

/* Pages that no request is about. */
static bool place(struct world *world, struct op *op)
{
	uint32_t i;

	op->page = lot(world, PAGES - op->nr);
	for (i = 0; i < op->nr; i++)
		if (world->busy[op->page + i])
			return false;
	for (i = 0; i < op->nr; i++)
		world->busy[op->page + i] = true;
	return true;
}

/* Any request that has room; none when it is not this one's day. */
static void issue(struct world *world, unsigned int queue)
{
	static const uint8_t kinds[] = {
		BLKIF_READ, BLKIF_READ, BLKIF_READ, BLKIF_WRITE, BLKIF_WRITE, BLKIF_WRITE,
		BLKIF_WRITE, BLKIF_FLUSH, BLKIF_BARRIER, BLKIF_DISCARD,
	};
	unsigned int slot = lot(world, DEPTH);
	struct op *op = &world->ops[queue][slot];

	if (op->pending)
		return;
	*op = (struct op){ .op = kinds[lot(world, sizeof(kinds))], .nr = 1 + lot(world, 5) };
	if (op->op == BLKIF_DISCARD && !world->can_discard)
		op->op = BLKIF_WRITE;
	if ((op->op == BLKIF_READ || op->op == BLKIF_WRITE) && lot(world, 3) == 0) {
		op->indirect = true;
		op->nr = 1 + lot(world, DATA_MAX);
	}
	if (op->op == BLKIF_FLUSH)
		op->nr = 0;
	if (!place(world, op))
		return;
	op->generation = ++world->next_generation;
	op->id = world->next_id++ * DEPTH + slot;
	send(world, queue, slot);
}

static void settle(struct world *world, unsigned int queue, struct op *op)
{
	unsigned int slot = (unsigned int)(op->id % DEPTH);
	uint32_t i;

	for (i = 0; i < op->nr; i++) {
		uint32_t page = op->page + i;

		if (op->op == BLKIF_READ)
			assert_filled(data_page(world, queue, slot, i), page, world->model[page]);
		else if (op->op == BLKIF_DISCARD)
			world->model[page] = ZEROS;
		else
			world->model[page] = op->generation;
		world->busy[page] = false;
	}
	op->pending = false;
	world->in_flight--;
	world->answered++;
}

static bool hear(struct world *world)
{
	struct front_response response;
	bool heard = false;
	unsigned int queue;

	for (queue = 0; queue < world->shape.nr_queues; queue++)
		while (front_response(&world->fronts[queue], &response)) {
			struct op *op = &world->ops[queue][response.id % DEPTH];

			/* None twice, none that nobody asked for. */
			assert_true(op->pending);
			assert_int_equal(response.id, op->id);
			assert_int_equal(response.op, op->op);
			assert_int_equal(response.status, BLKIF_OKAY);
			settle(world, queue, op);
			heard = true;
		}
	return heard;
}

static void push(struct world *world)
{
	unsigned int queue;

	for (queue = 0; queue < world->shape.nr_queues; queue++)
		front_push(&world->fronts[queue]);
}

/* Until @total requests are answered; backends die at @kill_at, then at @then. */
static void drive(struct world *world, uint32_t total, int kill_at, int then)
{
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;
	uint32_t issued = world->answered + world->in_flight;

	total += world->answered;
	backend_start(world, kill_at);
	while (world->answered < total) {
		unsigned int queue = lot(world, world->shape.nr_queues);

		if (issued < total) {
			issue(world, queue);
			issued = world->answered + world->in_flight;
			if (lot(world, 3) == 0 || issued == total)
				push(world);
		}
		if (hear(world))
			continue;
		if (backend_revive(world, then))
			then = 0;
		else if (issued == total || world->in_flight > DEPTH / 2)
			usleep(50);
		assert_true(clock_ms() < deadline_ms);
	}
}

/* As much at a time as there can be, until @nr requests are answered. */
static void load(struct world *world, uint32_t nr)
{
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;

	nr += world->answered;
	while (world->answered < nr) {
		issue(world, lot(world, world->shape.nr_queues));
		push(world);
		hear(world);
		assert_true(clock_ms() < deadline_ms);
	}
}

static void assert_image(struct world *world)
{
	uint32_t bytes[XENIO_SLOT_BYTES / 4];
	uint32_t page;

	for (page = 0; page < PAGES; page++) {
		assert_int_equal(pread(world->check_fd, bytes, sizeof(bytes),
				       (off_t)page * (off_t)sizeof(bytes)), sizeof(bytes));
		assert_filled(bytes, page, world->model[page]);
	}
}

/* ---- worlds ---- */

static void fill_image(struct world *world)
{
	uint32_t bytes[XENIO_SLOT_BYTES / 4];
	uint32_t page;

	for (page = 0; page < PAGES; page++) {
		fill(bytes, page, 0);
		assert_int_equal(pwrite(world->check_fd, bytes, sizeof(bytes),
					(off_t)page * (off_t)sizeof(bytes)), sizeof(bytes));
	}
}

static bool open_image(struct world *world)
{
	char path[] = "recovery-test.XXXXXX";
	struct image image;
	char why[256];

	world->check_fd = mkstemp(path);
	assert_true(world->check_fd >= 0);
	unlink(path);
	world->image_fd = open_direct(world->check_fd);
	if (world->image_fd < 0) {
		print_message("SKIP: no O_DIRECT on the file system of the build folder\n");
		return false;
	}
	fill_image(world);
	assert_int_equal(image_open(&image, dup(world->image_fd), false, "image", why,
				    sizeof(why)), 0);
	world->can_discard = image.can_discard && image.discard_granularity <= XENIO_SLOT_BYTES;
	image_close(&image);
	return true;
}

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

/* A guest with new rings, and a new journal; the image stays. */
static void connect(struct world *world, const struct shape *shape)
{
	struct vbd_config config;
	uint32_t i;

	world->shape = *shape;
	config = config_of(world);
	if (world->journal)
		munmap(world->journal, world->journal_bytes);
	world->journal_bytes = vbd_journal_bytes(&config);
	world->journal = shared_memory(world->journal_bytes);
	for (i = 0; i < shape->nr_queues; i++) {
		front_init(&world->fronts[i], &world->guest, shape->protocol, RING_GREF + i, 1);
		world->fronts[i].kick_fd = world->kick_fds[i];
	}
	for (i = DATA_GREF; i < FAKE_PAGES; i++)
		world->guest.grants[i] = FAKE_WRITABLE;
}

static const struct shape shapes[] = {
	{ "map", BLKIF_X86_64, 1, DATA_MAP },
	{ "copy, x86_32", BLKIF_X86_32, 1, DATA_COPY },
	{ "auto, two queues", BLKIF_NATIVE, 2, DATA_AUTO },
	{ "persistent", BLKIF_NATIVE, 1, DATA_PERSISTENT },
};
#define NR_SHAPES	(sizeof(shapes) / sizeof(shapes[0]))

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	unsigned int i;

	if (!world)
		return -1;
	*state = world;
	/* Here, so that no backend is there without it. */
	signal(SIGHUP, on_hangup);
	world->seed = 1;
	fake_guest_init(&world->guest, DOMID);
	for (i = 0; i < QUEUES_MAX; i++)
		world->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world->shared = shared_memory(sizeof(*world->shared));
	if (!open_image(world))
		return -1;
	connect(world, &shapes[0]);
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	unsigned int i;

	munmap(world->journal, world->journal_bytes);
	munmap(world->shared, sizeof(*world->shared));
	for (i = 0; i < QUEUES_MAX; i++)
		close(world->kick_fds[i]);
	close(world->image_fd);
	close(world->check_fd);
	fake_guest_uninit(&world->guest);
	free(world);
	return 0;
}

/* ---- tests ---- */

#ifdef VBD_KILL_POINTS
/* Over and over, at each place in turn; the next backend soon after that as well. */
static void killed_at_every_store(void **state)
{
	const uint32_t requests = 30;
	struct world *world = *state;
	unsigned int i;
	int at, nr;

	for (i = 0; i < NR_SHAPES; i++) {
		connect(world, &shapes[i]);
		atomic_store(&world->shared->points, 0);
		drive(world, requests, 0, 0);
		backend_kill(world);
		nr = (int)atomic_load(&world->shared->points);
		/* Each response alone has six. */
		assert_true(nr > (int)requests * 6);
		/* Requests differ from run to run: any place is hit by and by. */
		for (at = 1; at < nr; at += 1 + nr / 12) {
			connect(world, &shapes[i]);
			drive(world, requests, at, 1 + at * 7 % 97);
			backend_kill(world);
			assert_int_equal(world->in_flight, 0);
		}
		assert_image(world);
	}
	assert_true(world->starts > 100);
}

#endif

static void killed_at_any_time_under_load(void **state)
{
	struct world *world = *state;
	unsigned int i, k, resumed = 0;

	for (i = 0; i < NR_SHAPES; i++) {
		connect(world, &shapes[i]);
		backend_start(world, 0);
		for (k = 0; k < KILLS_UNDER_LOAD; k++) {
			/* In the middle of whatever comes after so many answers. */
			load(world, 1 + lot(world, 60));
			backend_kill(world);
			backend_start(world, 0);
			resumed += atomic_exchange(&world->shared->resumed, 0);
		}
		backend_kill(world);
		drive(world, world->in_flight, 0, 0);
		backend_kill(world);
		assert_int_equal(world->in_flight, 0);
		assert_image(world);
	}
	/* It was under load that they were killed. */
	assert_true(resumed > KILLS_UNDER_LOAD);
}

/* What is in flight is answered by the one that leaves; what is in the ring, by the next. */
static void left_at_any_time_under_load(void **state)
{
	struct world *world = *state;
	unsigned int i, k;

	for (i = 0; i < NR_SHAPES; i++) {
		connect(world, &shapes[i]);
		backend_start(world, 0);
		for (k = 0; k < 4; k++) {
			load(world, 1 + lot(world, 60));
			backend_leave(world);
			assert_int_equal(world->journal->state, JOURNAL_SERVING);
			backend_start(world, 0);
		}
		load(world, 1);
		assert_int_equal(atomic_load(&world->shared->resumed), 0);
		backend_kill(world);
		drive(world, world->in_flight, 0, 0);
		backend_kill(world);
		assert_int_equal(world->in_flight, 0);
		assert_image(world);
	}
}

/* One request stays in flight while the ring goes round above it. */
static void a_request_whose_slot_was_overwritten(void **state)
{
	struct world *world = *state;
	struct op *held = &world->ops[0][DEPTH - 1];
	uint8_t before[112], after[112];
	const uint8_t *slot = (uint8_t *)fake_guest_page(&world->guest, RING_GREF) + 64;
	unsigned int i;

	*held = (struct op){ .op = BLKIF_READ, .nr = 4, .id = DEPTH - 1 };
	send(world, 0, DEPTH - 1);
	memcpy(before, slot, sizeof(before));
	world->guest.busy = true;
	world->guest.busy_gref = first_gref(0, DEPTH - 1) + 2;
	backend_start(world, 0);
	for (i = 0; i < 100; i++) {
		struct op *op = &world->ops[0][0];

		*op = (struct op){
			.op = BLKIF_WRITE, .page = 10 + i, .nr = 1, .id = (i + 1) * DEPTH,
			.generation = ++world->next_generation,
		};
		send(world, 0, 0);
		push(world);
		while (op->pending)
			hear(world);
	}
	assert_true(held->pending);
	memcpy(after, slot, sizeof(after));
	assert_memory_not_equal(before, after, sizeof(before));
	world->guest.busy = false;
	backend_kill(world);
	drive(world, 1, 0, 0);
	assert_false(held->pending);
	backend_kill(world);
	assert_image(world);
}

/* Put a request on the ring of a backend that took it and was killed. */
static void leave_taken(struct world *world, const struct blkif_request *request)
{
	struct journal_queue *queue;
	struct blkif_entry wire;

	front_request(&world->fronts[0], request);
	front_push(&world->fronts[0]);
	memcpy(&wire, (uint8_t *)fake_guest_page(&world->guest, RING_GREF) + 64, sizeof(wire));
	world->journal->shape = (struct journal_shape){ BLKIF_X86_64, 1, 32 };
	queue = journal_queue(world->journal, 0);
	journal_take(queue, 5, 0, &wire);
	world->journal->state = JOURNAL_SERVING;
}

static void a_failed_flush_stays_unanswered(void **state)
{
	const struct blkif_request flush = { .id = 1, .op = BLKIF_FLUSH };
	const struct blkif_request write = {
		.id = 2, .op = BLKIF_WRITE, .nr_segments = 1, .segments = { { DATA_GREF, 0, 7 } },
	};
	struct world *world = *state;
	struct front_response response;
	struct backend backend;

	leave_taken(world, &flush);
	world->journal->flush_failed = 1;
	assert_int_equal(backend_open(world, &backend), 0);
	front_request(&world->fronts[0], &write);
	front_push(&world->fronts[0]);
	turn(&backend, 20);
	/* It is not the flush that is answered. */
	assert_true(front_response(&world->fronts[0], &response));
	assert_int_equal(response.id, 2);
	assert_int_equal(response.status, BLKIF_ERROR);
	assert_false(front_response(&world->fronts[0], &response));
	assert_int_equal(vbd_stats(backend.vbd).held, 1);
	backend_close(&backend, VBD_END);
}

/* Whoever asked for it, an NBD client too; and a ring that comes later has it at once. */
static void a_failed_flush_is_told_to_whoever_goes_on(void **state)
{
	struct world *world = *state;
	struct backend backend;

	assert_int_equal(backend_open(world, &backend), 0);
	assert_int_equal(world->journal->flush_failed, 0);
	assert_true(store_fail(&backend.store));
	assert_false(store_fail(&backend.store));
	assert_int_equal(world->journal->flush_failed, 1);
	backend_let_go(&backend, VBD_END);
	memset(world->journal, 0, sizeof(*world->journal));
	assert_int_equal(backend_serve(world, &backend), 0);
	assert_int_equal(world->journal->flush_failed, 1);
	backend_close(&backend, VBD_END);
}

static void an_event_is_sent_even_if_nothing_is_left(void **state)
{
	struct world *world = *state;
	struct backend backend;

	world->journal->shape = (struct journal_shape){ BLKIF_X86_64, 1, 32 };
	world->journal->state = JOURNAL_SERVING;
	assert_int_equal(backend_open(world, &backend), 0);
	turn(&backend, 5);
	assert_int_equal(world->guest.notifies, 1);
	backend_close(&backend, VBD_END);
	/* And whoever is told to end leaves nothing to be taken up. */
	assert_int_equal(world->journal->state, JOURNAL_ENDED);
	assert_int_equal(backend_open(world, &backend), -EINVAL);
	backend_close(&backend, VBD_END);
}

static void a_journal_of_another_ring_is_refused(void **state)
{
	struct world *world = *state;
	struct backend backend;

	world->journal->state = JOURNAL_SERVING;
	world->journal->shape = (struct journal_shape){ BLKIF_X86_64, 2, 32 };
	assert_int_equal(backend_open(world, &backend), -EINVAL);
	backend_close(&backend, VBD_END);
}

/* The guest writes what it likes to the ring's indices while nobody serves it. */
static void a_ring_that_lies_is_refused(void **state)
{
	static const struct {
		uint32_t req_prod, rsp_prod;
	} lies[] = { { 1, 1 }, { 1, UINT32_MAX }, { 33, 0 }, { 0, 5 }, { 100, 90 } };
	const struct blkif_request flush = { .id = 1, .op = BLKIF_FLUSH };
	struct world *world = *state;
	uint32_t *head = fake_guest_page(&world->guest, RING_GREF);
	struct backend backend;
	unsigned int i;

	leave_taken(world, &flush);
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		head[0] = lies[i].req_prod;
		head[2] = lies[i].rsp_prod;
		assert_int_equal(backend_open(world, &backend), -EPROTO);
		backend_close(&backend, VBD_END);
	}
	/* The truth is good enough. */
	head[0] = 1;
	head[2] = 0;
	assert_int_equal(backend_open(world, &backend), 0);
	backend_close(&backend, VBD_END);
}

static void the_largest_rings_have_room(void **state)
{
	const struct vbd_config config = {
		.protocol = BLKIF_X86_32, .nr_pages = BLKIF_RING_PAGES_MAX,
		.nr_queues = VBD_QUEUES_MAX,
	};

	(void)state;
	assert_true(vbd_journal_bytes(&config) <= CTL_JOURNAL_BYTES);
}

/* Rubbish near what is sound: states, indices, requests. */
static void scribble(struct world *world)
{
	struct journal_queue *queue = journal_queue(world->journal, 0);
	uint32_t *head = fake_guest_page(&world->guest, RING_GREF);
	unsigned int i, k;

	queue->req_cons = lot(world, 40);
	head[0] = queue->req_cons + lot(world, 3);
	head[2] = queue->req_cons - lot(world, 6);
	for (i = 0; i < 32; i++) {
		struct journal_entry *entry = &queue->entries[i];

		entry->state = lot(world, 12) ? JOURNAL_FREE : lot(world, 5);
		entry->req = lot(world, 8) ? queue->req_cons - lot(world, 8) : lot(world, 1u << 30);
		entry->rsp = head[2] + lot(world, 4);
		entry->status = (int32_t)lot(world, 5) - 3;
		for (k = 0; k < BLKIF_ENTRY_WORDS; k++)
			entry->wire.words[k] = lot(world, 2) ? lot(world, 4) : lot(world, 1u << 30);
	}
}

static void rubbish_in_a_journal_is_harmless(void **state)
{
	struct world *world = *state;
	unsigned int i, taken_up = 0;
	struct backend backend;

	for (i = 0; i < 100; i++) {
		connect(world, &shapes[0]);
		world->journal->shape = (struct journal_shape){ BLKIF_X86_64, 1, 32 };
		world->journal->state = JOURNAL_SERVING;
		scribble(world);
		if (!backend_open(world, &backend)) {
			turn(&backend, 5);
			taken_up += vbd_stats(backend.vbd).resumed != 0;
		}
		backend_close(&backend, VBD_END);
	}
	/* Some of it was good enough to be tried. */
	assert_true(taken_up > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef VBD_KILL_POINTS
		TEST(killed_at_every_store),
#endif
		TEST(killed_at_any_time_under_load),
		TEST(left_at_any_time_under_load),
		TEST(a_request_whose_slot_was_overwritten),
		TEST(a_failed_flush_stays_unanswered),
		TEST(a_failed_flush_is_told_to_whoever_goes_on),
		TEST(an_event_is_sent_even_if_nothing_is_left),
		TEST(a_journal_of_another_ring_is_refused),
		TEST(a_ring_that_lies_is_refused),
		cmocka_unit_test(the_largest_rings_have_room),
		TEST(rubbish_in_a_journal_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
