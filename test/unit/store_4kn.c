// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A real block device with blocks of 4096 bytes, made by the loop driver: the
 * whole store above it, with requests that know only sectors of 512.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake/submit.h"
#include "store/store.h"

#define BLOCK		4096u
#define SECTOR		512u
#define DEVICE_BYTES	(8u << 20)
#define BATCH		16u
#define SECTORS_MAX	24u		/* of one request */

static char device[64];
static struct loop loop;
static struct worker worker;
static struct image image;
static struct store store;

/* ---- a device that can erase: this one, but for the calls that ask it to ---- */

static struct {
	bool there;
	int error;			/* errno of the next one */
	unsigned int erased, discarded;
	uint64_t range[2];
} eraser;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

/* As blk_ioctl_secure_erase() has it. */
static int erase(const uint64_t range[2])
{
	int err = (range[0] | range[1]) % SECTOR ? EINVAL : eraser.error;

	errno = err;
	if (err)
		return -1;
	eraser.erased++;
	memcpy(eraser.range, range, sizeof(eraser.range));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	if (request == BLKSECDISCARD && eraser.there)
		return erase(argument);
	if (request == BLKDISCARD)
		eraser.discarded++;
	return __real_ioctl(fd, request, argument);
}

/* Goes away by itself when the last descriptor is closed. A descriptor, or -errno. */
static int make_device(int backing)
{
	struct loop_config config = {
		.fd = (uint32_t)backing, .block_size = BLOCK,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int tries, fd = -1, err = -errno;

	for (tries = 0; tries < 20 && control >= 0; tries++) {
		snprintf(device, sizeof(device), "/dev/loop%d",
			 ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(device, O_RDWR | O_CLOEXEC);
		if (fd < 0 || !ioctl(fd, LOOP_CONFIGURE, &config))
			break;
		/* Somebody else was faster. */
		err = -errno;
		close(fd);
		fd = -1;
		if (err != -EBUSY)
			break;
	}
	if (control >= 0)
		close(control);
	return fd < 0 ? err : fd;
}

static int setup(void **state)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	char why[256] = "";
	int err;

	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(worker_init(&worker, &loop, 64), 0);
	err = image_open(&image, fd, false, device, why, sizeof(why));
	print_message("%s", why);
	return err;
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

static void geometry_is_the_devices(void **state)
{
	(void)state;
	assert_int_equal(image.sectors, DEVICE_BYTES / SECTOR);
	assert_int_equal(image.sector_bytes, SECTOR);
	assert_int_equal(image.block_bytes, BLOCK);
	assert_int_equal(image.physical_bytes, BLOCK);
	assert_true(image.can_discard);
	assert_false(image.discard_secure);
	assert_int_equal(image.discard_granularity % BLOCK, 0);
	assert_int_equal(store_open(&store, &image), 0);
	assert_string_equal(store.top->ops->name, "rmw");
}

/* The guest's flag reaches the device, which is the only one who can. */
static int erase_sectors(uint64_t first, uint64_t nr)
{
	struct submit submit;

	submit_start(&submit, &worker, store.top, IO_FLUSH, 0, NULL, 0);
	assert_int_equal(submit_wait(&submit), 0);
	submit.error = SUBMIT_UNENDED;
	submit.io.op = IO_DISCARD;
	submit.io.flags = IO_SECURE;
	submit.io.offset = first * SECTOR;
	submit.io.bytes = nr * SECTOR;
	layer_submit(store.top, &submit.io);
	return submit_wait(&submit);
}

static void a_device_erases(void **state)
{
	eraser.there = true;
	teardown(state);
	assert_int_equal(setup(state), 0);
	assert_true(image.can_discard);
	assert_true(image.discard_secure);
	assert_int_equal(store_open(&store, &image), 0);
	assert_int_equal(erase_sectors(16, 64), 0);
	assert_int_equal(eraser.erased, 1);
	assert_int_equal(eraser.range[0], 16 * SECTOR);
	assert_int_equal(eraser.range[1], 64 * SECTOR);
	/* A part of a block would be left as it was. */
	assert_int_equal(erase_sectors(16, 63), -EINVAL);
	assert_int_equal(erase_sectors(15, 64), -EINVAL);
	eraser.error = EIO;
	assert_int_equal(erase_sectors(16, 64), -EIO);
	eraser.error = 0;
	assert_int_equal(eraser.erased, 1);
	/* Nor is it done by what leaves traces, or the other way round. */
	assert_int_equal(eraser.discarded, 0);
	assert_int_equal(submit_io(&worker, store.top, IO_DISCARD, 0, NULL, 8 * BLOCK), 0);
	assert_int_equal(eraser.discarded, 1);
	assert_int_equal(eraser.erased, 1);
	eraser.there = false;
}

static void large_sectors_need_no_layer(void **state)
{
	uint8_t *memory = aligned_alloc(BLOCK, BLOCK);
	char why[256];

	(void)state;
	assert_int_equal(image_set_sector_bytes(&image, BLOCK, device, why, sizeof(why)), 0);
	assert_int_equal(store_open(&store, &image), 0);
	assert_string_equal(store.top->ops->name, "raw");
	memset(memory, 1, BLOCK);
	assert_int_equal(submit_io(&worker, store.top, IO_WRITE, BLOCK, memory, BLOCK), 0);
	/* The device itself refuses less: the other tests are not for nothing. */
	assert_int_equal(submit_io(&worker, store.top, IO_WRITE, BLOCK, memory, SECTOR), -EINVAL);
	free(memory);
}

struct step {
	struct submit submit;
	uint64_t offset, bytes;
	bool write;
	uint8_t *memory;
};

/* From sector @place on. */
static void start_step(struct step *step, uint64_t place, uint8_t *model)
{
	uint64_t i;

	step->offset = place * SECTOR;
	step->bytes = (1 + (uint64_t)random() % SECTORS_MAX) * SECTOR;
	step->write = random() % 2;
	step->memory = aligned_alloc(BLOCK, SECTORS_MAX * SECTOR);
	for (i = 0; i < step->bytes; i++)
		step->memory[i] = (uint8_t)random();
	if (step->write)
		memcpy(model + step->offset, step->memory, step->bytes);
	submit_start(&step->submit, &worker, store.top, step->write ? IO_WRITE : IO_READ,
		     step->offset, step->memory, step->bytes);
}

static void end_step(struct step *step, const uint8_t *model)
{
	assert_int_equal(submit_wait(&step->submit), 0);
	if (!step->write)
		assert_memory_equal(step->memory, model + step->offset, step->bytes);
	free(step->memory);
}

/* Those of one batch do not overlap, but meet in blocks. */
static void run_batch(uint8_t *model)
{
	uint64_t place = (uint64_t)random() % (DEVICE_BYTES / SECTOR - BATCH * (SECTORS_MAX + 2));
	struct step steps[BATCH];
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		start_step(&steps[i], place, model);
		place += steps[i].bytes / SECTOR + (uint64_t)random() % 3;
	}
	for (i = 0; i < BATCH; i++)
		end_step(&steps[i], model);
}

static void random_sectors_match_a_model(void **state)
{
	uint8_t *model = aligned_alloc(BLOCK, DEVICE_BYTES);
	uint8_t *seen = aligned_alloc(BLOCK, DEVICE_BYTES);
	unsigned int seed = (unsigned int)time(NULL);
	unsigned int round;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	assert_int_equal(store_open(&store, &image), 0);
	memset(model, 0x77, DEVICE_BYTES);
	assert_int_equal(submit_io(&worker, store.top, IO_WRITE, 0, model, DEVICE_BYTES), 0);
	for (round = 0; round < 25; round++)
		run_batch(model);
	assert_int_equal(submit_io(&worker, store.top, IO_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(submit_io(&worker, store.top, IO_READ, 0, seen, DEVICE_BYTES), 0);
	assert_memory_equal(seen, model, DEVICE_BYTES);
	free(model);
	free(seen);
}

static void discard_stays_within(void **state)
{
	uint8_t *memory = aligned_alloc(BLOCK, 8 * BLOCK);
	unsigned int i;

	(void)state;
	assert_int_equal(store_open(&store, &image), 0);
	memset(memory, 0x66, 8 * BLOCK);
	assert_int_equal(submit_io(&worker, store.top, IO_WRITE, 0, memory, 8 * BLOCK), 0);
	assert_int_equal(submit_io(&worker, store.top, IO_DISCARD, BLOCK + SECTOR, NULL,
				   4 * BLOCK), 0);
	assert_int_equal(submit_io(&worker, store.top, IO_READ, 0, memory, 8 * BLOCK), 0);
	for (i = 0; i < 8; i++)
		assert_int_equal(memory[i * BLOCK], i >= 2 && i < 5 ? 0 : 0x66);
	assert_int_equal(memory[2 * BLOCK - 1], 0x66);
	assert_int_equal(memory[5 * BLOCK - 1], 0);
	free(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(geometry_is_the_devices),
		TEST(a_device_erases),
		TEST(large_sectors_need_no_layer),
		TEST(random_sectors_match_a_model),
		TEST(discard_stays_within),
	};
	/* In memory, so that it does not wait for a busy disk. */
	int backing = memfd_create("store-4kn", MFD_CLOEXEC);
	int fd = -1, status;

	if (backing >= 0 && !ftruncate(backing, DEVICE_BYTES))
		fd = make_device(backing);
	if (fd < 0) {
		printf("no loop device with blocks of 4096 bytes, which needs root: %s\n",
		       strerror(-fd));
		return 77;
	}
	status = cmocka_run_group_tests(tests, NULL, NULL);
	close(fd);
	close(backing);
	return status;
}
