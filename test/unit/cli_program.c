// SPDX-License-Identifier: GPL-2.0-or-later
/* Running other programs: their output, their failure, their time limit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/program.h"

#define RUN(out, ms, ...) \
	program_run((const char *const[]){ __VA_ARGS__, NULL }, out, sizeof(out), ms)

static void output_is_kept(void **state)
{
	char output[8];

	(void)state;
	assert_int_equal(RUN(output, 5000, "echo", "1234"), 0);
	assert_string_equal(output, "1234\n");
	/* Cut, but read to the end. */
	assert_int_equal(RUN(output, 5000, "seq", "100000"), 0);
	assert_string_equal(output, "1\n2\n3\n4");
}

static void failure_is_told(void **state)
{
	char output[8];

	(void)state;
	assert_int_equal(RUN(output, 5000, "false"), -EIO);
	assert_int_equal(RUN(output, 5000, "/nonexistent/program"), -ENOENT);
}

static void a_time_limit_holds(void **state)
{
	uint64_t start_ms = clock_ms();
	char output[8];

	(void)state;
	assert_int_equal(RUN(output, 100, "sleep", "20"), -ETIMEDOUT);
	assert_true(clock_ms() - start_ms < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_is_kept),
		cmocka_unit_test(failure_is_told),
		cmocka_unit_test(a_time_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
