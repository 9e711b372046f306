// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets of the control protocol: what passes, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ctl/ctl_msg.h"

struct pair {
	int a, b;
};

static int setup(void **state)
{
	static struct pair pair;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		return -1;
	pair = (struct pair){ fds[0], fds[1] };
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	fd_close(&pair->a);
	fd_close(&pair->b);
	return 0;
}

static int count_fds(void)
{
	int fd, nr = 0;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* What receiving the packet @text of @len bytes gives; nothing may leak. */
static int receive_raw(struct pair *pair, const char *text, size_t len)
{
	struct ctl_msg msg = CTL_MSG_INIT;
	int before = count_fds();
	int err;

	assert_int_equal(send(pair->a, text, len, 0), len);
	err = ctl_msg_recv(pair->b, &msg);
	if (err)
		assert_null(msg.json);
	ctl_msg_clear(&msg);
	assert_int_equal(count_fds(), before);
	return err;
}

static int receive_text(struct pair *pair, const char *text)
{
	return receive_raw(pair, text, strlen(text));
}

static void members_and_descriptors_arrive(void **state)
{
	struct ctl_msg sent = CTL_MSG_INIT, got = CTL_MSG_INIT;
	struct pair *pair = *state;
	struct stat st_sent, st_got;
	const char *text;
	int64_t number;
	bool flag;
	int i;

	assert_int_equal(ctl_request_init(&sent, "open"), 0);
	assert_int_equal(ctl_set_int(&sent, "big", INT64_MAX), 0);
	assert_int_equal(ctl_set_int(&sent, "small", INT64_MIN), 0);
	assert_int_equal(ctl_set_bool(&sent, "yes", true), 0);
	assert_int_equal(ctl_set_string(&sent, "path", "/dir/\"quoted\" \\ \n\xc3\xa4"), 0);
	for (i = 0; i < CTL_MSG_FDS; i++)
		sent.fds[sent.nr_fds++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ctl_msg_send(pair->a, &sent), 0);
	assert_int_equal(ctl_msg_recv(pair->b, &got), 0);

	assert_int_equal(ctl_get_string(&got, "cmd", &text), 0);
	assert_string_equal(text, "open");
	assert_int_equal(ctl_get_int(&got, "big", 0, INT64_MAX, &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(ctl_get_int(&got, "small", INT64_MIN, 0, &number), 0);
	assert_true(number == INT64_MIN);
	assert_int_equal(ctl_get_bool(&got, "yes", &flag), 0);
	assert_true(flag);
	assert_int_equal(ctl_get_string(&got, "path", &text), 0);
	assert_string_equal(text, "/dir/\"quoted\" \\ \n\xc3\xa4");
	assert_int_equal(got.nr_fds, CTL_MSG_FDS);
	for (i = 0; i < CTL_MSG_FDS; i++) {
		assert_true(fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(fstat(sent.fds[i], &st_sent), 0);
		assert_int_equal(fstat(got.fds[i], &st_got), 0);
		assert_int_equal(st_sent.st_rdev, st_got.st_rdev);
	}
	ctl_msg_clear(&sent);
	ctl_msg_clear(&got);
}

static void members_of_another_type_are_refused(void **state)
{
	struct ctl_msg msg = CTL_MSG_INIT;
	struct pair *pair = *state;
	const char *text = "{\"v\":1,\"s\":\"1\",\"n\":5,\"d\":1.5,\"b\":true,\"z\":\"a\\u0000b\","
			   "\"l\":[1],\"nul\":null,\"huge\":99999999999999999999}";
	const char *string;
	int64_t number;
	bool flag;

	assert_int_equal(send(pair->a, text, strlen(text), 0), strlen(text));
	assert_int_equal(ctl_msg_recv(pair->b, &msg), 0);
	assert_int_equal(ctl_get_int(&msg, "s", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "d", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "b", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "l", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "nul", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "none", 0, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "n", 0, 4, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "n", 6, 9, &number), -EINVAL);
	assert_int_equal(ctl_get_int(&msg, "huge", 0, UINT32_MAX, &number), -EINVAL);
	assert_int_equal(ctl_get_bool(&msg, "n", &flag), -EINVAL);
	assert_int_equal(ctl_get_string(&msg, "n", &string), -EINVAL);
	assert_int_equal(ctl_get_string(&msg, "nul", &string), -EINVAL);
	/* A string that C would cut short. */
	assert_int_equal(ctl_get_string(&msg, "z", &string), -EINVAL);
	ctl_msg_clear(&msg);
}

static void garbage_is_refused(void **state)
{
	static const char *const bad[] = {
		"x", "{", "}", "[]", "1", "\"v\"", "null", "true", "{\"v\":1", "{\"v\":1}}",
		"{\"v\":1} x", "{v:1}", "{\"v\":1}{\"v\":1}", " ",
		"{\"v\":1}\n{",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (receive_text(*state, bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(receive_raw(*state, "{\"v\":1}\0{}", 10), -EBADMSG);
	assert_int_equal(receive_raw(*state, "\0\0\0\0", 4), -EBADMSG);
	assert_int_equal(receive_text(*state, "{\"v\":1}"), 0);
}

static void other_versions_are_refused(void **state)
{
	assert_int_equal(receive_text(*state, "{}"), -EPROTONOSUPPORT);
	assert_int_equal(receive_text(*state, "{\"v\":0}"), -EPROTONOSUPPORT);
	assert_int_equal(receive_text(*state, "{\"v\":2}"), -EPROTONOSUPPORT);
	assert_int_equal(receive_text(*state, "{\"v\":\"1\"}"), -EPROTONOSUPPORT);
	assert_int_equal(receive_text(*state, "{\"v\":1.0}"), -EPROTONOSUPPORT);
}

static void deep_nesting_is_refused(void **state)
{
	char text[4096] = "{\"v\":1,\"x\":";
	size_t len = strlen(text), i;

	for (i = 0; i < 1000; i++)
		text[len + i] = '[';
	for (; i < 2000; i++)
		text[len + i] = ']';
	strcpy(text + len + i, "}");
	assert_int_equal(receive_text(*state, text), -EBADMSG);
}

static void oversize_is_refused_by_both_sides(void **state)
{
	struct ctl_msg msg = CTL_MSG_INIT;
	struct pair *pair = *state;
	char *text = malloc(CTL_MSG_MAX + 2);

	memset(text, ' ', CTL_MSG_MAX + 1);
	memcpy(text, "{\"v\":1}", 7);
	/* Truncated by the socket, even though what is left would parse. */
	assert_int_equal(receive_raw(pair, text, CTL_MSG_MAX + 1), -EBADMSG);
	assert_int_equal(receive_raw(pair, text, CTL_MSG_MAX), 0);

	memset(text, 'x', CTL_MSG_MAX);
	text[CTL_MSG_MAX] = '\0';
	assert_int_equal(ctl_request_init(&msg, "open"), 0);
	assert_int_equal(ctl_set_string(&msg, "path", text), 0);
	assert_int_equal(ctl_msg_send(pair->a, &msg), -EMSGSIZE);
	assert_int_equal(ctl_msg_recv(pair->b, &msg), -EAGAIN);
	ctl_msg_clear(&msg);
	free(text);
}

/* A packet with @nr copies of one descriptor beside it. */
static void send_with_fds(int socket, const char *text, unsigned int nr)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, strlen(text) };
	struct msghdr packet = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	unsigned int i;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(nr * sizeof(int));
	for (i = 0; i < nr; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &fd, sizeof(fd));
	assert_true(sendmsg(socket, &packet, 0) > 0);
	close(fd);
}

static void too_many_descriptors_are_refused_and_closed(void **state)
{
	struct ctl_msg msg = CTL_MSG_INIT;
	struct pair *pair = *state;
	unsigned int nr;
	int before = count_fds();

	for (nr = CTL_MSG_FDS + 1; nr <= 32; nr++) {
		send_with_fds(pair->a, "{\"v\":1}", nr);
		assert_int_equal(ctl_msg_recv(pair->b, &msg), -EBADMSG);
		assert_int_equal(count_fds(), before);
	}
	/* Descriptors beside a packet that is refused for its text. */
	send_with_fds(pair->a, "{", 3);
	assert_int_equal(ctl_msg_recv(pair->b, &msg), -EBADMSG);
	assert_int_equal(count_fds(), before);
}

static void the_end_of_a_connection_is_seen(void **state)
{
	struct ctl_msg msg = CTL_MSG_INIT;
	struct pair *pair = *state;

	assert_int_equal(ctl_msg_recv(pair->b, &msg), -EAGAIN);
	fd_close(&pair->a);
	assert_int_equal(ctl_msg_recv(pair->b, &msg), -ECONNRESET);
	assert_int_equal(ctl_request_init(&msg, "pid"), 0);
	assert_int_equal(ctl_msg_send(pair->b, &msg), -EPIPE);
	ctl_msg_clear(&msg);
}

static void a_call_gives_the_reply_or_why_not(void **state)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	struct pair *pair = *state;
	int i;

	assert_int_equal(ctl_request_init(&request, "info"), 0);
	assert_int_equal(ctl_call(pair->a, &request, &reply, 20), -ETIMEDOUT);
	assert_null(reply.json);

	assert_int_equal(ctl_reply_init(&reply), 0);
	assert_int_equal(ctl_msg_send(pair->b, &reply), 0);
	ctl_msg_clear(&reply);
	assert_int_equal(ctl_call(pair->a, &request, &reply, 1000), 0);

	assert_int_equal(ctl_reply_error(&reply, EALREADY, "an image is %s", "open"), 0);
	assert_int_equal(ctl_msg_send(pair->b, &reply), 0);
	ctl_msg_clear(&reply);
	assert_int_equal(ctl_call(pair->a, &request, &reply, 1000), -EALREADY);
	assert_string_equal(ctl_reply_sentence(&reply), "an image is open");
	ctl_msg_clear(&reply);

	/* An answer that says neither. */
	assert_int_equal(ctl_request_init(&reply, "pid"), 0);
	assert_int_equal(ctl_msg_send(pair->b, &reply), 0);
	ctl_msg_clear(&reply);
	assert_int_equal(ctl_call(pair->a, &request, &reply, 1000), -EBADMSG);
	assert_non_null(ctl_reply_sentence(&reply));
	ctl_msg_clear(&reply);

	/* All requests were read: the end alone is left to be seen. */
	for (i = 0; i < 4; i++) {
		assert_int_equal(ctl_msg_recv(pair->b, &reply), 0);
		ctl_msg_clear(&reply);
	}
	fd_close(&pair->b);
	assert_int_equal(ctl_call(pair->a, &request, &reply, 1000), -EPIPE);
	ctl_msg_clear(&request);
}

static void connecting_says_when_there_is_no_tapdisk(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/ctl_msg.XXXXXX", long_dir[200];
	int listener, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(ctl_connect_in(dir, 17), -ESRCH);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl17", dir);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(ctl_connect_in(dir, 17), -ESRCH);
	assert_int_equal(listen(listener, 4), 0);
	fd = ctl_connect_in(dir, 17);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(listener);
	assert_int_equal(ctl_connect_in(dir, 17), -ESRCH);
	memset(long_dir, 'd', sizeof(long_dir) - 1);
	long_dir[sizeof(long_dir) - 1] = '\0';
	assert_int_equal(ctl_connect_in(long_dir, 17), -ENAMETOOLONG);
	unlink(addr.sun_path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(members_and_descriptors_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(members_of_another_type_are_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(garbage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(other_versions_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(deep_nesting_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(oversize_is_refused_by_both_sides, setup,
						teardown),
		cmocka_unit_test_setup_teardown(too_many_descriptors_are_refused_and_closed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_of_a_connection_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_gives_the_reply_or_why_not, setup,
						teardown),
		cmocka_unit_test(connecting_says_when_there_is_no_tapdisk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
