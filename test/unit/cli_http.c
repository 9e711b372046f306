// SPDX-License-Identifier: GPL-2.0-or-later
/* The little HTTP that metrics are asked for by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/http.h"

static char *answer;
static size_t answer_size;

/* What http_begin() returns; what it says is in answer. @close_it: no more will come. */
static bool ask(const char *request, size_t len, bool close_it)
{
	FILE *out;
	bool go_on;
	int fds[2];

	free(answer);
	answer = NULL;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], request, len), (ssize_t)len);
	if (close_it)
		close(fds[1]);
	out = open_memstream(&answer, &answer_size);
	go_on = http_begin(fds[0], out, "/metrics", "text/x", 200);
	fclose(out);
	close(fds[0]);
	if (!close_it)
		close(fds[1]);
	return go_on;
}

static bool starts(const char *text)
{
	return !strncmp(answer, text, strlen(text));
}

#define ASK(text) ask(text, strlen(text), true)

static void what_is_answered(void **state)
{
	(void)state;
	assert_true(ASK("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_string_equal(answer, "HTTP/1.0 200 OK\r\nContent-Type: text/x\r\n"
				    "Connection: close\r\n\r\n");
	assert_true(ASK("GET /metrics?a=b HTTP/1.1\r\n\r\n"));
	assert_true(ASK("GET /metrics\n\n"));
	/* Without the end of the connection, too. */
	assert_true(ask("GET /metrics HTTP/1.0\r\n\r\n", 25, false));
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_false(ASK("GET / HTTP/1.1\r\n\r\n"));
	assert_true(starts("HTTP/1.0 404 "));
	assert_false(ASK("GET /metricsx HTTP/1.1\r\n\r\n"));
	assert_true(starts("HTTP/1.0 404 "));
	assert_false(ASK("POST /metrics HTTP/1.1\r\n\r\n"));
	assert_true(starts("HTTP/1.0 405 "));
	assert_false(ASK(""));
	assert_true(starts("HTTP/1.0 400 "));
	assert_false(ASK("GET /metrics HTTP/1.1\r\n"));
	assert_true(starts("HTTP/1.0 400 "));
	assert_false(ask("\0\0\r\n\r\n", 6, true));
	assert_true(starts("HTTP/1.0 400 "));
}

static void too_long(void **state)
{
	char request[8192];

	(void)state;
	memset(request, 'a', sizeof(request));
	assert_false(ask(request, sizeof(request), true));
	assert_true(starts("HTTP/1.0 400 "));
}

static void too_slow(void **state)
{
	uint64_t start = clock_ms();

	(void)state;
	assert_false(ask("GET /met", 8, false));
	assert_true(starts("HTTP/1.0 400 "));
	assert_true(clock_ms() - start < 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_answered),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(too_long),
		cmocka_unit_test(too_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
