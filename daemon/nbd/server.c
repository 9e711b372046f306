// SPDX-License-Identifier: GPL-2.0-or-later
#include "nbd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "nbd/internal.h"

static void stop_listening(struct nbd_server *server)
{
	loop_remove(server->config.loop, &server->listener);
	fd_close(&server->listener.fd);
}

static void destroy(struct nbd_server *server)
{
	void (*closed)(void *context) = server->closed;
	void *context = server->closed_context;

	/* Its thread sends notes to the worker. */
	extents_uninit(&server->extents);
	if (server->worker.loop)
		worker_uninit(&server->worker);
	free(server);
	closed(context);
}

void nbd_server_forget(struct nbd_server *server, struct nbd_conn *conn)
{
	struct nbd_conn **p;

	for (p = &server->conns; *p != conn; p = &(*p)->next)
		;
	*p = conn->next;
	nbd_request_free_all(conn);
	free(conn);
	if (server->stats.connections-- == CONNS_MAX && server->listener.fd >= 0)
		loop_watch(server->config.loop, &server->listener, LOOP_READ);
	if (server->closing && !server->conns)
		destroy(server);
}

/* Most disks never have a client, and hosts have a limit for asynchronous I/O. */
static int begin_worker(struct nbd_server *server)
{
	int err;

	if (server->worker.loop)
		return 0;
	err = worker_init(&server->worker, server->config.loop, AIO_DEPTH);
	if (!err)
		return 0;
	server->worker.loop = NULL;
	log_error("%s: no NBD client can be served, since asynchronous I/O cannot be set up: %s%s",
		  server->config.path, strerror(-err),
		  err == -EAGAIN ? "; raise the sysctl fs.aio-max-nr" : "");
	return err;
}

int nbd_server_connect(struct nbd_server *server, int fd)
{
	int err = begin_worker(server);
	struct nbd_conn *conn = err ? NULL : nbd_conn_create(server, fd);

	if (!conn) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	conn->next = server->conns;
	server->conns = conn;
	server->stats.accepted++;
	/* More have to wait until one goes. */
	if (++server->stats.connections == CONNS_MAX && server->listener.fd >= 0)
		loop_watch(server->config.loop, &server->listener, 0);
	return 0;
}

static bool may_connect(const struct nbd_server *server, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       peer.uid == server->config.peer_uid;
}

static void listener_ready(struct loop_source *source)
{
	struct nbd_server *server = container_of(source, struct nbd_server, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (may_connect(server, fd)) {
		nbd_server_connect(server, fd);
		return;
	}
	server->stats.refused++;
	close(fd);
}

int nbd_server_create(const struct nbd_config *config, int listen_fd, struct nbd_server **out)
{
	struct nbd_server *server = calloc(1, sizeof(*server));
	int err = 0;

	if (!server)
		return -ENOMEM;
	server->config = *config;
	server->listener = (struct loop_source){ .fd = listen_fd, .ready = listener_ready };
	server->complaints.burst = 3;
	extents_init(&server->extents, config->store->image);
	/* A client may be gone again before it is accepted. */
	if (listen_fd >= 0 && fcntl(listen_fd, F_SETFL, O_NONBLOCK))
		err = -errno;
	if (!err && listen_fd >= 0)
		err = loop_add(config->loop, &server->listener);
	if (err) {
		extents_uninit(&server->extents);
		free(server);
		return err;
	}
	*out = server;
	return 0;
}

void nbd_server_close(struct nbd_server *server, void (*closed)(void *context), void *context)
{
	struct nbd_conn *conn = server->conns;

	stop_listening(server);
	server->closed = closed;
	server->closed_context = context;
	while (conn) {
		struct nbd_conn *next = conn->next;

		nbd_conn_end(conn);
		conn = next;
	}
	/* Not before, lest the last one takes the server with it. */
	server->closing = true;
	if (!server->conns)
		destroy(server);
}

const struct nbd_stats *nbd_server_stats(const struct nbd_server *server)
{
	return &server->stats;
}
