// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of one connection. Everything happens in turns of a bounded size, so that
 * guests served by the same loop wait no longer than for one of them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "nbd/internal.h"

/* Of one turn, in each direction. */
#define TURN_BYTES	(2u * PIECE_BYTES)
#define TURN_STEPS	32u

/* What is thrown away goes here. One thread only writes to it; nobody reads. */
static uint8_t nowhere[16384];

void nbd_conn_expect(struct nbd_conn *conn, enum conn_state state, size_t bytes)
{
	conn->state = state;
	conn->got = 0;
	conn->wanted = bytes;
}

void nbd_conn_drop(struct nbd_conn *conn, const char *fault)
{
	struct nbd_server *server = conn->server;

	if (conn->dead)
		return;
	conn->dead = true;
	if (!fault)
		return;
	server->stats.broken++;
	if (log_limited(&server->complaints))
		log_warning("%s: an NBD client is dropped: %s", server->config.path, fault);
}

/* ---- out ---- */

void nbd_conn_send(struct nbd_conn *conn, struct nbd_reply *reply)
{
	reply->sent = 0;
	reply->next = NULL;
	*conn->out_end = reply;
	conn->out_end = &reply->next;
}

static ssize_t send_some(const struct nbd_conn *conn, const struct nbd_reply *reply)
{
	size_t of_data = reply->sent > reply->header_bytes ? reply->sent - reply->header_bytes : 0;
	size_t of_header = reply->sent - of_data;
	struct iovec iov[2] = {
		{ (void *)(reply->header + of_header), reply->header_bytes - of_header },
	};
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 1 };

	if (reply->data_bytes) {
		iov[1] = (struct iovec){ (void *)(reply->data + of_data),
					 reply->data_bytes - of_data };
		message.msg_iovlen = 2;
	}
	return sendmsg(conn->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Send what the socket takes. True: something has left, and its buffers are free. */
static bool send_out(struct nbd_conn *conn, size_t *budget)
{
	bool some_left = false;

	while (conn->out && !conn->dead && *budget) {
		struct nbd_reply *reply = conn->out;
		ssize_t sent = send_some(conn, reply);

		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR)
				nbd_conn_drop(conn, NULL);
			break;
		}
		*budget -= (size_t)sent < *budget ? (size_t)sent : *budget;
		reply->sent += (size_t)sent;
		if (reply->sent < reply->header_bytes + reply->data_bytes)
			continue;
		conn->out = reply->next;
		if (!conn->out)
			conn->out_end = &conn->out;
		reply->done(conn, reply);
		some_left = true;
	}
	return some_left;
}

/* ---- in ---- */

/* Where input goes now: bytes; 0: it waits. */
static size_t room(struct nbd_conn *conn, uint8_t **where)
{
	if (conn->dead || conn->state == CONN_LAST)
		return 0;
	/* One option is answered before the next is taken. */
	if (conn->state < CONN_REQUEST && conn->out)
		return 0;
	if (conn->state == CONN_PAYLOAD && !conn->skip) {
		size_t bytes = nbd_request_room(conn, where);

		if (bytes || !conn->skip)
			return bytes;
	}
	if (conn->skip) {
		*where = nowhere;
		return conn->skip < sizeof(nowhere) ? conn->skip : sizeof(nowhere);
	}
	if (conn->state == CONN_REQUEST && (conn->alone || !conn->free_requests))
		return 0;
	*where = conn->input + conn->got;
	return conn->wanted - conn->got;
}

static void take(struct nbd_conn *conn)
{
	switch (conn->state) {
	case CONN_HELLO:
		nbd_handshake_hello(conn);
		break;
	case CONN_OPTION:
		nbd_handshake_option(conn);
		break;
	case CONN_OPTION_DATA:
		nbd_handshake_option_data(conn);
		break;
	case CONN_REQUEST:
		nbd_request_take(conn);
		break;
	case CONN_PAYLOAD:
	case CONN_LAST:
		break;
	}
}

static void came_in(struct nbd_conn *conn, size_t bytes)
{
	if (conn->skip) {
		conn->skip -= bytes;
		if (!conn->skip && conn->state == CONN_PAYLOAD)
			nbd_request_payload_over(conn);
		return;
	}
	if (conn->state == CONN_PAYLOAD) {
		nbd_request_filled(conn, bytes);
		return;
	}
	conn->got += bytes;
	if (conn->got == conn->wanted)
		take(conn);
}

static void receive(struct nbd_conn *conn)
{
	size_t budget = TURN_BYTES;
	unsigned int steps;
	uint8_t *where;
	size_t bytes;

	for (steps = 0; steps < TURN_STEPS && budget; steps++) {
		ssize_t got;

		bytes = room(conn, &where);
		if (!bytes)
			return;
		got = recv(conn->source.fd, where, bytes < budget ? bytes : budget, MSG_DONTWAIT);
		if (got > 0) {
			budget -= (size_t)got;
			came_in(conn, (size_t)got);
			continue;
		}
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			nbd_conn_drop(conn, NULL);
		return;
	}
}

/* ---- turns ---- */

static void watch(struct nbd_conn *conn)
{
	uint8_t *where;
	unsigned int events = conn->out ? LOOP_WRITE : 0;

	if (room(conn, &where))
		events |= LOOP_READ;
	if (events == conn->events)
		return;
	conn->events = events;
	if (loop_watch(conn->server->config.loop, &conn->source, events))
		nbd_conn_drop(conn, NULL);
}

/* Close it, or what is left of it: I/O that ends later finds it dead. */
static void end_dead(struct nbd_conn *conn)
{
	struct worker *worker = &conn->server->worker;

	timer_stop(&worker->timers, &conn->handshake);
	loop_remove(worker->loop, &conn->source);
	fd_close(&conn->source.fd);
	conn->out = NULL;
	conn->out_end = &conn->out;
	if (conn->busy)
		return;
	loop_unpost(worker->loop, &conn->task);
	nbd_server_forget(conn->server, conn);
}

/* The last thing of each turn; @conn may be gone after it. */
static void go_on(struct nbd_conn *conn)
{
	struct worker *worker = &conn->server->worker;
	size_t budget = TURN_BYTES;

	nbd_request_ended(conn);
	do {
		nbd_request_read_on(conn);
	} while (send_out(conn, &budget));
	aio_submit(&worker->aio);
	if (conn->state == CONN_LAST && !conn->out && !conn->nr_requests)
		conn->dead = true;
	if (!conn->dead)
		watch(conn);
	if (conn->dead)
		end_dead(conn);
}

static void conn_ready(struct loop_source *source)
{
	struct nbd_conn *conn = container_of(source, struct nbd_conn, source);

	receive(conn);
	go_on(conn);
}

static void conn_task(struct loop_task *task)
{
	go_on(container_of(task, struct nbd_conn, task));
}

static void handshake_late(struct timer *timer)
{
	struct nbd_conn *conn = container_of(timer, struct nbd_conn, handshake);

	nbd_conn_drop(conn, "it has not chosen the export within 30 seconds");
	loop_post(conn->server->config.loop, &conn->task);
}

struct nbd_conn *nbd_conn_create(struct nbd_server *server, int fd)
{
	struct worker *worker = &server->worker;
	struct nbd_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->server = server;
	conn->source = (struct loop_source){ .fd = fd, .ready = conn_ready };
	conn->task.run = conn_task;
	conn->out_end = &conn->out;
	nbd_request_init(conn);
	nbd_handshake_begin(conn);
	if (loop_watch(worker->loop, &conn->source, LOOP_WRITE)) {
		free(conn);
		return NULL;
	}
	conn->events = LOOP_WRITE;
	conn->handshake.run = handshake_late;
	timer_start(&worker->timers, &conn->handshake, clock_ns() + HANDSHAKE_NS);
	return conn;
}

void nbd_conn_end(struct nbd_conn *conn)
{
	conn->dead = true;
	end_dead(conn);
}
