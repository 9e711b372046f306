/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the NBD server.
 *
 *	server.c	listens, has the connections, ends them
 *	conn.c		bytes of one connection: in, by turns, and out
 *	handshake.c	options, until the client has chosen the export
 *	request.c	commands, from then on
 *
 * A client costs others nothing but its share of the disk: all memory is its
 * connection's, of a fixed size, and what has no room waits in the socket. Data moves
 * in pieces, whatever a request's length. A request keeps its slot, and a piece its
 * buffer, until the reply has left; so who does not read gets no more.
 */
#ifndef NBD_INTERNAL_H
#define NBD_INTERNAL_H

#include "base/log.h"
#include "nbd/extents.h"
#include "nbd/proto.h"
#include "nbd/server.h"

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

#define CONNS_MAX		16u
/* I/O of all clients that the kernel holds: guests' does not queue behind more. */
#define AIO_DEPTH		64u
#define HANDSHAKE_NS		30000000000ull
#define REQUESTS_MAX		64u		/* of a connection, at one time */
#define PIECE_BYTES		(256u << 10)
#define PIECES_MAX		16u
/* Writes go on while a client leaves its reads' data in the socket. */
#define READ_PIECES_MAX		12u
#define OPTION_DATA_MAX		8192u		/* a name has up to 4096 */
#define HELLO_BYTES_MAX		256u		/* of what is answered to an option */
#define REPLY_HEADER_MAX	28u
#define EXTENT_BYTES		8u		/* in a reply */

struct nbd_conn;

/* Bytes on their way out. */
struct nbd_reply {
	struct nbd_reply *next;
	uint8_t header[REPLY_HEADER_MAX];
	size_t header_bytes;
	const uint8_t *data;
	size_t data_bytes;
	size_t sent;			/* of both */
	/* All of it has left. */
	void (*done)(struct nbd_conn *conn, struct nbd_reply *reply);
};

struct nbd_request {
	struct nbd_conn *conn;
	struct nbd_request *next;	/* free; reading; ended */
	uint64_t cookie;		/* what the client calls it */
	uint16_t command;
	uint16_t flags;
	uint64_t at;			/* up to here it is done, or begun */
	uint64_t end;
	unsigned int busy;		/* I/O under way */
	int error;
	bool headed;			/* the reply's header has been sent, in pieces' mode */
	bool keep_space;		/* zeros are written, no hole is made */
	bool synced;			/* its FUA is done */
	struct io io;			/* all but reads and writes */
	struct iovec zero_iov;
	struct extents_query *query;
	struct nbd_reply reply;
};

/* A part of a read or write, and its buffer. */
struct nbd_piece {
	struct nbd_piece *next;		/* free; ended */
	struct nbd_piece *next_of_all;
	struct nbd_request *request;
	bool is_last;			/* its reply ends the request */
	uint8_t *data;			/* PIECE_BYTES */
	size_t filled;			/* while a write's data comes in */
	struct iovec iov;
	struct io io;
	struct nbd_reply reply;
};

enum conn_state {
	CONN_HELLO,		/* the client's flags */
	CONN_OPTION,		/* an option's header */
	CONN_OPTION_DATA,
	CONN_REQUEST,		/* a request's header */
	CONN_PAYLOAD,		/* of the write in "writing" */
	CONN_LAST,		/* nothing more; it ends when all is answered */
};

struct nbd_conn {
	struct loop_source source;	/* fd -1: closed */
	unsigned int events;		/* it is watched for */
	struct nbd_server *server;
	struct nbd_conn *next;
	struct loop_task task;		/* something ended */
	struct timer handshake;
	bool dead;			/* waits for its I/O, then goes */
	unsigned int busy;		/* I/O and queries under way */

	enum conn_state state;
	size_t got, wanted;		/* bytes of input */
	uint64_t skip;			/* bytes to be thrown away first */
	uint8_t input[OPTION_DATA_MAX];

	/* What was agreed on. */
	bool fixed;
	bool no_zeroes;
	bool structured;
	bool allocation;		/* base:allocation */
	uint32_t option;
	struct nbd_reply hello;
	uint8_t hello_bytes[HELLO_BYTES_MAX];

	struct nbd_reply *out;
	struct nbd_reply **out_end;

	struct nbd_request *free_requests;
	unsigned int nr_requests;	/* in use */
	struct nbd_request *reading;	/* with pieces to be read, in order */
	struct nbd_request **reading_end;
	struct nbd_request *alone;	/* its reply may not be mixed with others' */
	struct nbd_request *writing;
	struct nbd_piece *filling;	/* of that */
	struct nbd_piece *free_pieces;
	struct nbd_piece *pieces;	/* all */
	unsigned int nr_pieces, nr_read_pieces;
	struct nbd_request *ended_requests;
	struct nbd_piece *ended_pieces;

	struct nbd_request requests[REQUESTS_MAX];
};

struct nbd_server {
	struct nbd_config config;
	struct worker worker;		/* in the loop's thread; its loop is NULL at first */
	struct io_source io_source;
	struct loop_source listener;	/* fd -1: none */
	struct nbd_conn *conns;
	struct extents extents;
	struct nbd_stats stats;
	struct log_limit complaints;
	bool warned;			/* of a write beside a guest */
	bool closing;
	void (*closed)(void *context);
	void *closed_context;
};

/* ---- server.c ---- */

/* @conn is gone but for its memory, which is freed. The server may go with the last one. */
void nbd_server_forget(struct nbd_server *server, struct nbd_conn *conn);

static inline uint64_t export_bytes(const struct nbd_server *server)
{
	const struct image *image = server->config.store->image;

	/* It may grow. */
	return __atomic_load_n(&image->sectors, __ATOMIC_RELAXED) << SECTOR_SHIFT;
}

/* The unit of requests: what is less goes through no layer of the store. */
static inline uint32_t block_min(const struct nbd_server *server)
{
	const struct image *image = server->config.store->image;

	return image->block_bytes < image->sector_bytes ? image->block_bytes : image->sector_bytes;
}

/* ---- conn.c ---- */

/* Takes over @fd. NULL: no memory, or the loop takes no more. */
struct nbd_conn *nbd_conn_create(struct nbd_server *server, int fd);
/* End it now; it goes once its I/O has ended. Not from its own functions. */
void nbd_conn_end(struct nbd_conn *conn);

/* Have @reply sent after those before it. */
void nbd_conn_send(struct nbd_conn *conn, struct nbd_reply *reply);
/* Have it ended soon, for a fault of the client's, or for none (NULL). */
void nbd_conn_drop(struct nbd_conn *conn, const char *fault);
/* Input is next a thing of @bytes in conn->input. */
void nbd_conn_expect(struct nbd_conn *conn, enum conn_state state, size_t bytes);

/* ---- handshake.c: what was expected is in conn->input ---- */

void nbd_handshake_begin(struct nbd_conn *conn);
void nbd_handshake_hello(struct nbd_conn *conn);
void nbd_handshake_option(struct nbd_conn *conn);
void nbd_handshake_option_data(struct nbd_conn *conn);

/* ---- request.c ---- */

void nbd_request_init(struct nbd_conn *conn);
/* A request's header has come. */
void nbd_request_take(struct nbd_conn *conn);
/* Where data of the write under way goes: bytes, or 0: there is no room now. */
size_t nbd_request_room(struct nbd_conn *conn, uint8_t **where);
void nbd_request_filled(struct nbd_conn *conn, size_t bytes);
/* Deal with all that ended. */
void nbd_request_ended(struct nbd_conn *conn);
/* Begin as many reads as there are buffers for. */
void nbd_request_read_on(struct nbd_conn *conn);
/* All data of the write under way has come, or was thrown away. */
void nbd_request_payload_over(struct nbd_conn *conn);
/* Nothing is under way. */
void nbd_request_free_all(struct nbd_conn *conn);

#endif /* NBD_INTERNAL_H */
