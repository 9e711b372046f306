// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hostile rings: indices, and entries that change while they are looked at. Numbers:
 * test/hostile.md.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fake/hostile.h"

/* A read whose response waits: I/O holds its page. */
static void hold_a_read(struct rig *rig)
{
	struct blkif_request request = pages(BLKIF_READ, 1, 0, DATA_GREF, 1);
	int turns = 0;

	rig->guest.busy = true;
	rig->guest.busy_gref = DATA_GREF;
	rig_send(rig, 0, &request);
	while (!vbd_stats(rig->vbd).drains && turns++ < PATIENCE_MS)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(vbd_stats(rig->vbd).drains, 1);
}

static void let_go(struct rig *rig)
{
	rig->guest.busy = false;
	fake_xenio_drain(rig->xenios[0]);
}

/* ---- indices ---- */

/*
 * Back behind what was taken, but not behind what was answered: no more requests than
 * a ring holds, and yet fewer than none.
 */
static void index_moves_back_behind_what_was_taken(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	uint64_t passes;

	hold_a_read(rig);
	turn_often(rig, 5);
	*head_word(rig, 0, REQ_PROD) = 0;
	fake_kick(rig->kick_fds[0]);
	turn_often(rig, 5);
	rig->guest.unmasks = 0;
	passes = vbd_stats(rig->vbd).passes;
	fake_kick(rig->kick_fds[0]);
	rig_quiet_turns(rig, 20);
	/* It is halted: no events, and no passes but the one for this one. */
	assert_int_equal(rig->guest.unmasks, 0);
	assert_in_range(vbd_stats(rig->vbd).passes - passes, 0, 1);
	/* What is in flight ends, nothing begins. */
	let_go(rig);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	*head_word(rig, 0, REQ_PROD) = 2;
	fake_kick(rig->kick_fds[0]);
	rig_quiet_turns(rig, 20);
	assert_int_equal(vbd_stats(rig->vbd).requests, 1);
	/* A ring made anew is a good one. */
	rig_reconnect(rig);
	assert_alive(rig);
}

/* As far as it was read, in a pass; what comes with it later counts later. */
static void refill_when_notified(struct fake_guest *guest, enum fake_call call)
{
	if (call == FAKE_SEND)
		fill_ring(guest->after_context, 0);
}

static void index_moves_on_during_a_pass(void **state)
{
	struct rig *rig = *state;
	uint64_t taken;
	int i;

	rig->guest.after = refill_when_notified;
	rig->guest.after_context = rig;
	fill_ring(rig, 0);
	/* Of requests that are refused no more are taken at once: vbd/patience.h. */
	for (i = 0; i < 3; i++) {
		struct front_response response;

		taken = vbd_stats(rig->vbd).requests;
		assert_int_equal(loop_once(&rig->loop, 0), 0);
		assert_in_range(vbd_stats(rig->vbd).requests - taken, 0, 32);
		while (front_response(rig_front(rig), &response))
			assert_int_equal(response.status, BLKIF_EOPNOTSUPP);
		fill_ring(rig, 0);
	}
	rig->guest.after = NULL;
	assert_in_range(vbd_stats(rig->vbd).requests, 2 * 32, 4 * 32);
}

/* One queue that is never idle; another one of the same worker gets its turns. */
static void an_endless_ring_leaves_others_their_turns(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = unknown(7);
	struct front_response response;
	int round, turns;

	rig->nr_queues = 2;
	rig_reconnect(rig);
	for (round = 0; round < 50; round++) {
		rig_send(rig, 1, &request);
		for (turns = 0; !front_response(&rig->fronts[1], &response); turns++) {
			while (front_response(&rig->fronts[0], &response))
				;
			fill_ring(rig, 0);
			assert_in_range(turns, 0, 2);
			assert_int_equal(loop_once(&rig->loop, 0), 0);
		}
		assert_int_equal(response.id, 7);
	}
	assert_in_range(vbd_queue_stats(rig->vbd, 0).requests, 3 * 32, 200 * 32);
}

static void our_own_index_overwritten(void **state)
{
	static const uint32_t values[] = { 0, 1, 5, 0x7fffffff, UINT32_MAX };
	struct rig *rig = *state;
	unsigned int i;

	for (i = 0; i < 40; i++) {
		/* Restored by the next response, which comes where it should. */
		*head_word(rig, 0, RSP_PROD) = values[i % ARRAY_SIZE(values)];
		rig_front(rig)->rsp_cons = *head_word(rig, 0, RSP_PROD);
		rig_send(rig, 0, &(struct blkif_request){ .op = 77, .id = i });
		while (vbd_stats(rig->vbd).responses != i + 1u)
			assert_int_equal(loop_once(&rig->loop, 1), 0);
		assert_int_equal(*head_word(rig, 0, RSP_PROD), i + 1);
		rig_front(rig)->rsp_cons = i + 1;
	}
	assert_alive(rig);
}

static void event_indices_of_any_value(void **state)
{
	static const uint32_t values[] = {
		0, 1, 31, 32, 33, 1000, 0x7fffffff, 0x80000000, UINT32_MAX,
	};
	struct rig *rig = *state;
	struct front_response response;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		for (k = 0; k < ARRAY_SIZE(values); k++) {
			struct blkif_request request = unknown(i);

			front_request(rig_front(rig), &request);
			*head_word(rig, 0, RSP_EVENT) = values[i];
			*head_word(rig, 0, REQ_EVENT) = values[k];
			*head_word(rig, 0, REQ_PROD) = rig_front(rig)->req_prod;
			fake_kick(rig->kick_fds[0]);
			turn_often(rig, 5);
			assert_true(front_response(rig_front(rig), &response));
			assert_int_equal(response.status, BLKIF_EOPNOTSUPP);
		}
	}
	/* One notification for each answer at most. */
	assert_in_range(rig->guest.notifies, 0, ARRAY_SIZE(values) * ARRAY_SIZE(values));
	assert_alive(rig);
}

/* Nobody reads the responses; there is never more than a ring of them. */
static void responses_that_nobody_reads(void **state)
{
	struct rig *rig = *state;
	unsigned int round, i;

	for (round = 0; round < 50; round++) {
		for (i = 0; i < 32; i++) {
			struct blkif_request request =
				pages(BLKIF_READ, i, 8 * i, DATA_GREF + i, 1);

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		while (vbd_stats(rig->vbd).responses != 32ull * (round + 1))
			assert_int_equal(loop_once(&rig->loop, 1), 0);
		assert_int_equal(vbd_stats(rig->vbd).outstanding, 0);
		assert_int_equal(fake_guest_mapped(&rig->guest), 1);
	}
	rig_front(rig)->rsp_cons = 50 * 32;
	assert_alive(rig);
}

/* Two backends of one ring: the guest's own confusion, and nobody else's. */
static void one_ring_for_two_devices(void **state)
{
	struct rig *rig = *state;
	struct vbd_config config = {
		.domid = DOMID, .devid = 2, .nr_pages = 1, .nr_queues = 1, .way = DATA_AUTO,
		.copy_max = DATA_COPY_MAX_DEFAULT, .queues[0].grefs = { RING_GREF },
	};
	struct xenio *xenio = rig->xenios[0];
	struct vbd *first = rig->vbd;
	int kick_fd = rig->kick_fds[0];
	unsigned int round, i;

	rig->kick_fds[0] = rig->kick_fds[1];
	assert_int_equal(rig_create(rig, &config, &rig->vbd), 0);
	rig->kick_fds[0] = kick_fd;
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 32; i++) {
			struct blkif_request request = pages(BLKIF_READ, i, 8 * i, DATA_GREF, 3);

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		fake_kick(rig->kick_fds[1]);
		turn_often(rig, 10);
	}
	rig_close_begin(rig);
	while (!rig->closed)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	rig->vbd = first;
	rig->xenios[0] = xenio;
	rig->closed = false;
	rig_reconnect(rig);
	assert_alive(rig);
	assert_untouched(rig);
}

/* Data is read into the ring itself: the indices are then what the image has there. */
static void the_ring_is_the_target_of_a_read(void **state)
{
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY, DATA_PERSISTENT };
	struct rig *rig = *state;
	unsigned int w, i;

	for (w = 0; w < ARRAY_SIZE(ways); w++) {
		for (i = 0; i < 20; i++) {
			struct blkif_request request = pages(BLKIF_READ, i, 100 * i, RING_GREF, 1);

			rig->way = ways[w];
			rig_reconnect(rig);
			front_request(rig_front(rig), &request);
			rig_send(rig, 0, &request);
			turn_often(rig, 10);
		}
		rig_reconnect(rig);
		assert_alive(rig);
	}
	assert_untouched(rig);
}

/* ---- an entry that changes while it is looked at ---- */

static void change_entry(struct fake_guest *guest, enum fake_call call)
{
	if (call == FAKE_COPY)
		memset((uint8_t *)fake_guest_page(guest, RING_GREF) + 64, 0xff, 2000);
}

/* Once it was taken, nothing of it in the ring matters any more. */
static void an_entry_changed_after_it_was_taken(void **state)
{
	struct rig *rig = *state;
	struct blkif_segment segments[20];
	struct blkif_request request = {
		.op = BLKIF_READ, .id = 42, .sector = 160, .nr_segments = 20, .indirect = true,
		.pages = { DATA_GREF + 100 },
	};
	unsigned int i;

	for (i = 0; i < 20; i++)
		segments[i] = (struct blkif_segment){ DATA_GREF + i, 0, 7 };
	front_segments(rig_front(rig), DATA_GREF + 100, segments, 20);
	rig->guest.after = change_entry;
	/* The ring is overwritten when the list is fetched, which is after the request. */
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->guest.after = NULL;
	for (i = 0; i < 20; i++)
		assert_page(rig, DATA_GREF + i, 160 + 8 * i);
	rig_reconnect(rig);
	assert_untouched(rig);
}

struct flicker {
	struct rig *rig;
	pthread_t thread;
	atomic_bool stop;
};

/* Between a read and a write, and a count that is beyond all bounds. */
__attribute__((no_sanitize("thread")))
static void *flicker(void *context)
{
	struct flicker *flicker = context;
	volatile uint8_t *slots = (uint8_t *)fake_guest_page(&flicker->rig->guest, RING_GREF) + 64;
	unsigned int n, i;

	for (n = 0; !atomic_load(&flicker->stop); n++) {
		for (i = 0; i < 32; i++) {
			slots[i * 112] = n % 2 ? BLKIF_READ : BLKIF_WRITE;
			slots[i * 112 + 1] = n % 16 ? 1 : 255;
		}
	}
	return NULL;
}

/*
 * Whatever was copied is what is checked and done. Of a disk that is read-only, a read
 * that is one until it was checked would be a write.
 */
static void an_entry_that_flickers(void **state)
{
	struct rig *rig = *state;
	struct flicker flickering = { .rig = rig };
	struct front_response response;
	unsigned int round, i, seen[2][2] = { { 0 } };

	rig->readonly = true;
	rig_reconnect(rig);
	assert_int_equal(pthread_create(&flickering.thread, NULL, flicker, &flickering), 0);
	for (round = 0; round < 60; round++) {
		for (i = 0; i < 32; i++) {
			struct blkif_request request = pages(BLKIF_WRITE, i, 8192, DATA_GREF, 1);

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		for (i = 0; i < 32; i++) {
			assert_true(rig_turn(rig, 0, &response));
			if (response.op <= BLKIF_WRITE)
				seen[response.op][response.status != BLKIF_OKAY]++;
		}
	}
	atomic_store(&flickering.stop, true);
	pthread_join(flickering.thread, NULL);
	print_message("%u reads, %u writes that were refused\n", seen[0][0], seen[1][1]);
	assert_int_equal(vbd_stats(rig->vbd).writes, 0);
	assert_untouched(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT("2", index_moves_back_behind_what_was_taken),
		INPUT("4", index_moves_on_during_a_pass),
		INPUT("5 139", an_endless_ring_leaves_others_their_turns),
		INPUT("6", our_own_index_overwritten),
		INPUT("7 8 9", event_indices_of_any_value),
		INPUT("10", an_entry_changed_after_it_was_taken),
		INPUT("11", an_entry_that_flickers),
		INPUT("14 138", responses_that_nobody_reads),
		INPUT("15", one_ring_for_two_devices),
		INPUT("16", the_ring_is_the_target_of_a_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
