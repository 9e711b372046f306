// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of the control protocol: JSON members, packets, descriptors. Pure
 * functions of their arguments; any thread.
 */
#include "ctl/ctl_msg.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"

/*
 * A message is an object whose deepest members are objects in a list, three
 * levels; "stats" may hold some more.
 */
#define JSON_DEPTH_MAX	16

#define ERROR_SENTENCE_MAX	512	/* bytes */

void ctl_msg_clear(struct ctl_msg *msg)
{
	unsigned int i;

	json_object_put(msg->json);
	msg->json = NULL;
	for (i = 0; i < msg->nr_fds; i++)
		fd_close(&msg->fds[i]);
	msg->nr_fds = 0;
}

/* Give @value, a new object or NULL, to @msg as member @name. */
static int add_member(struct ctl_msg *msg, const char *name,
		      struct json_object *value)
{
	if (!value || json_object_object_add(msg->json, name, value)) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int ctl_set_int(struct ctl_msg *msg, const char *name, int64_t value)
{
	return add_member(msg, name, json_object_new_int64(value));
}

int ctl_set_bool(struct ctl_msg *msg, const char *name, bool value)
{
	return add_member(msg, name, json_object_new_boolean(value));
}

int ctl_set_string(struct ctl_msg *msg, const char *name, const char *value)
{
	return add_member(msg, name, json_object_new_string(value));
}

static int msg_init(struct ctl_msg *msg)
{
	msg->json = json_object_new_object();
	if (!msg->json)
		return -ENOMEM;
	return ctl_set_int(msg, "v", CTL_PROTO_VERSION);
}

int ctl_request_init(struct ctl_msg *msg, const char *cmd)
{
	if (msg_init(msg) || ctl_set_string(msg, "cmd", cmd)) {
		ctl_msg_clear(msg);
		return -ENOMEM;
	}
	return 0;
}

int ctl_request_minor(struct ctl_msg *msg, const char *cmd, int minor)
{
	int err = ctl_request_init(msg, cmd);

	return err ? err : ctl_set_int(msg, "minor", minor);
}

int ctl_reply_init(struct ctl_msg *msg)
{
	if (msg_init(msg) || ctl_set_int(msg, "errno", 0)) {
		ctl_msg_clear(msg);
		return -ENOMEM;
	}
	return 0;
}

int ctl_reply_error(struct ctl_msg *msg, int error, const char *format, ...)
{
	char sentence[ERROR_SENTENCE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);

	ctl_msg_clear(msg);
	if (msg_init(msg) || ctl_set_int(msg, "errno", error) ||
	    ctl_set_string(msg, "error", sentence)) {
		ctl_msg_clear(msg);
		return -ENOMEM;
	}
	return 0;
}

static struct json_object *get_member(const struct ctl_msg *msg,
				      const char *name, enum json_type type)
{
	struct json_object *value;

	if (!json_object_object_get_ex(msg->json, name, &value) ||
	    !json_object_is_type(value, type))
		return NULL;
	return value;
}

bool ctl_has(const struct ctl_msg *msg, const char *name)
{
	return json_object_object_get_ex(msg->json, name, NULL);
}

int ctl_get_int(const struct ctl_msg *msg, const char *name,
		int64_t min, int64_t max, int64_t *value)
{
	struct json_object *member = get_member(msg, name, json_type_int);
	int64_t number;

	if (!member)
		return -EINVAL;
	number = json_object_get_int64(member);
	if (number < min || number > max)
		return -EINVAL;
	*value = number;
	return 0;
}

int ctl_get_bool(const struct ctl_msg *msg, const char *name, bool *value)
{
	struct json_object *member = get_member(msg, name, json_type_boolean);

	if (!member)
		return -EINVAL;
	*value = json_object_get_boolean(member);
	return 0;
}

int ctl_get_string(const struct ctl_msg *msg, const char *name,
		   const char **value)
{
	struct json_object *member = get_member(msg, name, json_type_string);
	const char *text;

	if (!member)
		return -EINVAL;
	/* JSON can spell a NUL byte inside a string, C cannot. */
	text = json_object_get_string(member);
	if (strlen(text) != (size_t)json_object_get_string_len(member))
		return -EINVAL;
	*value = text;
	return 0;
}

/* Control data of one packet, aligned as the socket calls want it. */
union fd_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(CTL_MSG_FDS * sizeof(int))];
};

int ctl_msg_send(int fd, const struct ctl_msg *msg)
{
	size_t len, fd_bytes = msg->nr_fds * sizeof(int);
	union fd_control control = { 0 };
	struct msghdr packet = { .msg_iovlen = 1 };
	struct iovec iov;
	const char *text;
	ssize_t sent;

	text = json_object_to_json_string_length(msg->json,
			JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (!text)
		return -ENOMEM;
	if (len > CTL_MSG_MAX)
		return -EMSGSIZE;
	iov.iov_base = (char *)text;
	iov.iov_len = len;
	packet.msg_iov = &iov;
	if (fd_bytes) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(fd_bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fd_bytes);
		memcpy(CMSG_DATA(&control.header), msg->fds, fd_bytes);
	}
	do {
		sent = sendmsg(fd, &packet, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Take all descriptors out of @packet, so that none of them can leak. */
static void collect_fds(struct msghdr *packet, struct ctl_msg *msg)
{
	struct cmsghdr *cmsg;
	unsigned int i, nr;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(packet); cmsg; cmsg = CMSG_NXTHDR(packet, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < nr; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (msg->nr_fds < CTL_MSG_FDS)
				msg->fds[msg->nr_fds++] = fd;
			else
				close(fd);
		}
	}
}

/* One packet's text into @text (CTL_MSG_MAX bytes); its length or -errno. */
static ssize_t recv_packet(int fd, char *text, struct ctl_msg *msg)
{
	struct iovec iov = { .iov_base = text, .iov_len = CTL_MSG_MAX };
	union fd_control control;
	struct msghdr packet = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len;

	do {
		len = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	collect_fds(&packet, msg);
	if (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	return len ? len : -ECONNRESET;
}

/*
 * @msg->json from the @len bytes at @text, and nothing else in them. Not with
 * JSON_TOKENER_STRICT, which in json-c 0.18 refuses all that is not ASCII (its issues 875
 * and 892), as file names may be.
 */
static int parse_object(const char *text, size_t len, struct ctl_msg *msg)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	bool complete;

	if (!tokener)
		return -ENOMEM;
	msg->json = json_tokener_parse_ex(tokener, text, (int)len);
	complete = json_tokener_get_error(tokener) == json_tokener_success &&
		   json_tokener_get_parse_end(tokener) == len;
	json_tokener_free(tokener);
	if (!complete || !json_object_is_type(msg->json, json_type_object))
		return -EBADMSG;
	return 0;
}

int ctl_msg_recv(int fd, struct ctl_msg *msg)
{
	CLEANUP_FREE char *text = malloc(CTL_MSG_MAX);
	int64_t version;
	ssize_t len;
	int err;

	if (!text)
		return -ENOMEM;
	len = recv_packet(fd, text, msg);
	err = len < 0 ? (int)len : parse_object(text, (size_t)len, msg);
	if (!err && ctl_get_int(msg, "v", CTL_PROTO_VERSION, CTL_PROTO_VERSION,
				&version))
		err = -EPROTONOSUPPORT;
	if (err)
		ctl_msg_clear(msg);
	return err;
}

int ctl_reply_status(const struct ctl_msg *reply)
{
	int64_t error;

	if (ctl_get_int(reply, "errno", 0, 4095, &error))
		return -EBADMSG;
	return -(int)error;
}

const char *ctl_reply_sentence(const struct ctl_msg *reply)
{
	const char *sentence;

	if (ctl_get_string(reply, "error", &sentence))
		return "tapdisk gave no reason";
	return sentence;
}

int ctl_connect_in(const char *run_dir, int pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	CLEANUP_CLOSE int fd = -1;
	int len;

	len = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl%d", run_dir, pid);
	if (len < 0 || (size_t)len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return errno == ENOENT || errno == ECONNREFUSED ? -ESRCH : -errno;
	return fd_take(&fd);
}

int ctl_connect(int pid)
{
	return ctl_connect_in(XENTAP_RUN_DIR, pid);
}

/* Wait until @fd has one of @events, or @deadline_ms: 0 or -errno. */
static int wait_fd(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	uint64_t now_ms;
	int ready;

	do {
		now_ms = clock_ms();
		ready = poll(&pfd, 1, now_ms < deadline_ms ? (int)(deadline_ms - now_ms) : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

int ctl_await(int fd, struct ctl_msg *reply, uint64_t deadline_ms)
{
	int err;

	do {
		err = wait_fd(fd, POLLIN, deadline_ms);
		if (!err)
			err = ctl_msg_recv(fd, reply);
	} while (err == -EAGAIN);
	return err ? err : ctl_reply_status(reply);
}

int ctl_call(int fd, const struct ctl_msg *request, struct ctl_msg *reply,
	     int timeout_ms)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;
	int err;

	while ((err = ctl_msg_send(fd, request)) == -EAGAIN) {
		err = wait_fd(fd, POLLOUT, deadline_ms);
		if (err)
			return err;
	}
	if (err)
		return err;
	return ctl_await(fd, reply, deadline_ms);
}
