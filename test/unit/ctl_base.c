// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers in foreign text, and limits on messages that a guest can cause. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/parse.h"

static void numbers_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", " 1", "1 ", "+1", "-1", "0x10", "1e3", "abc", "1\n", "\t1",
		"1.0", "4294967296", "18446744073709551616", "99999999999999999999999",
		"\xef\xbc\x91",
	};
	uint32_t value = 42;
	char huge[10001];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(parse_u32(bad[i], UINT32_MAX, &value) < 0);
	memset(huge, '9', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(parse_u32(huge, UINT32_MAX, &value), -ERANGE);
	assert_int_equal(parse_u32("5", 4, &value), -ERANGE);
	assert_int_equal(parse_u32("1", 0, &value), -ERANGE);
	assert_int_equal(value, 42);
}

static void numbers_that_are_taken(void **state)
{
	uint64_t big;
	uint32_t value;

	(void)state;
	assert_int_equal(parse_u32("0", 0, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(parse_u32("4294967295", UINT32_MAX, &value), 0);
	assert_int_equal(value, UINT32_MAX);
	assert_int_equal(parse_u32("16383", 16383, &value), 0);
	assert_int_equal(value, 16383);
	assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &big), 0);
	assert_true(big == UINT64_MAX);
}

static void a_burst_passes_then_messages_are_dropped(void **state)
{
	struct log_limit limit = { .burst = 3 };
	int i, passed = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		passed += log_limited(&limit);
	assert_in_range(passed, 3, 4);
	assert_in_range(limit.dropped, 996, 997);
	/* Ten seconds later. */
	limit.since_ms -= 10000;
	assert_true(log_limited(&limit));
	assert_int_equal(limit.dropped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_refused),
		cmocka_unit_test(numbers_that_are_taken),
		cmocka_unit_test(a_burst_passes_then_messages_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
