// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several queues of one frontend, all in one thread or each in its own. Built a
 * second time for ThreadSanitizer.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "fake/rig.h"

static void use_queues(struct rig *rig, uint32_t nr_queues, uint32_t nr_pages, bool threaded,
		       enum data_way way)
{
	rig_disconnect(rig);
	rig->nr_queues = nr_queues;
	rig->nr_pages = nr_pages;
	rig->threaded = threaded;
	rig->way = way;
	rig_connect(rig);
}

/* Each queue has pages of its own. */
static uint32_t gref_of(unsigned int queue, unsigned int i)
{
	return DATA_GREF + queue * 200 + i;
}

static void send_reads(struct rig *rig, unsigned int queue, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct blkif_request request =
			pages(BLKIF_READ, queue * 1000 + i, 8 * (queue * 100 + i),
			      gref_of(queue, i), 1);

		front_request(&rig->fronts[queue], &request);
	}
	front_push(&rig->fronts[queue]);
}

static void await_reads(struct rig *rig, unsigned int queue, unsigned int nr)
{
	struct front_response response;
	unsigned int n;

	for (n = 0; n < nr; n++) {
		assert_true(rig_turn(rig, queue, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_int_equal(response.id / 1000, queue);
		assert_page(rig, gref_of(queue, response.id % 1000),
			    8 * (queue * 100 + response.id % 1000));
	}
}

static void queues_work_side_by_side(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT, DATA_AUTO };
	struct rig *rig = *state;
	unsigned int nr, threaded, way, q;

	for (nr = 1; nr <= VBD_QUEUES_MAX; nr *= 2) {
		for (threaded = 0; threaded < 2; threaded++) {
			for (way = 0; way < 4; way++) {
				use_queues(rig, nr, 1, threaded, ways[way]);
				for (q = 0; q < nr; q++)
					send_reads(rig, q, 32);
				for (q = 0; q < nr; q++)
					await_reads(rig, q, 32);
				assert_int_equal(vbd_stats(rig->vbd).requests, 32 * nr);
				for (q = 0; q < nr; q++)
					assert_int_equal(vbd_queue_stats(rig->vbd, q).requests, 32);
			}
		}
	}
}

static void queues_of_large_rings(void **state)
{
	struct rig *rig = *state;
	unsigned int order, q;

	for (order = 0; order <= 4; order++) {
		use_queues(rig, 4, 1u << order, true, DATA_AUTO);
		for (q = 0; q < 4; q++)
			send_reads(rig, q, 100 < (32u << order) ? 100 : 32u << order);
		for (q = 0; q < 4; q++)
			await_reads(rig, q, 100 < (32u << order) ? 100 : 32u << order);
	}
}

static void a_bad_ring_stops_only_itself(void **state)
{
	struct rig *rig = *state;
	struct front_response response;

	use_queues(rig, 2, 1, true, DATA_AUTO);
	*front_req_prod(&rig->fronts[1]) = 77;
	fake_kick(rig->kick_fds[1]);
	send_reads(rig, 0, 32);
	await_reads(rig, 0, 32);
	assert_false(front_response(&rig->fronts[1], &response));
}

/* Ends come at any time, with requests and barriers on their way. */
static void closing_under_load(void **state)
{
	struct rig *rig = *state;
	unsigned int round, q, i;

	for (round = 0; round < 30; round++) {
		use_queues(rig, 4, 1, round % 2, (enum data_way)(round % 4));
		for (q = 0; q < 4; q++) {
			struct blkif_request barrier = pages(BLKIF_BARRIER, 9, 0, 0, 0);

			send_reads(rig, q, 10 + round % 20);
			if (round % 3 == 0 || (round % 3 == 1 && q == 2))
				rig_send(rig, q, &barrier);
		}
		for (i = 0; i < round % 5; i++)
			assert_int_equal(loop_once(&rig->loop, 0), 0);
		rig_disconnect(rig);
	}
	use_queues(rig, 1, 1, false, DATA_MAP);
}

/*
 * Barriers of all queues at once. What was answered before a barrier was sent
 * anywhere is below it, in the order that the barriers themselves have.
 */
static void barriers_hold_all_queues(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	unsigned int round, q, i;

	for (round = 0; round < 10; round++) {
		use_queues(rig, 4, 1, round % 2, DATA_AUTO);
		for (q = 0; q < 4; q++) {
			send_reads(rig, q, 10);
			for (i = 0; i < 3; i++) {
				struct blkif_request barrier =
					pages(BLKIF_BARRIER, 5000 + i, 8000 + 8 * q,
					      gref_of(q, 100 + i), i % 2);
				memset(fake_guest_page(&rig->guest, gref_of(q, 100 + i)),
				       (int)(round + i), XENIO_SLOT_BYTES);
				rig_send(rig, q, &barrier);
			}
		}
		for (q = 0; q < 4; q++) {
			await_reads(rig, q, 10);
			for (i = 0; i < 3; i++) {
				assert_true(rig_turn(rig, q, &response));
				assert_int_equal(response.id, 5000 + i);
				assert_int_equal(response.op, BLKIF_BARRIER);
				assert_int_equal(response.status, BLKIF_OKAY);
			}
		}
		assert_int_equal(vbd_stats(rig->vbd).barriers, 12);
	}
}

/*
 * A write that is on its way in one queue when a barrier comes in another: its
 * page is held by I/O, so that it cannot end, and the barrier must wait.
 */
static void a_barrier_waits_for_other_queues(void **state)
{
	struct rig *rig = *state;
	struct blkif_request held = pages(BLKIF_WRITE, 1, 0, gref_of(0, 0), 1);
	struct blkif_request barrier = pages(BLKIF_BARRIER, 2, 0, 0, 0);
	struct blkif_request later = pages(BLKIF_READ, 3, 0, gref_of(0, 1), 1);
	struct front_response response;
	int i;

	use_queues(rig, 2, 1, false, DATA_MAP);
	rig->guest.busy = true;
	rig->guest.busy_gref = gref_of(0, 0);
	rig_send(rig, 0, &held);
	for (i = 0; i < 1000 && !vbd_stats(rig->vbd).drains; i++)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(vbd_stats(rig->vbd).drains, 1);
	rig_send(rig, 1, &barrier);
	rig_quiet_turns(rig, 10);
	assert_false(front_response(&rig->fronts[1], &response));
	/* Nothing passes a barrier that waits. */
	rig_send(rig, 0, &later);
	rig_quiet_turns(rig, 20);
	assert_false(front_response(&rig->fronts[1], &response));
	rig->guest.busy = false;
	fake_xenio_drain(rig->xenios[0]);
	assert_true(rig_turn(rig, 1, &response));
	assert_int_equal(response.id, 2);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.id, 1);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.id, 3);
}

static void a_failed_flush_is_seen_by_all_queues(void **state)
{
	struct rig *rig = *state;
	struct blkif_request flush = pages(BLKIF_FLUSH, 1, 0, 0, 0);
	struct blkif_request write = pages(BLKIF_WRITE, 2, 0, DATA_GREF, 1);
	struct front_response response;
	int good_fd = rig->image.fd;
	int bad_fd = eventfd(0, EFD_CLOEXEC);	/* cannot be synced */
	int i;

	/* Before threads look at it. */
	rig_disconnect(rig);
	rig->image.fd = bad_fd;
	use_queues(rig, 2, 1, true, DATA_AUTO);
	rig_send(rig, 0, &flush);
	for (i = 0; i < 5000 && !vbd_stats(rig->vbd).held; i++)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(vbd_stats(rig->vbd).held, 1);
	rig_send(rig, 1, &write);
	assert_true(rig_turn(rig, 1, &response));
	assert_int_equal(response.status, BLKIF_ERROR);
	rig_disconnect(rig);
	rig->image.fd = good_fd;
	close(bad_fd);
	assert_untouched(rig);
	use_queues(rig, 1, 1, false, DATA_MAP);
}

static struct vbd_stats heard;
static unsigned int times_heard;

static void hear(void *context)
{
	const struct rig *rig = context;

	heard = vbd_stats(rig->vbd);
	times_heard++;
}

/* In the loop of home, which has nothing else to do. */
static void listen_to(struct rig *rig, uint64_t reads)
{
	int turns = 0;

	while (heard.reads != reads && turns++ < PATIENCE_MS)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(heard.reads, reads);
}

/* All that changes is heard, and then nothing any more. */
static void news_of_all_queues_reaches_home(void **state)
{
	struct rig *rig = *state;
	struct pollfd home = { .fd = rig->loop.epoll_fd, .events = POLLIN };
	unsigned int threaded, round, q, i;

	rig->changed = hear;
	for (threaded = 0; threaded < 2; threaded++) {
		use_queues(rig, 4, 1, threaded, DATA_AUTO);
		for (round = 1; round <= 2; round++) {
			for (q = 0; q < 4; q++)
				send_reads(rig, q, 8);
			for (q = 0; q < 4; q++)
				await_reads(rig, q, 8);
			listen_to(rig, 32 * round);
			for (i = 0; i < 700; i++)
				assert_int_equal(loop_once(&rig->loop, 1), 0);
			times_heard = 0;
			assert_int_equal(poll(&home, 1, 1200), 0);
			assert_int_equal(loop_once(&rig->loop, 0), 0);
			assert_int_equal(times_heard, 0);
		}
		heard = (struct vbd_stats){ 0 };
	}
}

/* Twice a second of each queue, however busy it is; and none after the end. */
static void news_is_seldom_and_ends_with_the_disk(void **state)
{
	struct rig *rig = *state;
	uint64_t end_ns;
	unsigned int q;

	rig->changed = hear;
	use_queues(rig, 4, 1, true, DATA_AUTO);
	times_heard = 0;
	end_ns = clock_ns() + 1800000000ull;
	while (clock_ns() < end_ns) {
		for (q = 0; q < 4; q++)
			send_reads(rig, q, 4);
		for (q = 0; q < 4; q++)
			await_reads(rig, q, 4);
	}
	assert_in_range(times_heard, 4, 4 * 4);
	/* Some is due, or under way. */
	rig_disconnect(rig);
	times_heard = 0;
	for (q = 0; q < 700; q++)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(times_heard, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(queues_work_side_by_side),
		TEST(queues_of_large_rings),
		TEST(a_bad_ring_stops_only_itself),
		TEST(closing_under_load),
		TEST(barriers_hold_all_queues),
		TEST(a_barrier_waits_for_other_queues),
		TEST(a_failed_flush_is_seen_by_all_queues),
		TEST(news_of_all_queues_reaches_home),
		TEST(news_is_seldom_and_ends_with_the_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
