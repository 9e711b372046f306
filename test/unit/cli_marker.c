// SPDX-License-Identifier: GPL-2.0-or-later
/* Minor numbers: allocated lowest first, locked while attached. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/marker.h"
#include "tapdisk/ctl_proto.h"

static char run_dir[64];

static int setup(void **state)
{
	(void)state;
	/* The run directory itself is made by the first allocation. */
	strcpy(run_dir, "/tmp/marker.XXXXXX");
	return mkdtemp(run_dir) && !rmdir(run_dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[MARKER_PATH_MAX];
	int i, *minors, nr = marker_list(run_dir, &minors);

	(void)state;
	for (i = 0; i < nr; i++) {
		marker_path(run_dir, minors[i], path);
		unlink(path);
	}
	free(minors);
	snprintf(path, sizeof(path), "%s/tapdisk/other", run_dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tapdisk", run_dir);
	rmdir(path);
	rmdir(run_dir);
	return 0;
}

static void the_path_is_what_the_hotplug_script_strips(void **state)
{
	char path[MARKER_PATH_MAX];

	(void)state;
	marker_path(XENTAP_RUN_DIR, 17, path);
	assert_string_equal(path, "/run/blktap-control/tapdisk/tapdisk-17");
}

static void the_lowest_free_minor_is_taken(void **state)
{
	struct stat st;
	char path[MARKER_PATH_MAX];

	(void)state;
	assert_int_equal(marker_allocate(run_dir), 0);
	assert_int_equal(marker_allocate(run_dir), 1);
	assert_int_equal(marker_allocate(run_dir), 2);
	assert_int_equal(marker_free(run_dir, 1), 0);
	assert_int_equal(marker_allocate(run_dir), 1);
	assert_int_equal(marker_allocate(run_dir), 3);
	marker_path(run_dir, 3, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void an_attached_minor_is_not_freed(void **state)
{
	int marker;

	(void)state;
	assert_int_equal(marker_allocate(run_dir), 0);
	marker = marker_open(run_dir, 0);
	assert_true(marker >= 0);
	assert_int_equal(flock(marker, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(marker_free(run_dir, 0), -EWOULDBLOCK);
	close(marker);
	assert_int_equal(marker_free(run_dir, 0), 0);
	assert_int_equal(marker_free(run_dir, 0), -ENOENT);
	assert_int_equal(marker_open(run_dir, 0), -ENOENT);
}

static void without_a_directory_there_are_none(void **state)
{
	int *minors;

	(void)state;
	assert_int_equal(marker_list(run_dir, &minors), 0);
	assert_null(minors);
	assert_int_equal(marker_free(run_dir, 0), -ENOENT);
}

static void other_files_are_no_markers(void **state)
{
	char path[MARKER_PATH_MAX];
	int *minors, nr;

	(void)state;
	assert_int_equal(marker_allocate(run_dir), 0);
	snprintf(path, sizeof(path), "%s/tapdisk/other", run_dir);
	close(open(path, O_CREAT | O_RDWR, 0600));
	nr = marker_list(run_dir, &minors);
	assert_int_equal(nr, 1);
	assert_int_equal(minors[0], 0);
	free(minors);
}

static void allocations_at_one_time_differ(void **state)
{
	int *minors, nr, i, k, status;

	(void)state;
	for (i = 0; i < 8; i++) {
		if (fork())
			continue;
		for (k = 0; k < 20; k++)
			if (marker_allocate(run_dir) < 0)
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	nr = marker_list(run_dir, &minors);
	assert_int_equal(nr, 160);
	assert_int_equal(minors[0], 0);
	assert_int_equal(minors[159], 159);
	free(minors);
}

/* A process that was stopped in the middle must not stop all others. */
static void a_lock_that_is_held_on_is_not_awaited_for_ever(void **state)
{
	uint64_t start;
	char path[MARKER_PATH_MAX];
	int dir;

	(void)state;
	assert_int_equal(marker_allocate(run_dir), 0);
	snprintf(path, sizeof(path), "%s/tapdisk", run_dir);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(dir, LOCK_EX | LOCK_NB), 0);
	start = clock_ms();
	assert_int_equal(marker_allocate(run_dir), -ETIMEDOUT);
	assert_in_range(clock_ms() - start, 9000, 40000);
	close(dir);
	assert_int_equal(marker_allocate(run_dir), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_path_is_what_the_hotplug_script_strips),
		TEST(the_lowest_free_minor_is_taken),
		TEST(an_attached_minor_is_not_freed),
		TEST(without_a_directory_there_are_none),
		TEST(other_files_are_no_markers),
		TEST(allocations_at_one_time_differ),
		TEST(a_lock_that_is_held_on_is_not_awaited_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
