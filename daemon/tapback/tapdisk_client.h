/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control connection to one tapdisk, in the loop: at most one question at a
 * time, never waited for. The connection stays open while the disk is in use,
 * so that its end tells of the tapdisk's end.
 */
#ifndef TAPBACK_TAPDISK_CLIENT_H
#define TAPBACK_TAPDISK_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl_msg.h"
#include "loop/loop.h"

struct tapdisk_client {
	struct loop *loop;
	struct loop_source source;	/* fd -1: no connection */
	int pid;
	uint64_t asked_ms;		/* when the open question was put */
	bool told_to_end;		/* as it said itself */
	/*
	 * The answer to the open question, or NULL: none is open. @err is 0
	 * with @reply; the -errno of an error reply, with @reply; or the
	 * connection's end with @reply NULL, and then the client is closed
	 * already. @reply is cleared after the call. May close the client or
	 * put the next question.
	 */
	void (*answered)(struct tapdisk_client *client, int err,
			 struct ctl_msg *reply);
	/* The connection ended without a question open; it is closed. */
	void (*lost)(struct tapdisk_client *client);
};

#define TAPDISK_CLIENT_INIT { .source = { .fd = -1 } }

static inline bool tapdisk_client_is_open(const struct tapdisk_client *client)
{
	return client->source.fd >= 0;
}

/* Connect to tapdisk @pid below @run_dir: 0 or -errno (-ESRCH: not there). */
int tapdisk_client_open(struct tapdisk_client *client, struct loop *loop,
			const char *run_dir, int pid,
			void (*lost)(struct tapdisk_client *client));
void tapdisk_client_close(struct tapdisk_client *client);

/*
 * Put a question; @request stays the caller's. 0, or -errno when it could not
 * be sent (the client is then closed, @answered is not called).
 */
int tapdisk_client_ask(struct tapdisk_client *client, const struct ctl_msg *request,
		       void (*answered)(struct tapdisk_client *client, int err,
					struct ctl_msg *reply));

#endif /* TAPBACK_TAPDISK_CLIENT_H */
