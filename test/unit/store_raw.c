// SPDX-License-Identifier: GPL-2.0-or-later
/* A raw image in a file: reading, writing, flushing, and above all discarding. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake/submit.h"
#include "store/store.h"

#define MIB		(1u << 20)
#define IMAGE_BYTES	(200ull * MIB)	/* several steps of a discard; mostly a hole */

static char path[] = "store-raw.XXXXXX";
static int check_fd;			/* buffered view of the image */
static uint8_t *memory;
static struct loop loop;
static struct worker worker;
static struct image image;
static struct store store;

static int open_image(bool readonly)
{
	int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	char why[256] = "";
	int err = image_open(&image, fd, readonly, path, why, sizeof(why));

	if (err)
		print_message("%s\n", why);
	return err ? err : store_open(&store, &image);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(check_fd, 0), 0);
	assert_int_equal(ftruncate(check_fd, IMAGE_BYTES), 0);
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(worker_init(&worker, &loop, 16), 0);
	return open_image(false);
}

static int teardown(void **state)
{
	(void)state;
	store_close(&store);
	image_close(&image);
	worker_uninit(&worker);
	loop_uninit(&loop);
	return 0;
}

static int run(enum io_op op, uint64_t offset, uint64_t bytes)
{
	return submit_io(&worker, store.top, op, offset,
			 op == IO_READ || op == IO_WRITE ? memory : NULL, bytes);
}

static void fill(uint64_t offset, uint64_t bytes, int value)
{
	memset(memory, value, bytes);
	assert_int_equal(run(IO_WRITE, offset, bytes), 0);
}

static void assert_all(uint64_t offset, uint64_t bytes, int value)
{
	uint64_t i;

	memset(memory, ~value, bytes);
	assert_int_equal(run(IO_READ, offset, bytes), 0);
	for (i = 0; i < bytes; i++)
		assert_int_equal(memory[i], value);
}

static void bytes_come_back(void **state)
{
	(void)state;
	assert_string_equal(store.top->ops->name, image.block_bytes > 512 ? "rmw" : "raw");
	fill(5 * MIB, MIB, 0x5a);
	assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	assert_all(5 * MIB, MIB, 0x5a);
	assert_all(6 * MIB, 4096, 0);
}

static void end_of_file_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(check_fd, 8192), 0);
	assert_int_equal(run(IO_READ, 0, 8192), 0);
	assert_int_equal(run(IO_READ, 4096, 8192), -EIO);
	assert_int_equal(run(IO_READ, 3 * MIB, 4096), -EIO);
}

static void flush_tells_its_error(void **state)
{
	int good = image.fd;

	(void)state;
	image.fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(run(IO_FLUSH, 0, 0), -EINVAL);
	close(image.fd);
	image.fd = good;
	/* A later one could not tell what was lost. */
	assert_int_equal(run(IO_FLUSH, 0, 0), -EINVAL);
}

static void discard_frees_whole_units_only(void **state)
{
	uint32_t unit = image.discard_granularity;
	struct stat before, after;

	(void)state;
	assert_true(image.can_discard);
	assert_int_equal(image.discard_alignment, 0);
	fill(0, 16 * unit, 0x11);
	assert_int_equal(run(IO_FLUSH, 0, 0), 0);
	assert_int_equal(fstat(check_fd, &before), 0);
	/* From within unit 2 to within unit 9. */
	assert_int_equal(run(IO_DISCARD, 2 * unit + 512, 7 * unit), 0);
	assert_all(0, 3 * unit, 0x11);
	assert_all(3 * unit, 6 * unit, 0);
	assert_all(9 * unit, 7 * unit, 0x11);
	assert_int_equal(fstat(check_fd, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(before.st_blocks - after.st_blocks, 6 * unit / 512);
}

static void discard_of_less_than_a_unit_does_nothing(void **state)
{
	uint32_t unit = image.discard_granularity;

	(void)state;
	if (unit <= 512)
		skip();
	fill(0, 2 * unit, 0x22);
	assert_int_equal(run(IO_DISCARD, 0, 0), 0);
	assert_int_equal(run(IO_DISCARD, 512, unit - 512), 0);
	assert_int_equal(run(IO_DISCARD, unit / 2, unit), 0);
	assert_all(0, 2 * unit, 0x22);
}

static void long_discard_holds_up_nobody(void **state)
{
	struct submit long_one, other;

	(void)state;
	fill(0, MIB, 0x33);
	fill(100 * MIB, MIB, 0x33);
	fill(199 * MIB, MIB, 0x33);
	submit_start(&long_one, &worker, store.top, IO_DISCARD, 4096, NULL,
		     IMAGE_BYTES - 2 * 4096);
	/* Behind it, but a step is enough to be served. */
	submit_start(&other, &worker, store.top, IO_DISCARD, 0, NULL, 4096);
	assert_int_equal(run(IO_WRITE, 0, 0), 0);
	assert_int_equal(submit_wait(&other), 0);
	assert_int_equal(submit_wait(&long_one), 0);
	assert_all(0, MIB, 0);
	assert_all(100 * MIB, MIB, 0);
	assert_all(199 * MIB, MIB - 4096, 0);
	assert_all(200 * MIB - 4096, 4096, 0x33);
}

static void many_discards_at_once(void **state)
{
	struct submit asked[64];
	unsigned int i;

	(void)state;
	fill(0, MIB, 0x44);
	for (i = 0; i < 64; i++)
		submit_start(&asked[i], &worker, store.top, IO_DISCARD, i * 16384, NULL, 8192);
	for (i = 0; i < 64; i++)
		assert_int_equal(submit_wait(&asked[i]), 0);
	for (i = 0; i < 64; i++) {
		assert_all(i * 16384, 8192, 0);
		assert_all(i * 16384 + 8192, 8192, 0x44);
	}
}

static void what_cannot_be_is_not_supported(void **state)
{
	struct submit secure;

	(void)state;
	assert_false(image.discard_secure);
	submit_start(&secure, &worker, store.top, IO_FLUSH, 0, NULL, 0);
	assert_int_equal(submit_wait(&secure), 0);
	fill(0, 4096, 0x55);
	secure.error = SUBMIT_UNENDED;
	secure.io.op = IO_DISCARD;
	secure.io.flags = IO_SECURE;
	secure.io.bytes = 4096;
	layer_submit(store.top, &secure.io);
	assert_int_equal(submit_wait(&secure), -EOPNOTSUPP);
	assert_all(0, 4096, 0x55);

	store_close(&store);
	image_close(&image);
	assert_int_equal(open_image(true), 0);
	assert_false(image.can_discard);
	assert_int_equal(run(IO_DISCARD, 0, 4096), -EOPNOTSUPP);
	assert_all(0, 4096, 0x55);
}

static void sectors_are_512_or_4096(void **state)
{
	static const uint32_t bad[] = { 0, 1, 511, 1024, 2048, 8192, UINT32_MAX };
	char why[256];
	unsigned int i;

	(void)state;
	assert_int_equal(image.sector_bytes, 512);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		assert_int_equal(image_set_sector_bytes(&image, bad[i], path, why, sizeof(why)),
				 -EINVAL);
		assert_non_null(strstr(why, "not supported"));
	}
	assert_int_equal(image.sector_bytes, 512);
	assert_int_equal(image_set_sector_bytes(&image, 4096, path, why, sizeof(why)), 0);
	assert_int_equal(image.sector_bytes, 4096);
	assert_in_range(image.physical_bytes, 4096, UINT32_MAX);
	image.sectors--;
	assert_int_equal(image_set_sector_bytes(&image, 4096, path, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a multiple of 4096"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_back),
		TEST(end_of_file_is_an_error),
		TEST(flush_tells_its_error),
		TEST(discard_frees_whole_units_only),
		TEST(discard_of_less_than_a_unit_does_nothing),
		TEST(long_discard_holds_up_nobody),
		TEST(many_discards_at_once),
		TEST(what_cannot_be_is_not_supported),
		TEST(sectors_are_512_or_4096),
	};
	int fd, status;

	memory = aligned_alloc(4096, MIB);
	check_fd = mkstemp(path);
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		unlink(path);
		puts("no O_DIRECT on the file system of the build folder");
		return 77;
	}
	close(fd);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	free(memory);
	return status;
}
