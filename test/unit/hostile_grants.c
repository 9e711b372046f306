// SPDX-License-Identifier: GPL-2.0-or-later
/* Hostile grants and lists of segments. Numbers: test/hostile.md. */
#include "fake/hostile.h"

/* ---- grants ---- */

/* Whatever Xen says about a grant, it is the request's error, and nobody else's. */
static void any_status_of_xen(void **state)
{
	static const int errors[] = {
		-EIO, -EPERM, -ENOENT, -EACCES, -EINVAL, -ESRCH, -EAGAIN, -EFAULT, -EBUSY, -ENXIO,
		-4095,
	};
	static const enum data_way ways[] = { DATA_MAP, DATA_COPY };
	struct rig *rig = *state;
	unsigned int w, i, op;

	for (w = 0; w < ARRAY_SIZE(ways); w++) {
		use_way(rig, ways[w]);
		for (i = 0; i < ARRAY_SIZE(errors); i++) {
			for (op = BLKIF_READ; op <= BLKIF_FLUSH; op++) {
				struct blkif_request request =
					pages((uint8_t)op, op, 64, DATA_GREF, 5);

				rig->guest.map_error = rig->guest.copy_error = errors[i];
				assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
				request = indirect(rig, BLKIF_READ, 8, DATA_GREF, 12);
				assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
				rig->guest.map_error = rig->guest.copy_error = 0;
				assert_alive(rig);
			}
		}
	}
	assert_untouched(rig);
}

/* Xen's own pages have the first numbers; to us they are grants like any other. */
static void grants_with_the_first_numbers(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;
	unsigned int w;

	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		rig->guest.grants[0] = FAKE_NOT_GRANTED;
		request = pages(BLKIF_READ, 1, 80, 0, 1);
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		request = (struct blkif_request){
			.op = BLKIF_WRITE, .nr_segments = 200, .indirect = true,
		};
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
		rig->guest.grants[0] = FAKE_WRITABLE;
		request = pages(BLKIF_READ, 1, 80, 0, 1);
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		assert_page(rig, 0, 80);
		/* A list that is somebody else's page is judged by what it says. */
		memset(fake_guest_page(&rig->guest, 0), 0xff, XENIO_SLOT_BYTES);
		request = (struct blkif_request){
			.op = BLKIF_WRITE, .nr_segments = 200, .indirect = true,
		};
		assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	}
	assert_untouched(rig);
}

static void revoke_after_batch(struct fake_guest *guest, enum fake_call call)
{
	if (call == FAKE_BATCH)
		guest->grants[DATA_GREF] = guest->grants[DATA_GREF + 10] = FAKE_NOT_GRANTED;
}

/* What is mapped stays so, and is unmapped as ever. */
static void grants_that_end_while_they_are_mapped(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 80, DATA_GREF, 11);

	rig->guest.after = revoke_after_batch;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->guest.after = NULL;
	assert_page(rig, DATA_GREF, 80);
	assert_page(rig, DATA_GREF + 10, 160);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
}

static void grants_that_end_before_they_are_copied_to(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 80, DATA_GREF, 3);
	struct hand hand;

	use_way(rig, DATA_COPY);
	hand_insert(&hand, rig);
	hand.revoke = DATA_GREF + 1;
	hand.nr_revoke = 1;
	fill(rig, DATA_GREF, 3, 0x66);
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
	assert_int_equal(((uint8_t *)fake_guest_page(&rig->guest, DATA_GREF + 1))[7], 0x66);
	assert_int_equal(vbd_stats(rig->vbd).read_errors, 1);
	/* The source of a write was copied before. */
	hand.revoke = DATA_GREF + 2;
	rig->guest.grants[DATA_GREF + 1] = FAKE_WRITABLE;
	request.op = BLKIF_WRITE;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	hand_remove(&hand);
	assert_alive(rig);
}

/* A frontend gives up, and its pages with it, while the store has them. */
static void grants_that_end_with_io_under_way(void **state)
{
	struct rig *rig = *state;
	struct hand hand;
	unsigned int w, i;

	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		hand_insert(&hand, rig);
		hand.hold = true;
		hand.revoke = DATA_GREF;
		hand.nr_revoke = 200;
		for (i = 0; i < 20; i++) {
			struct blkif_request request = pages(i % 2 ? BLKIF_READ : BLKIF_WRITE, i,
							     8 * i, DATA_GREF + i * 5, 2 + i % 8);

			front_request(rig_front(rig), &request);
		}
		front_push(rig_front(rig));
		turn_often(rig, 5);
		assert_int_equal(hand.nr, 20);
		rig_close_begin(rig);
		turn_often(rig, 20);
		assert_false(rig->closed);
		hand.hold = false;
		for (i = 0; i < hand.nr; i++)
			io_done(hand.ios[i], 0);
		rig_close_end(rig);
		hand_remove(&hand);
		rig_connect(rig);
		assert_alive(rig);
	}
	assert_untouched(rig);
}

static void scribble_after_copy(struct fake_guest *guest, enum fake_call call)
{
	if (call == FAKE_COPY)
		memset(fake_guest_page(guest, DATA_GREF), 0xee, XENIO_SLOT_BYTES);
}

/* What is copied is written, whatever the guest does meanwhile. */
static void data_rewritten_during_a_write(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 1);

	use_way(rig, DATA_COPY);
	fill(rig, DATA_GREF, 1, 0x12);
	rig->guest.after = scribble_after_copy;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->guest.after = NULL;
	assert_int_equal(((uint8_t *)fake_guest_page(&rig->guest, DATA_GREF))[0], 0xee);
	assert_int_equal(image_byte(rig, 80), 0x12);
	assert_int_equal(image_byte(rig, 87), 0x12);
}

/* It promised to keep them: what it gets is where its old page was. */
static void persistent_grants_that_end(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = pages(BLKIF_READ, 1, 80, DATA_GREF, 3);

	use_way(rig, DATA_PERSISTENT);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	rig->guest.grants[DATA_GREF + 1] = FAKE_NOT_GRANTED;
	fill(rig, DATA_GREF, 3, 0);
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF + 1, 88);
	/* Not beyond the end of the connection. */
	rig_disconnect(rig);
	rig_connect(rig);
	rig->guest.grants[DATA_GREF + 1] = FAKE_NOT_GRANTED;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
}

/* ---- lists of segments ---- */

static void change_list(struct fake_guest *guest, enum fake_call call)
{
	if (call == FAKE_COPY)
		memset(fake_guest_page(guest, LIST_GREF), 0xff, XENIO_SLOT_BYTES);
}

static void a_list_changed_after_it_was_read(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request;
	unsigned int w;

	for (w = 0; w < ARRAY_SIZE(all_ways); w++) {
		use_way(rig, all_ways[w]);
		request = indirect(rig, BLKIF_READ, 160, DATA_GREF, 100);
		rig->guest.after = change_list;
		assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
		rig->guest.after = NULL;
		assert_page(rig, DATA_GREF, 160);
		assert_page(rig, DATA_GREF + 99, 160 + 99 * 8);
	}
	assert_untouched(rig);
}

/* All eight places name one page, which is all that is looked at, or never was granted. */
static void lists_that_name_one_page(void **state)
{
	struct rig *rig = *state;
	struct blkif_request request = indirect(rig, BLKIF_READ, 160, DATA_GREF, 256);
	unsigned int i;

	for (i = 0; i < BLKIF_INDIRECT_PAGES; i++)
		request.pages[i] = LIST_GREF;
	assert_int_equal(rig_ask(rig, &request), BLKIF_OKAY);
	assert_page(rig, DATA_GREF + 255, 160 + 255 * 8);
	for (i = 0; i < BLKIF_INDIRECT_PAGES; i++)
		request.pages[i] = 0;
	rig->guest.grants[0] = FAKE_NOT_GRANTED;
	assert_int_equal(rig_ask(rig, &request), BLKIF_ERROR);
}

/* All pages for copies are in use when a list comes: it is read when they are free. */
static void a_list_waits_for_a_page(void **state)
{
	struct rig *rig = *state;
	struct front_response response;
	struct blkif_request request;
	struct hand hand;
	unsigned int i;

	use_way(rig, DATA_COPY);
	hand_insert(&hand, rig);
	hand.hold = true;
	for (i = 0; i < 2; i++) {
		request = indirect(rig, BLKIF_WRITE, 0, DATA_GREF, 256);
		front_request(rig_front(rig), &request);
	}
	front_push(rig_front(rig));
	turn_often(rig, 5);
	assert_int_equal(hand.nr, 2);
	assert_int_equal(hand.nr * 256, rig->xenios[0]->nr_pool);
	request = indirect(rig, BLKIF_READ, 80, DATA_GREF, 20);
	rig_send(rig, 0, &request);
	turn_often(rig, 5);
	assert_int_equal(vbd_stats(rig->vbd).requests, 3);
	assert_int_equal(hand.nr, 2);
	/* Both end at once, and no event comes after it. */
	hand.hold = false;
	io_done(hand.ios[0], 0);
	io_done(hand.ios[1], 0);
	for (i = 0; i < 3; i++) {
		assert_true(rig_turn(rig, 0, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
	}
	hand_remove(&hand);
	assert_page(rig, DATA_GREF + 19, 80 + 19 * 8);
	assert_untouched(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT("50 51 54 55 56 62 152", any_status_of_xen),
		INPUT("57 80", grants_with_the_first_numbers),
		INPUT("58", grants_that_end_while_they_are_mapped),
		INPUT("59", grants_that_end_before_they_are_copied_to),
		INPUT("60 132", grants_that_end_with_io_under_way),
		INPUT("65", data_rewritten_during_a_write),
		INPUT("70", persistent_grants_that_end),
		INPUT("78", a_list_changed_after_it_was_read),
		INPUT("79", lists_that_name_one_page),
		INPUT("83", a_list_waits_for_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
