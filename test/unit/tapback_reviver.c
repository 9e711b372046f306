// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is asked to start another tapdisk: scripts of this test stand for systemctl and
 * tap-ctl, whichever of them this host takes.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tapback/reviver.h"

/* XENTAP_SBINDIR of tests. */
#define DIR	"reviver-test"

static const char *const programs[] = { DIR "/systemctl", DIR "/tap-ctl" };

static int setup(void **state)
{
	(void)state;
	mkdir(DIR, 0700);
	return setenv("PATH", DIR ":/usr/bin:/bin", 1);
}

static int teardown(void **state)
{
	(void)state;
	unlink(programs[0]);
	unlink(programs[1]);
	unlink(DIR "/said");
	return rmdir(DIR);
}

static void write_programs(const char *text)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		FILE *file = fopen(programs[i], "w");

		assert_non_null(file);
		fprintf(file, "#!/bin/sh\n%s\n", text);
		fclose(file);
		assert_int_equal(chmod(programs[i], 0700), 0);
	}
}

/* What it ends with. */
static int run(void)
{
	struct pollfd pfd = { .events = POLLIN };

	pfd.fd = reviver_start(35);
	assert_true(pfd.fd >= 0);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	return reviver_end(pfd.fd);
}

static void it_is_asked_for_the_minor(void **state)
{
	char said[256] = "";
	FILE *file;

	(void)state;
	write_programs("echo \"$*\" >" DIR "/said");
	assert_int_equal(run(), 0);
	file = fopen(DIR "/said", "r");
	assert_non_null(file);
	assert_non_null(fgets(said, sizeof(said), file));
	fclose(file);
	assert_true(!strcmp(said, "restart -m 35\n") ||
		    strstr(said, "start xentap-restart@35.service\n"));
}

static void its_failure_is_seen(void **state)
{
	(void)state;
	write_programs("exit 7");
	assert_int_equal(run(), -EIO);
}

/* What this process takes from a descriptor, a child must not have blocked. */
static void it_can_be_terminated(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	write_programs("kill -TERM $$; exit 0");
	assert_int_equal(run(), -EIO);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &set, NULL), 0);
}

static void it_can_be_stopped(void **state)
{
	int fd;

	(void)state;
	write_programs("exec sleep 1000");
	fd = reviver_start(35);
	assert_true(fd >= 0);
	/* Does not wait for it. */
	reviver_stop(fd);
}

static void one_that_is_missing_is_said(void **state)
{
	(void)state;
	/* As if it were not there. */
	setenv("PATH", "/nonexistent", 1);
	assert_true(reviver_start(35) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_asked_for_the_minor),
		TEST(its_failure_is_seen),
		TEST(it_can_be_terminated),
		TEST(it_can_be_stopped),
		TEST(one_that_is_missing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
