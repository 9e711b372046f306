// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring QUEUES BYTES read|write MILLISECONDS: requests per second of tapdisk's data
 * path (ring, data, store, libaio) for a guest in memory that keeps 32 requests of so
 * many bytes on each queue. The image is a file in the current folder.
 *
 * The guest acts in the thread of the queue, in place of the event that the backend
 * sends to it: it takes no processor of its own, and nobody waits for anybody.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/parse.h"
#include "fake/rig.h"

#define DEPTH		32u
#define QUEUES		4u
#define PAGES_MAX	16u		/* of one request */
#define BUFFERS		26u		/* of each queue, shared by its requests */
#define WARM_UP_MS	200u

struct guest {
	struct rig *rig;
	uint8_t op;
	unsigned int pages;		/* of each request */
	uint64_t random[QUEUES];
	/* Each is its queue's thread's alone, but for who reads it. */
	struct {
		_Alignas(64) _Atomic uint64_t answered;
		_Atomic uint64_t failed;
	} queues[QUEUES];
};

/* Somewhere in the image, at a whole number of requests. */
static uint64_t next_sector(struct guest *guest, unsigned int queue)
{
	uint64_t *random = &guest->random[queue];
	uint32_t sectors = guest->pages * 8;

	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return (*random >> 33) % (IMAGE_SECTORS / sectors) * sectors;
}

static uint32_t buffer_gref(unsigned int queue, unsigned int id)
{
	return DATA_GREF + QUEUES * DEPTH + (queue * BUFFERS + id % BUFFERS) * PAGES_MAX;
}

/* The page with an indirect request's segments. */
static uint32_t segments_gref(unsigned int queue, unsigned int id)
{
	return DATA_GREF + queue * DEPTH + id;
}

static void put(struct guest *guest, unsigned int queue, unsigned int id)
{
	struct blkif_request request = pages(guest->op, id, next_sector(guest, queue),
					     buffer_gref(queue, id), (uint8_t)guest->pages);

	if (guest->pages > BLKIF_SEGMENTS_MAX) {
		request.indirect = true;
		request.pages[0] = segments_gref(queue, id);
	}
	front_request(&guest->rig->fronts[queue], &request);
}

static void fill_segments(struct guest *guest, unsigned int queue, unsigned int id)
{
	struct blkif_segment segments[PAGES_MAX];
	unsigned int i;

	for (i = 0; i < guest->pages; i++)
		segments[i] = (struct blkif_segment){ buffer_gref(queue, id) + i, 0, 7 };
	front_segments(&guest->rig->fronts[queue], segments_gref(queue, id), segments,
		       guest->pages);
}

static unsigned int own_queue(const struct rig *rig)
{
	unsigned int i;

	for (i = 0; i < rig->nr_queues; i++)
		if (pthread_equal(rig->threads[i].id, pthread_self()))
			return i;
	abort();
}

/* The event: take all responses, and ask for as much again. */
static void on_call(struct fake_guest *fake, enum fake_call call)
{
	struct guest *guest = fake->after_context;
	struct front_response response;
	unsigned int queue;
	struct front *front;

	if (call != FAKE_SEND)
		return;
	queue = own_queue(guest->rig);
	front = &guest->rig->fronts[queue];
	while (front_response(front, &response)) {
		guest->queues[queue].answered++;
		guest->queues[queue].failed += response.status != BLKIF_OKAY;
		put(guest, queue, (unsigned int)response.id);
	}
	front_push(front);
}

static uint64_t sum(const struct guest *guest)
{
	uint64_t answered = 0;
	unsigned int i;

	for (i = 0; i < guest->rig->nr_queues; i++)
		answered += guest->queues[i].answered;
	return answered;
}

/* Processor time of all threads. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_ms(struct rig *rig, unsigned int ms)
{
	uint64_t end_ms = clock_ms() + ms;

	while (clock_ms() < end_ms)
		loop_once(&rig->loop, 10);
}

static void measure(struct guest *guest, unsigned int ms)
{
	struct rig *rig = guest->rig;
	uint64_t begin_ns, begin_cpu_ns, before;
	unsigned int queue, id;

	rig->guest.after_context = guest;
	rig->guest.after = on_call;
	for (queue = 0; queue < rig->nr_queues; queue++) {
		for (id = 0; id < DEPTH; id++) {
			fill_segments(guest, queue, id);
			put(guest, queue, id);
		}
		front_push(&rig->fronts[queue]);
	}
	run_ms(rig, WARM_UP_MS);
	before = sum(guest);
	begin_ns = clock_ns();
	begin_cpu_ns = cpu_ns();
	run_ms(rig, ms);
	printf("RESULT what=ring queues=%u bytes=%u rw=%s requests=%" PRIu64 " ns=%" PRIu64
	       " cpu_ns=%" PRIu64 "\n", rig->nr_queues, guest->pages * XENIO_SLOT_BYTES,
	       guest->op == BLKIF_READ ? "read" : "write", sum(guest) - before,
	       clock_ns() - begin_ns, cpu_ns() - begin_cpu_ns);
}

/* Whether all requests went well. */
static bool run(struct rig *rig, uint32_t queues, uint32_t bytes, uint8_t op, uint32_t ms)
{
	static struct guest guest;
	unsigned int i;

	rig_disconnect(rig);
	guest = (struct guest){ .rig = rig, .op = op, .pages = bytes / XENIO_SLOT_BYTES };
	for (i = 0; i < QUEUES; i++)
		guest.random[i] = i;
	rig->nr_queues = queues;
	rig->threaded = true;
	rig->way = DATA_AUTO;
	rig->copy_max = DATA_COPY_MAX_DEFAULT;
	rig_connect(rig);
	measure(&guest, ms);
	for (i = 0; i < queues; i++)
		if (guest.queues[i].failed || !guest.queues[i].answered)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	uint32_t queues, bytes, ms;
	void *state = NULL;
	bool well;

	if (argc != 5 || parse_u32(argv[1], QUEUES, &queues) || !queues ||
	    parse_u32(argv[2], PAGES_MAX * XENIO_SLOT_BYTES, &bytes) ||
	    bytes < XENIO_SLOT_BYTES || bytes % XENIO_SLOT_BYTES ||
	    parse_u32(argv[4], 60000, &ms)) {
		fputs("usage: ring QUEUES BYTES read|write MILLISECONDS\n", stderr);
		return 2;
	}
	if (rig_setup(&state))
		return 77;
	well = run(state, queues, bytes, argv[3][0] == 'r' ? BLKIF_READ : BLKIF_WRITE, ms);
	rig_teardown(&state);
	if (!well)
		fputs("ring: requests failed, or a queue stood still\n", stderr);
	return well ? 0 : 1;
}
