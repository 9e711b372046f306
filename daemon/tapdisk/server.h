/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: clients, their requests, and replies that come now or
 * when work has ended.
 */
#ifndef TAPDISK_SERVER_H
#define TAPDISK_SERVER_H

#include "ctl/ctl_msg.h"
#include "loop/loop.h"

struct server;
struct client;

/*
 * Answer @request. Either fills in @reply and returns true, or keeps the client
 * with client_hold() and returns false; client_reply() ends that later.
 */
typedef bool (*server_handler)(void *context, struct client *client,
			       struct ctl_msg *request, struct ctl_msg *reply);

/*
 * Bind XENTAP_RUN_DIR/ctl<PID>, for root alone; makes the directory when it is
 * missing. Needs root. The socket, or -errno (logged).
 */
int server_bind(void);

/* Serve the socket @fd, which becomes ours. 0 or -errno. */
int server_create(struct loop *loop, int fd, server_handler handler, void *context,
		  struct server **out);

/*
 * Take no more connections and remove the socket's name where the process
 * still may. @told: that the process was told to end is said to all clients, with
 * ESHUTDOWN, so that nobody has another one started.
 */
void server_destroy(struct server *server, bool told);

/* The client stays, at least as a name to reply to, until client_reply(). */
void client_hold(struct client *client);
/*
 * End the connections of all others that have been answered before, as soon as what they have
 * asked by now is answered, too: something has changed that they would have to ask for.
 */
void client_drop_others(struct client *client);
/* Whether it waits for no reply any more; of one that is held nothing else tells. */
bool client_has_gone(const struct client *client);
/* Send @reply, unless the client has gone, and clear it. */
void client_reply(struct client *client, struct ctl_msg *reply);

#endif /* TAPDISK_SERVER_H */
