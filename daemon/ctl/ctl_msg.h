/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of the control protocol (include/tapdisk/ctl_proto.h): one packet
 * in, one packet out, both as JSON with descriptors beside them. Used by
 * tapdisk, tapback and tap-ctl; holds no state.
 */
#ifndef CTL_CTL_MSG_H
#define CTL_CTL_MSG_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "tapdisk/ctl_proto.h"

/*
 * One message. The owner frees it with ctl_msg_clear(), which also closes
 * the descriptors that nobody took (fd_take(), base/cleanup.h).
 */
struct ctl_msg {
	struct json_object *json;	/* a JSON object, or NULL */
	int fds[CTL_MSG_FDS];		/* -1: none */
	unsigned int nr_fds;
};

#define CTL_MSG_INIT { .fds = { [0 ... CTL_MSG_FDS - 1] = -1 } }

void ctl_msg_clear(struct ctl_msg *msg);

/* A new request or a new reply; replies carry errno 0. -ENOMEM. */
int ctl_request_init(struct ctl_msg *msg, const char *cmd);
/* About the disk of that number: with a member "minor". */
int ctl_request_minor(struct ctl_msg *msg, const char *cmd, int minor);
int ctl_reply_init(struct ctl_msg *msg);

/* Make @msg the reply that says why not; @error is a positive errno. */
int ctl_reply_error(struct ctl_msg *msg, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Members; the setters, which replace one that is there, return 0 or -ENOMEM. */
int ctl_set_int(struct ctl_msg *msg, const char *name, int64_t value);
int ctl_set_bool(struct ctl_msg *msg, const char *name, bool value);
int ctl_set_string(struct ctl_msg *msg, const char *name, const char *value);

/*
 * Getters: 0, or -EINVAL when the member is missing, of another type, or
 * (integers) outside @min..@max. *@value of a string lives as long as @msg.
 */
/* Is there a member of that name, of whatever type? */
bool ctl_has(const struct ctl_msg *msg, const char *name);
int ctl_get_int(const struct ctl_msg *msg, const char *name,
		int64_t min, int64_t max, int64_t *value);
int ctl_get_bool(const struct ctl_msg *msg, const char *name, bool *value);
int ctl_get_string(const struct ctl_msg *msg, const char *name,
		   const char **value);

/*
 * Send one packet; descriptors stay the caller's. 0, -EAGAIN (non-blocking
 * socket), -EMSGSIZE, or the socket's error.
 */
int ctl_msg_send(int fd, const struct ctl_msg *msg);

/*
 * Receive one packet into an empty @msg and check that it is an object of
 * our version. 0; -ECONNRESET at the end of the connection; -EBADMSG (not
 * JSON, truncated, too many descriptors); -EPROTONOSUPPORT (version); or the
 * socket's error.
 */
int ctl_msg_recv(int fd, struct ctl_msg *msg);

/*
 * What the peer answered: 0, the -errno of an error reply, or -EBADMSG when
 * @reply carries no errno.
 */
int ctl_reply_status(const struct ctl_msg *reply);

/* The sentence of an error reply; a general one when it has none. */
const char *ctl_reply_sentence(const struct ctl_msg *reply);

/*
 * Connect to tapdisk @pid, whose socket is in @run_dir (ctl_connect_in) or in
 * XENTAP_RUN_DIR (ctl_connect). Returns a non-blocking, close-on-exec
 * descriptor, or -errno (-ESRCH: no such tapdisk; -EAGAIN: it does not accept
 * more connections now). Never waits.
 */
int ctl_connect_in(const char *run_dir, int pid);
int ctl_connect(int pid);

/*
 * Send @request and wait at most @timeout_ms for the reply. Returns 0 with
 * the reply in @reply, or -errno; an error reply gives -errno too, and the
 * reply's sentence is in its "error" member. -ETIMEDOUT: no answer.
 */
int ctl_call(int fd, const struct ctl_msg *request, struct ctl_msg *reply,
	     int timeout_ms);

/*
 * The second half of ctl_call(), for one who asks several tapdisks at once:
 * wait for the reply until @deadline_ms of clock_ms() (base/clock.h).
 */
int ctl_await(int fd, struct ctl_msg *reply, uint64_t deadline_ms);

#endif /* CTL_CTL_MSG_H */
