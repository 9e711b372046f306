// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The streams of ctl_fuzz.c without libFuzzer: those in test/fake/corpus/ctl, and some
 * that are made of the same numbers each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fake/streams.h"

static void those_of_the_corpus(void **state)
{
	(void)state;
	known_streams("../fake/corpus/ctl");
}

static void those_that_are_made(void **state)
{
	(void)state;
	made_streams(200, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_the_corpus),
		cmocka_unit_test(those_that_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
