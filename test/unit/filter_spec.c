// SPDX-License-Identifier: GPL-2.0-or-later
/* What people write after --filter, and what is said to rubbish. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "filter/filter.h"

static char why[512];

static int check(const char *spec)
{
	why[0] = '\0';
	return filters_check(&spec, 1, why, sizeof(why));
}

static void good_ones(void **state)
{
	static const char *const good[] = {
		"limit", "limit:iops=0", "limit:iops=1000,bps=50M,burst_ms=60000", "latency",
		"limit:bps=1024G", "fault:error=EIO", "fault:short=1,op=read",
		"fault:delay_ms=5,op=read+write+flush+discard,percent=0.0001,seed=18446744073709551615",
		"fault:error=ENOSPC,start=100,sectors=8,count=3,percent=100.0000", "trace:fd=2",
		"trace:max=1G,fd=2",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (check(good[i]))
			fail_msg("%s: %s", good[i], why);
		assert_string_equal(why, "");
	}
}

static void bad_ones(void **state)
{
	static const struct {
		const char *spec;
		const char *says;
	} bad[] = {
		{ "", "begins with no name" },
		{ ":", "begins with no name" },
		{ ":iops=1", "begins with no name" },
		{ "limits", "there is no filter \"limits\", only fault, latency, limit, trace" },
		{ "Limit", "there is no filter" },
		{ "limit ", "there is no filter" },
		{ "limit:", "is not KEY=VALUE" },
		{ "limit:iops", "is not KEY=VALUE" },
		{ "limit:=5", "is not KEY=VALUE" },
		{ "limit:iops=1,", "is not KEY=VALUE" },
		{ "limit:,iops=1", "is not KEY=VALUE" },
		{ "limit:iops=1,iops=1", "given twice" },
		{ "limit:iop=1", "there is no option iop" },
		{ "limit:iops=", "not a number from 0 to 1000000000" },
		{ "limit:iops=-1", "not a number" },
		{ "limit:iops=+1", "not a number" },
		{ "limit:iops= 1", "not a number" },
		{ "limit:iops=0x10", "not a number" },
		{ "limit:iops=1000000001", "not a number" },
		{ "limit:iops=99999999999999999999999999", "not a number" },
		{ "limit:bps=K", "not a number" },
		{ "limit:bps=1KK", "not a number" },
		{ "limit:bps=1k", "not a number" },
		{ "limit:bps=1025G", "not a number" },
		{ "limit:bps=18446744073709551615G", "not a number" },
		{ "limit:burst_ms=60001", "not a number" },
		{ "latency:a=b", "there is no option a" },
		{ "fault", "must say what is to happen" },
		{ "fault:percent=5", "must say what is to happen" },
		{ "fault:error=EFOO", "is none of EIO" },
		{ "fault:error=5", "is none of EIO" },
		{ "fault:error=EIO,short=1", "exclude each other" },
		{ "fault:error=EIO,op=", "op= is none of" },
		{ "fault:error=EIO,op=read+", "op= is none of" },
		{ "fault:error=EIO,op=reads", "op=reads is none of" },
		{ "fault:error=EIO,percent=100.0001", "not a percentage" },
		{ "fault:error=EIO,percent=1.", "not a percentage" },
		{ "fault:error=EIO,percent=.5", "not a percentage" },
		{ "fault:error=EIO,percent=1.00001", "not a percentage" },
		{ "fault:error=EIO,percent=123456789", "not a percentage" },
		{ "fault:error=EIO,percent=-1", "not a percentage" },
		{ "fault:short=2", "not a number from 0 to 1" },
		{ "trace", "must say where to write" },
		{ "trace:fd=4095", "no descriptor that can be used" },
		{ "trace:fd=-1", "not a number" },
		{ "trace:fd=99999999999", "not a number" },
		{ "trace:file=/tmp/x", "there is no option file" },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int err = check(bad[i].spec);

		if (err != -EINVAL && err != -EBADF)
			fail_msg("\"%s\" gives %d", bad[i].spec, err);
		if (!strstr(why, bad[i].says))
			fail_msg("\"%s\" gives \"%s\"", bad[i].spec, why);
		assert_null(strchr(why, '\n'));
	}
}

static void too_much_of_it(void **state)
{
	const char *many[FILTERS_MAX + 3];
	char text[4096];
	unsigned int i;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(check(text), -EINVAL);
	assert_non_null(strstr(why, "is longer than"));
	text[SPEC_BYTES_MAX - 16] = '\0';
	assert_int_equal(check(text), -EINVAL);
	assert_non_null(strstr(why, "there is no filter"));

	strcpy(text, "limit:");
	for (i = 0; i < 17; i++)
		sprintf(text + strlen(text), "%sk%u=1", i ? "," : "", i);
	assert_int_equal(check(text), -EINVAL);
	assert_non_null(strstr(why, "too many options"));

	for (i = 0; i < FILTERS_MAX + 3; i++)
		many[i] = "latency";
	assert_int_equal(filters_check(many, FILTERS_MAX, why, sizeof(why)), 0);
	assert_int_equal(filters_check(many, FILTERS_MAX + 3, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "too many"));
}

/* Whatever comes, it ends, and is said in a sentence or taken. */
static void random_ones(void **state)
{
	static const char *const pieces[] = {
		"limit", "fault", "trace", "latency", ":", "=", ",", "iops", "bps", "error", "EIO",
		"percent", "op", "read", "+", "1", "99999999999999999999", ".", "-", "K", "G", "fd",
		"file", "\xff", " ", "%n", "\"", "short", "delay_ms", "0",
	};
	unsigned int round, taken = 0;

	(void)state;
	srandom(1);
	for (round = 0; round < 20000; round++) {
		char text[256] = "";
		int n = (int)(random() % 12);

		while (n--)
			strcat(text, pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))]);
		if (check(text) == 0)
			taken++;
		else
			assert_string_not_equal(why, "");
	}
	assert_in_range(taken, 10, 19000);
}

static void files_become_descriptors(void **state)
{
	char path[] = "/tmp/filter-spec.XXXXXX";
	char text[SPEC_BYTES_MAX], long_text[SPEC_BYTES_MAX];
	struct spec spec;
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	snprintf(long_text, sizeof(long_text), "trace:max=5,file=%s", path);
	assert_int_equal(spec_parse(&spec, long_text, why, sizeof(why)), 0);
	assert_string_equal(spec_value(&spec, "file"), path);
	fd = spec_open_file(&spec, why, sizeof(why));
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	unlink(path);
	spec_format_fd(&spec, 2, text);
	assert_string_equal(text, "trace:max=5,fd=2");
	assert_int_equal(check(text), 0);
	assert_int_equal(spec_parse(&spec, "trace:file=x", why, sizeof(why)), 0);
	assert_int_equal(spec_open_file(&spec, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "from / on"));
	assert_int_equal(spec_parse(&spec, "trace:file=/nonexistent/x", why, sizeof(why)), 0);
	assert_int_equal(spec_open_file(&spec, why, sizeof(why)), -ENOENT);
	assert_non_null(strstr(why, "cannot open /nonexistent/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),
		cmocka_unit_test(bad_ones),
		cmocka_unit_test(too_much_of_it),
		cmocka_unit_test(random_ones),
		cmocka_unit_test(files_become_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
