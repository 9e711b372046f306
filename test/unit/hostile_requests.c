// SPDX-License-Identifier: GPL-2.0-or-later
/* Hostile heads of requests, flushes, events. Numbers: test/hostile.md. */
#include "base/clock.h"
#include "fake/hostile.h"
#include "vbd/patience.h"

/* ---- heads ---- */

static void ids_are_opaque(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, UINT32_MAX, 1ull << 32, 0xffff888012345678,
					1ull << 63, UINT64_MAX };
	static const enum blkif_protocol protocols[] = { BLKIF_X86_32, BLKIF_X86_64 };
	struct rig *rig = *state;
	unsigned int p, i;

	for (p = 0; p < ARRAY_SIZE(protocols); p++) {
		rig->protocol = protocols[p];
		rig_reconnect(rig);
		for (i = 0; i < ARRAY_SIZE(ids); i++) {
			struct blkif_request request = pages(BLKIF_READ, ids[i], 8, DATA_GREF, 2);

			assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
			request.nr_segments = 0;
			assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
			request.op = BLKIF_FLUSH;
			assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
			request.op = 250;
			assert_int_equal(rig_ask(rig, &request), BLKIF_EOPNOTSUPP);
		}
	}
}

/* A frontend that says one layout and writes another harms its own requests. */
static void a_layout_that_is_not_what_was_said(void **state)
{
	static const enum blkif_protocol said[] = { BLKIF_X86_32, BLKIF_X86_64 };
	struct rig *rig = *state;
	struct front_response response;
	unsigned int p, i;

	for (p = 0; p < 2; p++) {
		rig->protocol = said[p];
		rig_reconnect(rig);
		rig_front(rig)->protocol = said[!p];
		/* Few, since the backend's patience ends: vbd/patience.h. */
		for (i = 0; i < 150; i++) {
			struct blkif_request request = pages(i % 8, i * 0x123456789ull, i % 999,
							     DATA_GREF + i, i % 13);

			rig_send(rig, 0, &request);
			/* Some answer, which the frontend cannot read. */
			while (vbd_stats(rig->vbd).responses != i + 1u)
				assert_int_equal(loop_once(&rig->loop, 1), 0);
			while (front_response(rig_front(rig), &response))
				;
		}
		rig_reconnect(rig);
		assert_alive(rig);
	}
}

/* What an entry has behind what its operation uses means nothing. */
static void entries_of_garbage(void **state)
{
	struct rig *rig = *state;
	unsigned int op, n, i;

	srandom(155);
	for (op = 4; op < 256; op++) {
		/* And its patience is new: vbd/patience.h. */
		if (op % 16 == 0)
			rig_reconnect(rig);
		for (n = 0; n < 4; n++) {
			uint8_t bytes[112];
			struct front_response response;

			for (i = 0; i < sizeof(bytes); i++)
				bytes[i] = (uint8_t)random();
			bytes[0] = (uint8_t)op;
			front_raw(rig_front(rig), bytes, sizeof(bytes));
			front_push(rig_front(rig));
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status,
					 op == BLKIF_INDIRECT ? BLKIF_ERROR : BLKIF_EOPNOTSUPP);
			assert_int_equal(response.op, op == BLKIF_INDIRECT ? bytes[1] : op);
			assert_memory_equal(&response.id, bytes + 8, 8);
		}
	}
	assert_untouched(rig);
}

/* Behind the status there is nothing of ours. */
static void responses_leak_nothing(void **state)
{
	static const enum blkif_protocol protocols[] = { BLKIF_X86_32, BLKIF_X86_64 };
	struct rig *rig = *state;
	unsigned int p, i;

	for (p = 0; p < 2; p++) {
		const uint8_t *entry = (uint8_t *)fake_guest_page(&rig->guest, RING_GREF) + 64;
		unsigned int bytes = protocols[p] == BLKIF_X86_32 ? 12 : 16;
		struct blkif_request request = unknown(UINT64_MAX);

		rig->protocol = protocols[p];
		rig_reconnect(rig);
		memset(fake_guest_page(&rig->guest, RING_GREF + 1), 0, XENIO_SLOT_BYTES);
		front_request(rig_front(rig), &request);
		memset((uint8_t *)entry + 16, 0xaa, 80);
		front_push(rig_front(rig));
		turn_often(rig, 5);
		assert_int_equal(vbd_stats(rig->vbd).responses, 1);
		assert_int_equal(entry[9], 0);
		for (i = 12; i < bytes; i++)
			assert_int_equal(entry[i], 0);
		for (i = 16; i < 96; i++)
			assert_int_equal(entry[i], 0xaa);
	}
}

/* ---- flushes ---- */

static void a_flood_of_flushes(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;
	struct front_response response;
	unsigned int i;

	rig->nr_queues = 2;
	rig_reconnect(rig);
	for (i = 0; i < 32; i++) {
		request = pages(BLKIF_FLUSH, i, 0, 0, 0);
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	request = pages(BLKIF_READ, 32, 8, DATA_GREF, 1);
	rig_send(rig, 1, &request);
	assert_true(rig_turn(rig, 1, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	for (i = 0; i < 32; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
	}
	assert_int_equal(vbd_stats(rig->vbd).flushes, 32);
}

/* A store that has flushes fail, as often as is said, and then work again. */
struct failing {
	struct layer layer;
	int flushes;
};

static void failing_submit(struct layer *layer, struct io *io)
{
	struct failing *failing = (struct failing *)layer;

	if (io->op == IO_FLUSH && failing->flushes-- > 0)
		io_done(io, -EIO);
	else
		layer_submit(layer->below, io);
}

static const struct layer_ops failing_ops = { .name = "failing", .submit = failing_submit };

/*
 * A store says once that it lost something, and the next flush works. To a Linux guest,
 * success is success, and an error on an empty flush means that there is nothing to
 * flush: it reports success to its file system. So there is no answer.
 */
static void no_flush_is_answered_after_a_failed_one(void **state)
{
	struct rig *rig = *state;
	struct failing failing = { { &failing_ops, rig->store.top }, 1 };
	struct blkif_request request;
	struct front_response response;
	unsigned int i;

	rig->store.top = &failing.layer;
	/* Two at once, and some later. */
	for (i = 0; i < 2; i++) {
		request = pages(BLKIF_FLUSH, i, 0, 0, 0);
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	rig_quiet_turns(rig, 30);
	for (i = 2; i < 6; i++) {
		request = pages(i % 2 ? BLKIF_BARRIER : BLKIF_FLUSH, i, 0, 0, 0);
		rig_send(rig, 0, &request);
		rig_quiet_turns(rig, 30);
	}
	assert_int_equal(vbd_stats(rig->vbd).held, 6);
	assert_int_equal(vbd_stats(rig->vbd).flushes, 0);
	/* With data they can be told from "not supported". */
	for (i = 0; i < 2; i++) {
		request = pages(i ? BLKIF_BARRIER : BLKIF_FLUSH, 9, 0, DATA_GREF, 1);
		rig_send(rig, 0, &request);
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_ERROR);
	}
	assert_alive(rig);
	rig_disconnect(rig);
	rig->store.top = failing.layer.below;
	assert_untouched(rig);
}

/* ---- events ---- */

static void a_storm_of_kicks(void **state)
{
	struct rig *rig = *state;
	struct vbd_stats before;
	int i;

	turn_often(rig, 5);
	before = vbd_stats(rig->vbd);
	rig->guest.notifies = 0;
	for (i = 0; i < 10000; i++)
		fake_kick(rig->kick_fds[0]);
	turn_often(rig, 5);
	/* As many as there were, they are one event, and one pass. */
	assert_int_equal(vbd_stats(rig->vbd).events - before.events, 1);
	assert_int_equal(vbd_stats(rig->vbd).passes - before.passes, 1);
	assert_int_equal(rig->guest.notifies, 0);
	assert_alive(rig);
}

/* Turns of the loop for @ms. */
static void turn_for(struct rig *rig, uint64_t ms)
{
	uint64_t end = clock_ms() + ms;

	while (clock_ms() < end)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
}

/* One event after the other, and never a request: they are heard less and less often. */
static void events_for_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t end = clock_ms() + 400;
	uint32_t unmasks = 0;

	/* One that is masked waits, as with Xen. */
	rig->guest.unmasks = 1;
	while (clock_ms() < end) {
		if (rig->guest.unmasks != unmasks)
			fake_kick(rig->kick_fds[0]);
		unmasks = rig->guest.unmasks;
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	}
	assert_in_range(vbd_stats(rig->vbd).events, 50, 200);
	assert_alive(rig);
}

/* A frontend that notifies too often, but not for nothing only, is never made to wait. */
static void patience_is_earned(void **state)
{
	struct timers *timers = &((struct rig *)*state)->worker.timers;
	struct patience patience;
	unsigned int i;

	patience_init(&patience, NULL);
	for (i = 0; i < 2000; i++) {
		patience_spend(&patience);
		patience_earn(&patience, 1);
		assert_false(patience_is_over(&patience, timers));
	}
	for (i = 0; i < 2000 && !patience_is_over(&patience, timers); i++)
		patience_spend(&patience);
	assert_in_range(i, 128, 1000);
	assert_true(patience_rests(&patience));
	patience_stop(&patience, timers);
}

/* As many as fit, all the time, in one queue; the other one does not notice. */
static void a_flood_of_refused_requests(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint64_t begin, passed_ms = 0;
	unsigned int answered = 0;

	rig->nr_queues = 2;
	rig_reconnect(rig);
	/* On a busy machine 50 of them may take longer. */
	for (begin = clock_ms(); passed_ms < 400 || answered < 50; answered++) {
		struct blkif_request good = pages(BLKIF_READ, 1, 80, DATA_GREF, 3);

		while (front_response(rig_front(rig), &response))
			assert_int_equal(response.status, BLKIF_EOPNOTSUPP);
		fill_ring(rig, 0);
		rig_send(rig, 1, &good);
		assert_true(rig_turn(rig, 1, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		passed_ms = clock_ms() - begin;
		assert_true(passed_ms < PATIENCE_MS);
	}
	/* What it has at once, what comes back with time, and a ring after each rest. */
	assert_in_range(vbd_queue_stats(rig->vbd, 0).requests, 128,
			128 + passed_ms / 10 + 32 * (1 + passed_ms / 100));
	/* They are answered in the end, each of them. */
	turn_for(rig, 700);
	assert_int_equal(vbd_queue_stats(rig->vbd, 0).requests,
			 vbd_queue_stats(rig->vbd, 0).responses);
}

/* Who does not kick waits; the others do not, and the next kick finds all. */
static void requests_without_a_kick(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	struct blkif_request request = unknown(1);
	unsigned int i;

	rig->nr_queues = 2;
	rig_reconnect(rig);
	turn_often(rig, 5);
	for (i = 0; i < 10; i++)
		front_request(rig_front(rig), &request);
	*head_word(rig, 0, REQ_PROD) = rig_front(rig)->req_prod;
	rig_quiet_turns(rig, 5);
	rig_send(rig, 1, &request);
	assert_true(rig_turn(rig, 1, &response));
	rig_quiet_turns(rig, 5);
	fake_kick(rig->kick_fds[0]);
	for (i = 0; i < 10; i++)
		assert_true(rig_turn(rig, 0, &response));
}

/* The channel is broken: the queue is deaf, and does not spin. */
static void an_event_channel_that_cannot_be_read(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	struct blkif_request request = unknown(1);
	uint64_t passes;

	rig->nr_queues = 2;
	rig_reconnect(rig);
	turn_often(rig, 5);
	rig->guest.take_error = -EFBIG;
	rig_send(rig, 0, &request);
	turn_often(rig, 5);
	rig->guest.take_error = 0;
	passes = vbd_queue_stats(rig->vbd, 0).passes;
	rig_quiet_turns(rig, 20);
	assert_int_equal(vbd_queue_stats(rig->vbd, 0).passes, passes);
	rig_send(rig, 1, &request);
	assert_true(rig_turn(rig, 1, &response));
	rig->nr_queues = 1;
	rig_reconnect(rig);
	assert_alive(rig);
}

static void a_peer_that_cannot_be_notified(void **state)
{
	struct rig *rig = *state;
	unsigned int i;

	rig->guest.send_error = -ENOTCONN;
	for (i = 0; i < 100; i++)
		assert_alive(rig);
	assert_in_range(rig->guest.notifies, 1, 100);
}

/* It asks for an event with each response; those of a pass come with one. */
static void one_notification_for_all_of_a_pass(void **state)
{
	struct rig *rig = *state;
	unsigned int round;

	for (round = 0; round < 3; round++) {
		struct front_response response;

		turn_often(rig, 2);
		rig->guest.notifies = 0;
		*head_word(rig, 0, RSP_EVENT) = rig_front(rig)->rsp_cons + 1;
		fill_ring(rig, 0);
		turn_often(rig, 5);
		assert_int_equal(rig->guest.notifies, 1);
		while (front_response(rig_front(rig), &response))
			;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT("17 18 73 74", entries_of_garbage),
		INPUT("24 25", ids_are_opaque),
		INPUT("24", responses_leak_nothing),
		INPUT("29", a_flood_of_flushes),
		INPUT("26 30", no_flush_is_answered_after_a_failed_one),
		INPUT("93", a_storm_of_kicks),
		INPUT("93", events_for_nothing),
		INPUT("93", patience_is_earned),
		INPUT("139", a_flood_of_refused_requests),
		INPUT("94", requests_without_a_kick),
		INPUT("98", an_event_channel_that_cannot_be_read),
		INPUT("99", a_peer_that_cannot_be_notified),
		INPUT("100", one_notification_for_all_of_a_pass),
		INPUT("153", a_layout_that_is_not_what_was_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
