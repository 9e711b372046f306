// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/tapdisk_client.h"

#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/clock.h"

void tapdisk_client_close(struct tapdisk_client *client)
{
	if (!tapdisk_client_is_open(client))
		return;
	loop_remove(client->loop, &client->source);
	fd_close(&client->source.fd);
	client->answered = NULL;
}

/* The connection is of no more use: @err says why. */
static void client_ended(struct tapdisk_client *client, int err)
{
	void (*answered)(struct tapdisk_client *, int, struct ctl_msg *) = client->answered;

	tapdisk_client_close(client);
	if (answered)
		answered(client, err, NULL);
	else
		client->lost(client);
}

static void client_ready(struct loop_source *source)
{
	struct tapdisk_client *client = (struct tapdisk_client *)
		((char *)source - offsetof(struct tapdisk_client, source));
	void (*answered)(struct tapdisk_client *, int, struct ctl_msg *) = client->answered;
	struct ctl_msg reply = CTL_MSG_INIT;
	int err = ctl_msg_recv(source->fd, &reply);

	if (err == -EAGAIN)
		return;
	if (!err && ctl_reply_status(&reply) == -ESHUTDOWN)
		client->told_to_end = true;
	/* An answer that nobody asked for is as bad as none. */
	if (!err && !answered)
		err = -EPROTO;
	if (err) {
		ctl_msg_clear(&reply);
		client_ended(client, err);
		return;
	}
	client->answered = NULL;
	answered(client, ctl_reply_status(&reply), &reply);
	ctl_msg_clear(&reply);
}

int tapdisk_client_open(struct tapdisk_client *client, struct loop *loop,
			const char *run_dir, int pid,
			void (*lost)(struct tapdisk_client *client))
{
	int fd = ctl_connect_in(run_dir, pid);
	int err;

	if (fd < 0)
		return fd;
	*client = (struct tapdisk_client){
		.loop = loop,
		.source = { .fd = fd, .ready = client_ready },
		.pid = pid,
		.lost = lost,
	};
	err = loop_add(loop, &client->source);
	if (err)
		fd_close(&client->source.fd);
	return err;
}

int tapdisk_client_ask(struct tapdisk_client *client, const struct ctl_msg *request,
		       void (*answered)(struct tapdisk_client *client, int err,
					struct ctl_msg *reply))
{
	/*
	 * With one question at a time the socket's buffer is empty: a socket
	 * that does not take this one is as good as broken.
	 */
	int err = ctl_msg_send(client->source.fd, request);

	if (err) {
		tapdisk_client_close(client);
		return err;
	}
	client->answered = answered;
	client->asked_ms = clock_ms();
	return 0;
}
