// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of how images were opened. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/record.h"

static char dir[] = "/tmp/record.XXXXXX";

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/record.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

/* Fails if anything is left. */
static int teardown(void **state)
{
	(void)state;
	record_remove(dir, 5);
	return rmdir(dir);
}

static void write_pid(int (*how)(const char *, int, const struct ctl_msg *), int pid, int expect)
{
	struct ctl_msg record = CTL_MSG_INIT;

	assert_int_equal(ctl_request_init(&record, "open"), 0);
	assert_int_equal(ctl_set_int(&record, "pid", pid), 0);
	assert_int_equal(how(dir, 5, &record), expect);
	ctl_msg_clear(&record);
}

static void assert_pid(int pid)
{
	struct ctl_msg record = CTL_MSG_INIT;
	int64_t found;

	assert_int_equal(record_read(dir, 5, &record), 0);
	assert_int_equal(ctl_get_int(&record, "pid", 1, INT32_MAX, &found), 0);
	assert_int_equal(found, pid);
	ctl_msg_clear(&record);
}

static void a_record_comes_and_goes(void **state)
{
	struct ctl_msg record = CTL_MSG_INIT;
	struct stat st;
	char path[64];

	(void)state;
	assert_int_equal(record_read(dir, 5, &record), -ENOENT);
	write_pid(record_write, 10, 0);
	assert_pid(10);
	snprintf(path, sizeof(path), "%s/disk-5", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	write_pid(record_write, 11, 0);
	assert_pid(11);
	write_pid(record_replace, 12, 0);
	assert_pid(12);
	assert_int_equal(record_remove(dir, 5), 0);
	assert_int_equal(record_remove(dir, 5), 0);
}

static void a_removed_record_does_not_come_back(void **state)
{
	struct ctl_msg record = CTL_MSG_INIT;

	(void)state;
	write_pid(record_replace, 12, -ENOENT);
	assert_int_equal(record_read(dir, 5, &record), -ENOENT);
}

static void rubbish_is_no_record(void **state)
{
	static const char *const rubbish[] = { "", "x", "[1]", "{\"pid\":", "7" };
	struct ctl_msg record = CTL_MSG_INIT;
	char path[64];
	unsigned int i;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/disk-5", dir);
	for (i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(rubbish[i], file);
		fclose(file);
		assert_int_equal(record_read(dir, 5, &record), -EBADMSG);
		assert_null(record.json);
	}
}

static void pids_that_a_disk_has_had(void **state)
{
	static const struct {
		const char *record;
		int pid, expect;
	} cases[] = {
		{ "{\"pid\": 12}", 12, 12 }, { "{\"pid\": 12}", 11, -ESRCH },
		{ "{\"pid\": 12, \"former\": [10, 11]}", 11, 12 },
		{ "{\"pid\": 12, \"former\": [10, 11]}", 13, -ESRCH },
		{ "{\"pid\": 12, \"former\": 11}", 11, -ESRCH },
		{ "{\"pid\": 12, \"former\": [\"x\", {}]}", 11, -ESRCH },
		{ "{\"former\": [10, 11]}", 11, -ESRCH }, { "{\"pid\": \"12\"}", 12, -ESRCH },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ctl_msg record = { .json = json_tokener_parse(cases[i].record) };

		assert_non_null(record.json);
		assert_int_equal(record_successor(&record, cases[i].pid), cases[i].expect);
		json_object_put(record.json);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pids_that_a_disk_has_had),
		TEST(a_record_comes_and_goes),
		TEST(a_removed_record_does_not_come_back),
		TEST(rubbish_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
