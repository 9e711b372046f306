// SPDX-License-Identifier: GPL-2.0-or-later
/* What systemd is told to keep: never more names than it could start tapback with. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "tapback/fdstore.h"

/* As Linux has it: MAX_ARG_STRLEN. */
#define STRING_MAX	131072
#define NAME		"a7ff0-ca00-7f0012345-160"

static int systemd = -1;
static char address[64];

static int listen_as_systemd(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	(void)state;
	snprintf(address, sizeof(address), "/tmp/tapback-fdstore.%d", getpid());
	strcpy(addr.sun_path, address);
	/* Out of the way of those that are passed. */
	systemd = fcntl(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), F_DUPFD_CLOEXEC, 16);
	return bind(systemd, (struct sockaddr *)&addr, sizeof(addr)) ||
	       setenv("NOTIFY_SOCKET", address, 1);
}

static int remove_socket(void **state)
{
	(void)state;
	close(systemd);
	return unlink(address);
}

/* What was told, and how many descriptors came with it. */
static unsigned int told(const char *expect)
{
	char text[128] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	unsigned int fds = 0;

	assert_true(recvmsg(systemd, &msg, MSG_DONTWAIT) > 0);
	assert_string_equal(text, expect);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		close(*(int *)CMSG_DATA(cmsg));
		fds++;
	}
	return fds;
}

/* Puts until there is no room; how many. */
static unsigned int fill(void)
{
	unsigned int nr = 0;
	int err;

	while (!(err = fdstore_put(NAME, STDIN_FILENO))) {
		assert_int_equal(told("FDSTORE=1\nFDNAME=" NAME), 1);
		assert_true(++nr <= STRING_MAX);
	}
	assert_int_equal(err, -ENOSPC);
	return nr;
}

static void empty(unsigned int nr)
{
	while (nr--) {
		fdstore_remove(NAME);
		assert_int_equal(told("FDSTOREREMOVE=1\nFDNAME=" NAME), 0);
	}
}

static void no_more_names_than_a_program_can_be_started_with(void **state)
{
	unsigned int nr = fill();

	(void)state;
	/* NAME:NAME: ... NAME, and no room for one more. */
	assert_true(sizeof("LISTEN_FDNAMES=") + nr * sizeof(NAME) - 1 <= STRING_MAX);
	assert_true(sizeof("LISTEN_FDNAMES=") + (nr + 2) * sizeof(NAME) > STRING_MAX);
	empty(2);
	assert_int_equal(fill(), 2);
	empty(nr);
}

static unsigned int taken;

static void take(void *context, const char *name, int fd)
{
	(void)context;
	(void)fd;
	assert_string_equal(name, NAME);
	taken++;
}

static void names_that_were_kept_take_room(void **state)
{
	unsigned int nr = fill();
	char pid[16];
	int fd;

	(void)state;
	empty(nr);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_FDNAMES", NAME ":" NAME ":" NAME, 1);
	for (fd = 3; fd < 6; fd++)
		assert_int_equal(dup2(STDIN_FILENO, fd), fd);
	fdstore_load(take, NULL);
	assert_int_equal(taken, 3);
	assert_int_equal(fill() + 3, nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_names_than_a_program_can_be_started_with),
		cmocka_unit_test(names_that_were_kept_take_room),
	};

	return cmocka_run_group_tests(tests, listen_as_systemd, remove_socket);
}
