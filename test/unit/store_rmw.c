// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that are not aligned to the store's blocks, step by step. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fake/bottom.h"
#include "store/rmw.h"

#define BLOCK		4096u
#define SECTOR		512u
#define DISK_BYTES	(4u << 20)
#define UNENDED		1		/* no -errno */
#define VECTORS		64u

struct rig {
	struct loop loop;
	struct worker worker;
	struct bottom bottom;
	struct layer *top;
};

struct asked {
	struct io io;
	struct iovec iov[VECTORS];
	uint8_t *memory;
	int error;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint32_t i;

	*state = rig;
	assert_int_equal(loop_init(&rig->loop), 0);
	assert_int_equal(worker_init(&rig->worker, &rig->loop, 8), 0);
	bottom_init(&rig->bottom, DISK_BYTES, BLOCK);
	bottom_add_worker(&rig->bottom, &rig->worker);
	rig->bottom.manual = true;
	for (i = 0; i < DISK_BYTES; i++)
		rig->bottom.data[i] = (uint8_t)(i / SECTOR * 3 + i);
	assert_int_equal(rmw_create(&rig->bottom.layer, BLOCK, &rig->top), 0);
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	rig->top->ops->destroy(rig->top);
	bottom_uninit(&rig->bottom);
	worker_uninit(&rig->worker);
	loop_uninit(&rig->loop);
	free(rig);
	return 0;
}

static void ended(struct io *io, int error)
{
	struct asked *asked = (struct asked *)((char *)io - offsetof(struct asked, io));

	assert_int_equal(asked->error, UNENDED);
	asked->error = error;
}

/* One vector of aligned memory, full of @fill. */
static void ask(struct rig *rig, struct asked *asked, enum io_op op, uint64_t offset,
		uint64_t bytes, int fill)
{
	*asked = (struct asked){ .error = UNENDED };
	asked->memory = aligned_alloc(BLOCK, (bytes + BLOCK - 1) / BLOCK * BLOCK + BLOCK);
	memset(asked->memory, fill, bytes);
	asked->iov[0] = (struct iovec){ asked->memory, bytes };
	asked->io = (struct io){
		.op = op, .offset = offset, .bytes = bytes, .iov = asked->iov,
		.nr_iov = op == IO_READ || op == IO_WRITE, .worker = &rig->worker,
		.done = ended,
	};
	layer_submit(rig->top, &asked->io);
}

/* Notes are run; nothing ends by itself. */
static void turn(struct rig *rig)
{
	int i;

	for (i = 0; i < 4; i++)
		assert_int_equal(loop_once(&rig->loop, 0), 0);
}

static void end_all(struct rig *rig)
{
	int turns;

	for (turns = 0; turns < 100000; turns++) {
		turn(rig);
		if (!bottom_pending(&rig->bottom))
			return;
		bottom_end(&rig->bottom, 0);
	}
	fail_msg("it goes on for ever");
}

static void assert_ended(struct rig *rig, struct asked *asked, int error)
{
	assert_int_equal(asked->error, error);
	assert_int_equal(atomic_load(&rig->bottom.refused), 0);
	free(asked->memory);
}

static void assert_bytes(const struct rig *rig, uint64_t offset, uint64_t bytes, int value)
{
	uint64_t i;

	for (i = 0; i < bytes; i++)
		assert_int_equal(rig->bottom.data[offset + i], value);
}

static void aligned_io_passes_through(void **state)
{
	struct rig *rig = *state;
	struct asked read, write, flush, discard;

	ask(rig, &read, IO_READ, BLOCK, 2 * BLOCK, 0);
	ask(rig, &write, IO_WRITE, BLOCK, 2 * BLOCK, 7);
	ask(rig, &flush, IO_FLUSH, 0, 0, 0);
	ask(rig, &discard, IO_DISCARD, 3 * SECTOR, 9 * SECTOR, 0);
	assert_int_equal(bottom_pending(&rig->bottom), 4);
	assert_ptr_equal(bottom_peek(&rig->bottom, 0), &read.io);
	assert_ptr_equal(bottom_peek(&rig->bottom, 1), &write.io);
	assert_ptr_equal(bottom_peek(&rig->bottom, 2), &flush.io);
	assert_ptr_equal(bottom_peek(&rig->bottom, 3), &discard.io);
	end_all(rig);
	assert_ended(rig, &read, 0);
	assert_ended(rig, &write, 0);
	assert_ended(rig, &flush, 0);
	assert_ended(rig, &discard, 0);
	assert_bytes(rig, BLOCK, 2 * BLOCK, 7);
}

static void odd_memory_is_no_trouble(void **state)
{
	struct rig *rig = *state;
	struct asked write;

	/* The disk's part is aligned; the guest's pages hold it in halves. */
	ask(rig, &write, IO_FLUSH, 0, 0, 0);
	end_all(rig);
	free(write.memory);
	write.memory = aligned_alloc(BLOCK, 3 * BLOCK);
	memset(write.memory, 9, 3 * BLOCK);
	write.error = UNENDED;
	write.iov[0] = (struct iovec){ write.memory + BLOCK / 2, BLOCK / 2 };
	write.iov[1] = (struct iovec){ write.memory + BLOCK, BLOCK / 2 };
	write.io.op = IO_WRITE;
	write.io.offset = 5 * BLOCK;
	write.io.bytes = BLOCK;
	write.io.nr_iov = 2;
	layer_submit(rig->top, &write.io);
	end_all(rig);
	/* All of the block is new: nothing had to be read. */
	assert_int_equal(atomic_load(&rig->bottom.ops[IO_READ]), 0);
	assert_int_equal(atomic_load(&rig->bottom.ops[IO_WRITE]), 1);
	assert_ended(rig, &write, 0);
	assert_bytes(rig, 5 * BLOCK, BLOCK, 9);
}

static void two_writes_into_a_block_take_turns(void **state)
{
	struct rig *rig = *state;
	struct asked one, two, three;

	ask(rig, &one, IO_WRITE, 0, SECTOR, 1);
	ask(rig, &two, IO_WRITE, SECTOR, SECTOR, 2);
	/* Another block is nobody's business. */
	ask(rig, &three, IO_WRITE, BLOCK, SECTOR, 3);
	turn(rig);
	assert_int_equal(bottom_pending(&rig->bottom), 2);
	assert_int_equal(bottom_peek(&rig->bottom, 0)->offset, 0);
	assert_int_equal(bottom_peek(&rig->bottom, 1)->offset, BLOCK);
	end_all(rig);
	assert_ended(rig, &one, 0);
	assert_ended(rig, &two, 0);
	assert_ended(rig, &three, 0);
	assert_bytes(rig, 0, SECTOR, 1);
	assert_bytes(rig, SECTOR, SECTOR, 2);
	assert_bytes(rig, BLOCK, SECTOR, 3);
}

static void part_waits_for_whole(void **state)
{
	struct rig *rig = *state;
	struct asked whole, part;

	ask(rig, &whole, IO_WRITE, 0, 2 * BLOCK, 1);
	ask(rig, &part, IO_WRITE, BLOCK + SECTOR, SECTOR, 2);
	turn(rig);
	/* Its read would bring back what the other is about to replace. */
	assert_int_equal(bottom_pending(&rig->bottom), 1);
	end_all(rig);
	assert_ended(rig, &whole, 0);
	assert_ended(rig, &part, 0);
	assert_bytes(rig, 0, BLOCK + SECTOR, 1);
	assert_bytes(rig, BLOCK + SECTOR, SECTOR, 2);
	assert_bytes(rig, BLOCK + 2 * SECTOR, 6 * SECTOR, 1);
}

static void whole_waits_for_part(void **state)
{
	struct rig *rig = *state;
	struct asked part, whole, later;

	ask(rig, &part, IO_WRITE, SECTOR, SECTOR, 2);
	ask(rig, &whole, IO_WRITE, 0, BLOCK, 1);
	ask(rig, &later, IO_WRITE, 0, BLOCK, 3);
	turn(rig);
	assert_int_equal(bottom_pending(&rig->bottom), 1);
	bottom_end(&rig->bottom, 0);		/* the read of the part */
	turn(rig);
	assert_int_equal(bottom_pending(&rig->bottom), 1);
	bottom_end(&rig->bottom, 0);		/* its write */
	turn(rig);
	/* Those two know nothing of one another. */
	assert_int_equal(bottom_pending(&rig->bottom), 2);
	end_all(rig);
	assert_ended(rig, &part, 0);
	assert_ended(rig, &whole, 0);
	assert_ended(rig, &later, 0);
	assert_bytes(rig, 0, BLOCK, 3);
}

static void discard_waits_for_part(void **state)
{
	struct rig *rig = *state;
	struct asked part, discard;

	ask(rig, &part, IO_WRITE, SECTOR, SECTOR, 2);
	ask(rig, &discard, IO_DISCARD, 0, BLOCK, 0);
	turn(rig);
	assert_int_equal(bottom_pending(&rig->bottom), 1);
	assert_int_equal(bottom_peek(&rig->bottom, 0)->op, IO_READ);
	end_all(rig);
	assert_ended(rig, &part, 0);
	assert_ended(rig, &discard, 0);
}

static void order_of_arrival_is_kept(void **state)
{
	struct rig *rig = *state;
	struct asked asked[16];
	unsigned int i;

	/* All of the same sector: the last one must win. */
	for (i = 0; i < 16; i++)
		ask(rig, &asked[i], IO_WRITE, 3 * SECTOR, SECTOR, (int)i + 1);
	end_all(rig);
	for (i = 0; i < 16; i++)
		assert_ended(rig, &asked[i], 0);
	assert_bytes(rig, 3 * SECTOR, SECTOR, 16);
}

static void errors_end_it_and_free_the_range(void **state)
{
	struct rig *rig = *state;
	struct asked first, second, third;

	ask(rig, &first, IO_WRITE, SECTOR, SECTOR, 1);
	ask(rig, &second, IO_WRITE, 0, BLOCK, 2);
	ask(rig, &third, IO_READ, SECTOR, SECTOR, 0);
	rig->bottom.error = -EIO;
	bottom_end(&rig->bottom, 1);		/* the third's */
	bottom_end(&rig->bottom, 0);		/* the first's read */
	rig->bottom.error = 0;
	end_all(rig);
	assert_ended(rig, &first, -EIO);
	assert_ended(rig, &second, 0);
	assert_ended(rig, &third, -EIO);
	assert_bytes(rig, 0, BLOCK, 2);
	/* The write part, too. */
	ask(rig, &first, IO_WRITE, SECTOR, SECTOR, 1);
	bottom_end(&rig->bottom, 0);
	rig->bottom.error = -ENOSPC;
	bottom_end(&rig->bottom, 0);
	rig->bottom.error = 0;
	assert_ended(rig, &first, -ENOSPC);
	ask(rig, &second, IO_WRITE, SECTOR, SECTOR, 3);
	end_all(rig);
	assert_ended(rig, &second, 0);
	assert_bytes(rig, SECTOR, SECTOR, 3);
}

static void buffers_are_few(void **state)
{
	struct rig *rig = *state;
	struct asked asked[200];
	unsigned int i;

	for (i = 0; i < 200; i++)
		ask(rig, &asked[i], i % 2 ? IO_READ : IO_WRITE, i * BLOCK + SECTOR, SECTOR,
		    (int)i);
	turn(rig);
	assert_int_equal(bottom_pending(&rig->bottom), 16);
	end_all(rig);
	for (i = 0; i < 200; i++) {
		if (i % 2)
			assert_memory_equal(asked[i].memory, rig->bottom.data + i * BLOCK + SECTOR,
					    SECTOR);
		else
			assert_bytes(rig, i * BLOCK + SECTOR, SECTOR, (int)i);
		assert_ended(rig, &asked[i], 0);
	}
}

/* Cut @bytes into vectors of whole sectors anywhere in @memory, with gaps. */
static void scatter(struct asked *asked, uint64_t bytes)
{
	uint8_t *memory = asked->memory;

	asked->io.nr_iov = 0;
	while (bytes) {
		uint64_t length = bytes;

		if (asked->io.nr_iov < VECTORS - 1 && (uint64_t)random() % 3)
			length = (1 + (uint64_t)random() % (bytes / SECTOR)) * SECTOR;
		memory += (uint64_t)random() % 2 * SECTOR;
		asked->iov[asked->io.nr_iov++] = (struct iovec){ memory, length };
		memory += length;
		bytes -= length;
	}
}

static void compare_or_model(const struct asked *asked, uint8_t *model)
{
	uint8_t *place = model + asked->io.offset;
	unsigned int i;

	for (i = 0; i < asked->io.nr_iov; i++) {
		const struct iovec *iov = &asked->iov[i];

		if (asked->io.op == IO_WRITE)
			memcpy(place, iov->iov_base, iov->iov_len);
		else
			assert_memory_equal(iov->iov_base, place, iov->iov_len);
		place += iov->iov_len;
	}
}

/* One at a time, of any size and place, up to some buffers long. */
static void random_io_matches_a_model(void **state)
{
	struct rig *rig = *state;
	uint8_t *model = malloc(DISK_BYTES);
	unsigned int seed = (unsigned int)time(NULL);
	int round;

	print_message("seed %u\n", seed);
	srandom(seed);
	memcpy(model, rig->bottom.data, DISK_BYTES);
	for (round = 0; round < 3000; round++) {
		uint64_t sectors = 1 + (uint64_t)random() % (round % 10 ? 40 : 600);
		uint64_t place = (uint64_t)random() % (DISK_BYTES / SECTOR - sectors + 1);
		struct asked asked = { .error = UNENDED };
		uint64_t i;

		asked.memory = aligned_alloc(BLOCK, (sectors + VECTORS + 8) * SECTOR / BLOCK *
					     BLOCK + BLOCK);
		for (i = 0; i < (sectors + VECTORS) * SECTOR; i += 8)
			*(uint32_t *)(asked.memory + i) = (uint32_t)random();
		asked.io = (struct io){
			.op = random() % 2 ? IO_READ : IO_WRITE, .offset = place * SECTOR,
			.bytes = sectors * SECTOR, .iov = asked.iov, .worker = &rig->worker,
			.done = ended,
		};
		scatter(&asked, asked.io.bytes);
		layer_submit(rig->top, &asked.io);
		end_all(rig);
		assert_int_equal(asked.error, 0);
		compare_or_model(&asked, model);
		free(asked.memory);
	}
	assert_int_equal(atomic_load(&rig->bottom.refused), 0);
	assert_memory_equal(model, rig->bottom.data, DISK_BYTES);
	free(model);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(aligned_io_passes_through),
		TEST(odd_memory_is_no_trouble),
		TEST(two_writes_into_a_block_take_turns),
		TEST(part_waits_for_whole),
		TEST(whole_waits_for_part),
		TEST(discard_waits_for_part),
		TEST(order_of_arrival_is_kept),
		TEST(errors_end_it_and_free_the_range),
		TEST(buffers_are_few),
		TEST(random_io_matches_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
