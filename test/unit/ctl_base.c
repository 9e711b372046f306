// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers in foreign text, foreign text itself, and limits on messages that a guest can cause. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"

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

static void what_may_be_shown(void **state)
{
	static const struct {
		const char *text, *clean;
	} rows[] = {
		{ "", "" }, { "aio:/srv/x y.img~", "aio:/srv/x y.img~" },
		{ "a\nb\tc\033[2J\x7f\x01", "a?b?c?[2J??" },
		/* The first and the last of each length, and what is beside them. */
		{ "\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf" },
		{ "\xe0\xa0\x80\xef\xbf\xbf", "\xe0\xa0\x80\xef\xbf\xbf" },
		{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
		{ "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" },
		{ "\xc0\x80\xc1\xbf", "????" }, { "\xe0\x9f\xbf", "???" },
		{ "\xf0\x8f\xbf\xbf", "????" }, { "\xf4\x90\x80\x80", "????" },
		{ "\xf5\x80\xff", "???" }, { "\xed\xa0\x80", "???" },
		/* Some terminals take this for an escape and a bracket. */
		{ "\xc2\x9b", "??" },
		/* Cut off, and in the middle. */
		{ "x\xe9.img", "x?.img" }, { "\xc3", "?" }, { "\xe2\x82", "??" },
		{ "\xf0\x9f\x98", "???" }, { "\xe2\x82.", "??." }, { "\x82", "?" },
	};
	char *copy;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		copy = text_clean_copy(rows[i].text);
		assert_string_equal(copy, rows[i].clean);
		free(copy);
	}
	assert_null(text_clean_copy(NULL));
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

/* What a guest or a file name brings into a message is not at its beginning. */
static void messages_about_a_disk_have_fields(void **state)
{
	char fields[192];
	size_t len;

	(void)state;
	len = log_fields(fields, sizeof(fields), "tapback", LOG_WARNING,
			 "domain 7, disk 51712: tapdisk 4 goes on");
	assert_int_equal(len, strlen(fields));
	assert_string_equal(fields, "PRIORITY=4\nSYSLOG_IDENTIFIER=tapback\nXENTAP_DOMAIN=7\n"
			    "XENTAP_DISK=51712\nMESSAGE=");
	assert_true(log_fields(fields, sizeof(fields), "tapdisk", LOG_INFO,
			       "domain 32751, device 4294967295: connected"));
	assert_non_null(strstr(fields, "\nXENTAP_DISK=4294967295\n"));
	assert_int_equal(log_fields(fields, sizeof(fields), "tapdisk", LOG_INFO,
				    "serving aio:/domain 7, disk 1:"), 0);
	assert_int_equal(log_fields(fields, sizeof(fields), "tapdisk", LOG_INFO,
				    "domain 7: cannot bind"), 0);
	assert_int_equal(log_fields(fields, 40, "tapdisk", LOG_INFO, "domain 7, disk 1: x"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_refused),
		cmocka_unit_test(numbers_that_are_taken),
		cmocka_unit_test(what_may_be_shown),
		cmocka_unit_test(a_burst_passes_then_messages_are_dropped),
		cmocka_unit_test(messages_about_a_disk_have_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
