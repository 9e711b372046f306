// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/server.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* tapback, some tap-ctl; more wait in the socket's queue. */
#define CLIENTS_MAX 16
#define BACKLOG 16

struct client {
	struct loop_source source;	/* fd -1: gone */
	struct server *server;
	struct client *next;
	unsigned int held;		/* replies still to come */
	bool answered;			/* at least once */
	bool dropped;			/* it goes when nothing of it is to be read */
};

struct server {
	struct loop_source source;
	struct loop *loop;
	server_handler handler;
	void *context;
	struct client *clients;
	unsigned int nr_clients;
	struct loop_task drop;		/* some are dropped */
	struct sockaddr_un address;
};

#define client_of(source_) \
	((struct client *)((char *)(source_) - offsetof(struct client, source)))
#define server_of(source_) \
	((struct server *)((char *)(source_) - offsetof(struct server, source)))

static void client_free(struct client *client)
{
	struct server *server = client->server;
	struct client **p;

	for (p = &server->clients; *p != client; p = &(*p)->next)
		;
	*p = client->next;
	if (server->nr_clients-- == CLIENTS_MAX)
		loop_add(server->loop, &server->source);
	free(client);
}

static void client_gone(struct client *client)
{
	loop_remove(client->server->loop, &client->source);
	fd_close(&client->source.fd);
	if (!client->held)
		client_free(client);
}

/* Replies come in the order of the requests: the next one waits in the socket. */
void client_hold(struct client *client)
{
	client->held++;
	loop_remove(client->server->loop, &client->source);
}

bool client_has_gone(const struct client *client)
{
	char byte;

	return client->source.fd < 0 ||
	       recv(client->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void send_reply(struct client *client, struct ctl_msg *reply)
{
	int err = 0;

	client->answered = true;
	if (client->source.fd >= 0)
		err = ctl_msg_send(client->source.fd, reply);
	/* Of many frontends there may be more to say than a message holds. */
	if (err == -EMSGSIZE) {
		ctl_reply_error(reply, EMSGSIZE, "the reply is too long for one message");
		err = ctl_msg_send(client->source.fd, reply);
	}
	ctl_msg_clear(reply);
	if (err) {
		log_warning("cannot answer on the control socket: %s", strerror(-err));
		client_gone(client);
	}
}

void client_reply(struct client *client, struct ctl_msg *reply)
{
	client->held--;
	if (loop_add(client->server->loop, &client->source)) {
		ctl_msg_clear(reply);
		client_gone(client);
		return;
	}
	if (client->dropped)
		loop_post(client->server->loop, &client->server->drop);
	send_reply(client, reply);
}

/* One request, if there is one; @client may be gone then. False: there is none. */
static bool serve(struct client *client)
{
	struct server *server = client->server;
	struct ctl_msg request = CTL_MSG_INIT;
	struct ctl_msg reply = CTL_MSG_INIT;
	int err = ctl_msg_recv(client->source.fd, &request);
	bool now = true;

	if (err == -EAGAIN)
		return false;
	if (!err)
		now = server->handler(server->context, client, &request, &reply);
	else if (err == -EBADMSG || err == -EPROTONOSUPPORT)
		ctl_reply_error(&reply, -err, "not a message of version %d of the protocol",
				CTL_PROTO_VERSION);
	else
		now = false;
	ctl_msg_clear(&request);
	if (now)
		send_reply(client, &reply);
	else if (err)
		client_gone(client);
	return true;
}

static void client_ready(struct loop_source *source)
{
	serve(client_of(source));
}

/* One that waits for a reply has more time. NULL: none is left. */
static struct client *find_dropped(const struct server *server)
{
	struct client *client;

	for (client = server->clients; client; client = client->next)
		if (client->dropped && !client->held && client->source.fd >= 0)
			break;
	return client;
}

/* A request at a time, with others' turns in between. */
static void drop(struct loop_task *task)
{
	struct server *server = (struct server *)((char *)task - offsetof(struct server, drop));
	struct client *client = find_dropped(server);

	if (!client)
		return;
	if (!serve(client))
		client_gone(client);
	loop_post(server->loop, task);
}

void client_drop_others(struct client *client)
{
	struct server *server = client->server;
	struct client *other;

	for (other = server->clients; other; other = other->next)
		other->dropped |= other != client && other->answered && !other->held;
	loop_post(server->loop, &server->drop);
}

static bool peer_is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

static void accept_ready(struct loop_source *source)
{
	struct server *server = server_of(source);
	CLEANUP_CLOSE int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (fd < 0 || !peer_is_root(fd))
		return;
	client = calloc(1, sizeof(*client));
	if (!client)
		return;
	client->server = server;
	client->source = (struct loop_source){ .fd = fd, .ready = client_ready };
	if (loop_add(server->loop, &client->source)) {
		free(client);
		return;
	}
	fd_take(&fd);
	client->next = server->clients;
	server->clients = client;
	if (++server->nr_clients == CLIENTS_MAX)
		loop_remove(server->loop, &server->source);
}

static void own_address(struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), XENTAP_CTL_PREFIX "%d",
		 (int)getpid());
}

int server_bind(void)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	mode_t old_mask;
	int err = 0;

	own_address(&address);
	if (fd < 0)
		return -errno;
	if (mkdir(XENTAP_RUN_DIR, 0755) && errno != EEXIST) {
		err = -errno;
		log_error("cannot make %s: %s", XENTAP_RUN_DIR, strerror(-err));
		return err;
	}
	/* Left behind by a process that had our number before. */
	unlink(address.sun_path);
	old_mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG))
		err = -errno;
	umask(old_mask);
	if (err) {
		log_error("cannot listen on %s: %s", address.sun_path, strerror(-err));
		return err;
	}
	return fd_take(&fd);
}

int server_create(struct loop *loop, int fd, server_handler handler, void *context,
		  struct server **out)
{
	struct server *server = calloc(1, sizeof(*server));
	int err;

	if (!server) {
		close(fd);
		return -ENOMEM;
	}
	server->loop = loop;
	server->handler = handler;
	server->context = context;
	server->drop.run = drop;
	server->source = (struct loop_source){ .fd = fd, .ready = accept_ready };
	own_address(&server->address);
	err = loop_add(loop, &server->source);
	if (err) {
		close(fd);
		free(server);
		return err;
	}
	*out = server;
	return 0;
}

static void say_the_end(const struct client *client)
{
	struct ctl_msg reply = CTL_MSG_INIT;

	ctl_reply_error(&reply, ESHUTDOWN, "tapdisk %d was told to end", (int)getpid());
	/* Who does not read has the end of the connection. */
	ctl_msg_send(client->source.fd, &reply);
	ctl_msg_clear(&reply);
}

void server_destroy(struct server *server, bool told)
{
	loop_unpost(server->loop, &server->drop);
	loop_remove(server->loop, &server->source);
	close(server->source.fd);
	unlink(server->address.sun_path);
	while (server->clients) {
		struct client *client = server->clients;

		if (told && client->source.fd >= 0)
			say_the_end(client);
		fd_close(&client->source.fd);
		server->clients = client->next;
		free(client);
	}
	free(server);
}
