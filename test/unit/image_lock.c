// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may have an image beside whom, and how long a lock lasts. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "image/lock.h"

static char path[] = "./image_lock.XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static int opened(bool readonly)
{
	int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void one_writer_or_many_readers(void **state)
{
	int writer = opened(false), other = opened(false), reader = opened(true);
	int another = opened(true);

	(void)state;
	assert_int_equal(image_lock(writer, false), 0);
	assert_int_equal(image_lock(writer, false), 0);
	assert_int_equal(image_lock(other, false), -EBUSY);
	assert_int_equal(image_lock(reader, true), -EBUSY);
	close(writer);
	assert_int_equal(image_lock(reader, true), 0);
	assert_int_equal(image_lock(another, true), 0);
	assert_int_equal(image_lock(other, false), -EBUSY);
	close(reader);
	assert_int_equal(image_lock(other, false), -EBUSY);
	close(another);
	assert_int_equal(image_lock(other, false), 0);
	close(other);
}

/* As from tap-ctl, which ends, to tapdisk. */
static void it_goes_with_the_descriptor(void **state)
{
	int writer = opened(false), other = opened(false), kept;

	(void)state;
	assert_int_equal(image_lock(writer, false), 0);
	kept = dup(writer);
	close(writer);
	assert_int_equal(image_lock(other, false), -EBUSY);
	close(kept);
	assert_int_equal(image_lock(other, false), 0);
	close(other);
}

/* Unlike fcntl()'s older locks, which a process loses by closing any descriptor. */
static void closing_another_descriptor_keeps_it(void **state)
{
	int writer = opened(false), other;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(image_lock(writer, false), 0);
	close(opened(true));
	child = fork();
	if (!child)
		_exit(image_lock(opened(false), false) == -EBUSY ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	other = opened(true);
	assert_int_equal(image_lock(other, true), -EBUSY);
	close(other);
	close(writer);
}

static void a_descriptor_without_the_right(void **state)
{
	int reader = opened(true);

	(void)state;
	assert_int_equal(image_lock(reader, false), -EBADF);
	close(reader);
	assert_int_equal(image_lock(-1, true), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_writer_or_many_readers),
		cmocka_unit_test(it_goes_with_the_descriptor),
		cmocka_unit_test(closing_another_descriptor_keeps_it),
		cmocka_unit_test(a_descriptor_without_the_right),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
