// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands. Reads and writes move in pieces, which are I/O of their own; all else is
 * the I/O of the request. An I/O that ends is put aside, and dealt with in a turn of
 * the connection.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "nbd/internal.h"

#define MEMORY_ALIGN	4096u
/* Zeros that are written: so many at one time, from so much memory. */
#define ZERO_BYTES	65536u
#define ZERO_IOVS	16u

/* Never written to. */
static uint8_t zeros[ZERO_BYTES] __attribute__((aligned(MEMORY_ALIGN)));

static bool modifies(uint16_t command)
{
	return command == NBD_CMD_WRITE || command == NBD_CMD_TRIM ||
	       command == NBD_CMD_WRITE_ZEROES;
}

/* ---- answers ---- */

/* What every client knows. */
static uint32_t wire_error(int error)
{
	switch (-error) {
	case 0:
		return 0;
	case EPERM:
	case EROFS:
		return NBD_EPERM;
	case ENOMEM:
		return NBD_ENOMEM;
	case EINVAL:
		return NBD_EINVAL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NBD_ENOSPC;
	case EOVERFLOW:
		return NBD_EOVERFLOW;
	case EOPNOTSUPP:
		return NBD_ENOTSUP;
	default:
		return NBD_EIO;
	}
}

static void put_request(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;

	free(request->query);
	request->query = NULL;
	if (conn->alone == request)
		conn->alone = NULL;
	request->next = conn->free_requests;
	conn->free_requests = request;
	conn->nr_requests--;
}

static void request_sent(struct nbd_conn *conn, struct nbd_reply *reply)
{
	(void)conn;
	put_request(container_of(reply, struct nbd_request, reply));
}

static size_t put_simple(uint8_t *to, const struct nbd_request *request)
{
	to = put_u32(to, NBD_SIMPLE_MAGIC);
	to = put_u32(to, wire_error(request->error));
	put_u64(to, request->cookie);
	return NBD_SIMPLE_BYTES;
}

static uint8_t *put_chunk(uint8_t *to, const struct nbd_request *request, bool is_last,
			  enum nbd_chunk type, size_t bytes)
{
	to = put_u32(to, NBD_CHUNK_MAGIC);
	to = put_u16(to, is_last ? NBD_CHUNK_DONE : 0);
	to = put_u16(to, (uint16_t)type);
	to = put_u64(to, request->cookie);
	return put_u32(to, (uint32_t)bytes);
}

static void put_extents(struct nbd_request *request)
{
	struct extents_query *query = request->query;
	/* In their own place: each is as long in the reply as it is here. */
	uint8_t *to = (uint8_t *)query->extents;
	struct nbd_reply *reply = &request->reply;
	unsigned int i;

	_Static_assert(sizeof(struct extent) == EXTENT_BYTES, "extents are converted in place");
	reply->data = to;
	reply->data_bytes = query->nr * EXTENT_BYTES;
	for (i = 0; i < query->nr; i++) {
		struct extent extent = query->extents[i];

		to = put_u32(to, extent.bytes);
		to = put_u32(to, extent.hole ? NBD_STATE_HOLE | NBD_STATE_ZERO : 0);
	}
	to = put_chunk(reply->header, request, true, NBD_CHUNK_BLOCK_STATUS,
		       sizeof(uint32_t) + reply->data_bytes);
	to = put_u32(to, NBD_CONTEXT_ID);
	reply->header_bytes = (size_t)(to - reply->header);
}

static bool in_chunks(const struct nbd_request *request)
{
	return request->conn->structured && (request->command == NBD_CMD_READ ||
					     request->command == NBD_CMD_BLOCK_STATUS);
}

/* All of @request has ended. Data of a read has its own replies, of which one is the last. */
static void answer(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;
	struct nbd_reply *reply = &request->reply;

	conn->server->stats.errors += request->error != 0;
	*reply = (struct nbd_reply){ .done = request_sent };
	if (request->error && request->headed) {
		/* It was told that the data is coming; there is no other way to say no. */
		nbd_conn_drop(conn, NULL);
		return;
	}
	if (!in_chunks(request)) {
		reply->header_bytes = put_simple(reply->header, request);
	} else if (request->error) {
		uint8_t *to = put_chunk(reply->header, request, true, NBD_CHUNK_ERROR, 6);

		to = put_u32(to, wire_error(request->error));
		to = put_u16(to, 0);
		reply->header_bytes = (size_t)(to - reply->header);
	} else {
		put_extents(request);
	}
	nbd_conn_send(conn, reply);
}

/* ---- I/O ---- */

static void submit(struct nbd_conn *conn, struct io *io, enum io_op op, uint64_t offset,
		   uint64_t bytes, void (*done)(struct io *io, int error))
{
	io->op = op;
	io->flags = 0;
	io->offset = offset;
	io->bytes = bytes;
	io->worker = &conn->server->worker;
	io->source = &conn->server->io_source;
	io->done = done;
	io->nr_hooks = 0;
	conn->busy++;
	store_submit(conn->server->config.store, io);
}

static void request_put_aside(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;

	request->next = conn->ended_requests;
	conn->ended_requests = request;
	loop_post(conn->server->config.loop, &conn->task);
}

static void request_io_done(struct io *io, int error)
{
	struct nbd_request *request = container_of(io, struct nbd_request, io);

	io->result = error;
	request_put_aside(request);
}

static void piece_io_done(struct io *io, int error)
{
	struct nbd_piece *piece = container_of(io, struct nbd_piece, io);
	struct nbd_conn *conn = piece->request->conn;

	io->result = error;
	piece->next = conn->ended_pieces;
	conn->ended_pieces = piece;
	loop_post(conn->server->config.loop, &conn->task);
}

static void flush(struct nbd_request *request)
{
	request->io.iov = NULL;
	request->io.nr_iov = 0;
	request->synced = true;
	request->busy++;
	submit(request->conn, &request->io, IO_FLUSH, 0, 0, request_io_done);
}

/*
 * What was acknowledged may be lost, to guests as well, and no later flush can prove
 * otherwise.
 */
static void flush_failed(struct nbd_server *server, int error)
{
	if (store_fail(server->config.store))
		log_error("%s: an NBD client's flush failed: %s; acknowledged writes may be lost, "
			  "so that all further writes are refused: check the store and attach the "
			  "disk anew", server->config.path, strerror(-error));
}

/* ---- pieces and their buffers ---- */

static struct nbd_piece *piece_create(struct nbd_conn *conn)
{
	struct nbd_piece *piece = calloc(1, sizeof(*piece));
	void *data;

	if (!piece)
		return NULL;
	if (posix_memalign(&data, MEMORY_ALIGN, PIECE_BYTES)) {
		free(piece);
		return NULL;
	}
	piece->data = data;
	piece->next_of_all = conn->pieces;
	conn->pieces = piece;
	conn->nr_pieces++;
	return piece;
}

/* One for @request; or NULL: others are to be waited for, or it has failed. */
static struct nbd_piece *get_piece(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;
	bool read = request->command == NBD_CMD_READ;
	struct nbd_piece *piece = conn->free_pieces;

	if (read && conn->nr_read_pieces == READ_PIECES_MAX)
		return NULL;
	if (piece)
		conn->free_pieces = piece->next;
	else if (conn->nr_pieces < PIECES_MAX)
		piece = piece_create(conn);
	if (!piece) {
		if (!conn->nr_pieces)
			request->error = -ENOMEM;
		return NULL;
	}
	conn->nr_read_pieces += read;
	piece->request = request;
	piece->is_last = false;
	piece->filled = 0;
	return piece;
}

static void put_piece(struct nbd_conn *conn, struct nbd_piece *piece)
{
	conn->nr_read_pieces -= piece->request->command == NBD_CMD_READ;
	piece->next = conn->free_pieces;
	conn->free_pieces = piece;
}

/*
 * Of the next piece of @request. The first of several ends where all others do not
 * have parts of blocks any more.
 */
static size_t piece_bytes(const struct nbd_request *request)
{
	uint64_t left = request->end - request->at;

	return left <= PIECE_BYTES ? left : PIECE_BYTES - request->at % MEMORY_ALIGN;
}

static void piece_start(struct nbd_piece *piece, enum io_op op, size_t bytes)
{
	struct nbd_request *request = piece->request;

	piece->iov = (struct iovec){ piece->data, bytes };
	piece->io.iov = &piece->iov;
	piece->io.nr_iov = 1;
	request->busy++;
	request->at += bytes;
	submit(request->conn, &piece->io, op, request->at - bytes, bytes, piece_io_done);
}

/* ---- reads ---- */

static void data_sent(struct nbd_conn *conn, struct nbd_reply *reply)
{
	struct nbd_piece *piece = container_of(reply, struct nbd_piece, reply);

	put_piece(conn, piece);
	if (piece->is_last)
		put_request(piece->request);
}

static void answer_data(struct nbd_piece *piece)
{
	struct nbd_request *request = piece->request;
	struct nbd_reply *reply = &piece->reply;
	uint8_t *to = reply->header;

	piece->is_last = !request->busy && request->at == request->end;
	*reply = (struct nbd_reply){
		.data = piece->data, .data_bytes = piece->io.bytes, .done = data_sent,
	};
	if (in_chunks(request)) {
		to = put_chunk(to, request, piece->is_last, NBD_CHUNK_OFFSET_DATA,
			       sizeof(uint64_t) + piece->io.bytes);
		to = put_u64(to, piece->io.offset);
		reply->header_bytes = (size_t)(to - reply->header);
	} else if (!request->headed) {
		reply->header_bytes = put_simple(to, request);
		request->headed = true;
	}
	nbd_conn_send(request->conn, reply);
}

static void read_ended(struct nbd_piece *piece)
{
	struct nbd_request *request = piece->request;
	struct nbd_conn *conn = request->conn;

	if (piece->io.result) {
		if (!request->error)
			request->error = piece->io.result;
		put_piece(conn, piece);
	} else if (request->error) {
		put_piece(conn, piece);
	} else {
		conn->server->stats.read_bytes += piece->io.bytes;
		answer_data(piece);
	}
	if (request->error && conn->reading != request && !request->busy)
		answer(request);
}

/* Its pieces come one after the other, and no other reply between them. */
static bool goes_alone(const struct nbd_request *request)
{
	return !in_chunks(request) && request->end - request->at > PIECE_BYTES;
}

static bool may_read_on(const struct nbd_request *request)
{
	const struct nbd_conn *conn = request->conn;

	return conn->alone != request ||
	       (conn->nr_requests == 1 && !request->busy && !conn->nr_read_pieces);
}

static void reading_over(struct nbd_conn *conn)
{
	struct nbd_request *request = conn->reading;

	conn->reading = request->next;
	if (!conn->reading)
		conn->reading_end = &conn->reading;
	if (request->error && !request->busy)
		answer(request);
}

void nbd_request_read_on(struct nbd_conn *conn)
{
	while (!conn->dead && conn->reading) {
		struct nbd_request *request = conn->reading;
		struct nbd_piece *piece = NULL;

		if (!request->error && !may_read_on(request))
			return;
		if (!request->error)
			piece = get_piece(request);
		if (!piece && !request->error)
			return;
		if (piece)
			piece_start(piece, IO_READ, piece_bytes(request));
		if (request->error || request->at == request->end)
			reading_over(conn);
	}
}

/* ---- writes ---- */

static void request_next(struct nbd_request *request);

static void write_ended(struct nbd_piece *piece)
{
	struct nbd_request *request = piece->request;
	struct nbd_conn *conn = request->conn;

	if (piece->io.result && !request->error)
		request->error = piece->io.result;
	if (!piece->io.result)
		conn->server->stats.write_bytes += piece->io.bytes;
	put_piece(conn, piece);
	if (conn->writing != request && !request->busy)
		request_next(request);
}

void nbd_request_payload_over(struct nbd_conn *conn)
{
	struct nbd_request *request = conn->writing;

	conn->writing = NULL;
	nbd_conn_expect(conn, CONN_REQUEST, NBD_REQUEST_BYTES);
	if (!request->busy)
		request_next(request);
}

size_t nbd_request_room(struct nbd_conn *conn, uint8_t **where)
{
	struct nbd_request *request = conn->writing;

	if (!conn->filling && !request->error)
		conn->filling = get_piece(request);
	if (conn->filling) {
		*where = conn->filling->data + conn->filling->filled;
		return piece_bytes(request) - conn->filling->filled;
	}
	/* The client has to send it all before it looks for an answer. */
	if (request->error) {
		conn->skip = request->end - request->at;
		request->at = request->end;
	}
	return 0;
}

void nbd_request_filled(struct nbd_conn *conn, size_t bytes)
{
	struct nbd_request *request = conn->writing;
	struct nbd_piece *piece = conn->filling;

	piece->filled += bytes;
	if (piece->filled < piece_bytes(request))
		return;
	conn->filling = NULL;
	piece_start(piece, IO_WRITE, piece->filled);
	if (request->at == request->end)
		nbd_request_payload_over(conn);
}

/* ---- zeros ---- */

/* Whole units of a file's store become holes, which read as zeros. */
static bool can_punch(const struct nbd_request *request, const struct image *image)
{
	return !request->keep_space && !image->is_device && image->can_discard;
}

static void write_zeros(struct nbd_request *request, uint64_t bytes)
{
	static const struct iovec iov[ZERO_IOVS] = {
		[0 ... ZERO_IOVS - 1] = { zeros, ZERO_BYTES },
	};

	/* Whole buffers, or a part of one. */
	if (bytes > ZERO_BYTES) {
		if (bytes > ZERO_BYTES * ZERO_IOVS)
			bytes = ZERO_BYTES * ZERO_IOVS;
		bytes -= bytes % ZERO_BYTES;
		request->io.iov = iov;
		request->io.nr_iov = (unsigned int)(bytes / ZERO_BYTES);
	} else {
		request->zero_iov = (struct iovec){ zeros, bytes };
		request->io.iov = &request->zero_iov;
		request->io.nr_iov = 1;
	}
	submit(request->conn, &request->io, IO_WRITE, request->at, bytes, request_io_done);
}

/* Up to the first unit, then units, then the rest. */
static void zero_on(struct nbd_request *request)
{
	const struct image *image = request->conn->server->config.store->image;
	uint64_t unit = image->discard_granularity;
	uint64_t end = request->end;

	request->busy++;
	if (can_punch(request, image)) {
		uint64_t first = (request->at + unit - 1) / unit * unit;
		uint64_t last = end - end % unit;

		if (first < last && first == request->at) {
			request->io.iov = NULL;
			request->io.nr_iov = 0;
			submit(request->conn, &request->io, IO_DISCARD, first, last - first,
			       request_io_done);
			return;
		}
		if (first < last)
			end = first;
	}
	write_zeros(request, end - request->at);
}

/* ---- requests that are an I/O of their own ---- */

/* What follows when all I/O of @request so far has ended. */
static void request_next(struct nbd_request *request)
{
	if (!request->error && request->command == NBD_CMD_WRITE_ZEROES &&
	    request->at < request->end) {
		zero_on(request);
		return;
	}
	if (!request->error && !request->synced && modifies(request->command) &&
	    request->flags & NBD_CMD_FLAG_FUA) {
		flush(request);
		return;
	}
	answer(request);
}

static void own_io_ended(struct nbd_request *request)
{
	struct nbd_server *server = request->conn->server;
	const struct io *io = &request->io;

	if (io->op == IO_FLUSH && io->result)
		flush_failed(server, io->result);
	/* Another's flush may have got the error that was ours, too. */
	if (io->op == IO_FLUSH && atomic_load(&server->config.store->flush_failed))
		request->error = -EIO;
	else if (io->op == IO_DISCARD && io->result == -EOPNOTSUPP &&
		 request->command == NBD_CMD_WRITE_ZEROES)
		request->keep_space = true;
	else if (io->result)
		request->error = io->result;
	else
		request->at += io->bytes;
}

static void extents_known(struct note *note)
{
	struct extents_query *query = container_of(note, struct extents_query, note);

	request_put_aside(query->asker);
}

/* The extents are told from its start on, and not beyond. */
static void ask_extents(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;
	struct extents_query *query = calloc(1, sizeof(*query));

	if (!query) {
		request->error = -ENOMEM;
		answer(request);
		return;
	}
	query->asker = request;
	query->start = request->at;
	query->end = request->end;
	query->max = request->flags & NBD_CMD_FLAG_REQ_ONE ? 1 : EXTENTS_MAX;
	query->worker = &conn->server->worker;
	query->note.run = extents_known;
	request->query = query;
	request->busy++;
	conn->busy++;
	extents_ask(&conn->server->extents, query);
}

static void take_ended_requests(struct nbd_conn *conn)
{
	struct nbd_request *request;

	while ((request = conn->ended_requests) != NULL) {
		conn->ended_requests = request->next;
		conn->busy--;
		request->busy--;
		if (conn->dead)
			continue;
		if (!request->query)
			own_io_ended(request);
		request_next(request);
	}
}

static void take_ended_pieces(struct nbd_conn *conn)
{
	struct nbd_piece *piece;

	while ((piece = conn->ended_pieces) != NULL) {
		conn->ended_pieces = piece->next;
		conn->busy--;
		piece->request->busy--;
		if (conn->dead)
			continue;
		if (piece->request->command == NBD_CMD_READ)
			read_ended(piece);
		else
			write_ended(piece);
	}
}

void nbd_request_ended(struct nbd_conn *conn)
{
	take_ended_requests(conn);
	take_ended_pieces(conn);
}

/* ---- a request comes ---- */

static uint16_t allowed_flags(const struct nbd_request *request)
{
	switch (request->command) {
	case NBD_CMD_READ:
		return NBD_CMD_FLAG_FUA | (request->conn->structured ? NBD_CMD_FLAG_DF : 0);
	case NBD_CMD_WRITE_ZEROES:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE;
	case NBD_CMD_BLOCK_STATUS:
		return NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
	default:
		return NBD_CMD_FLAG_FUA;
	}
}

static int check_range(const struct nbd_request *request, uint64_t offset, uint32_t length)
{
	const struct nbd_server *server = request->conn->server;
	uint64_t size = export_bytes(server);
	bool carries = request->command == NBD_CMD_READ || request->command == NBD_CMD_WRITE;

	if (!length || (offset | length) & (block_min(server) - 1))
		return -EINVAL;
	if (carries && length > NBD_PAYLOAD_MAX)
		return -EINVAL;
	if (offset > size || length > size - offset)
		return modifies(request->command) ? -ENOSPC : -EINVAL;
	if (request->flags & NBD_CMD_FLAG_DF && length > PIECE_BYTES)
		return -EOVERFLOW;
	return 0;
}

static int check(const struct nbd_request *request, uint64_t offset, uint32_t length)
{
	struct store *store = request->conn->server->config.store;
	bool changes = modifies(request->command);

	if (!changes && request->command != NBD_CMD_READ && request->command != NBD_CMD_FLUSH &&
	    request->command != NBD_CMD_BLOCK_STATUS)
		return -EINVAL;
	if (request->flags & ~allowed_flags(request))
		return -EINVAL;
	if (changes && store->image->readonly)
		return -EPERM;
	if (request->command == NBD_CMD_BLOCK_STATUS && !request->conn->allocation)
		return -EINVAL;
	if (request->command == NBD_CMD_TRIM && !store->image->can_discard)
		return -EOPNOTSUPP;
	if ((changes || request->command == NBD_CMD_FLUSH) && atomic_load(&store->flush_failed))
		return -EIO;
	return request->command == NBD_CMD_FLUSH ? 0 : check_range(request, offset, length);
}

static void warn_of_write(struct nbd_server *server)
{
	int64_t domid = server->warned ? -1 : server->config.user(server->config.context);

	if (domid < 0)
		return;
	server->warned = true;
	log_warning("%s is written by NBD while domain %lld uses it; they destroy it, unless they "
		    "have agreed on who writes what", server->config.path, (long long)domid);
}

static void count(struct nbd_stats *stats, const struct nbd_request *request)
{
	uint64_t *counters[] = {
		[NBD_CMD_READ] = &stats->reads, [NBD_CMD_WRITE] = &stats->writes,
		[NBD_CMD_FLUSH] = &stats->flushes, [NBD_CMD_TRIM] = &stats->discards,
		[NBD_CMD_WRITE_ZEROES] = &stats->zeroes, [NBD_CMD_BLOCK_STATUS] = &stats->queries,
	};

	stats->requests++;
	if (!request->error)
		++*counters[request->command];
}

static void begin_read(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;

	request->next = NULL;
	*conn->reading_end = request;
	conn->reading_end = &request->next;
	if (goes_alone(request))
		conn->alone = request;
}

static void begin(struct nbd_request *request)
{
	struct nbd_conn *conn = request->conn;

	if (modifies(request->command))
		warn_of_write(conn->server);
	switch (request->command) {
	case NBD_CMD_READ:
		begin_read(request);
		break;
	case NBD_CMD_FLUSH:
		flush(request);
		break;
	case NBD_CMD_TRIM:
		request->io.iov = NULL;
		request->io.nr_iov = 0;
		request->busy++;
		submit(conn, &request->io, IO_DISCARD, request->at, request->end - request->at,
		       request_io_done);
		break;
	case NBD_CMD_BLOCK_STATUS:
		ask_extents(request);
		break;
	default:
		request_next(request);
	}
}

/* What the first bytes of a request say. */
static struct nbd_request *get_request(struct nbd_conn *conn)
{
	struct nbd_request *request = conn->free_requests;
	uint64_t offset = get_u64(conn->input + 16);
	uint32_t length = get_u32(conn->input + 24);

	conn->free_requests = request->next;
	conn->nr_requests++;
	request->flags = get_u16(conn->input + 4);
	request->command = get_u16(conn->input + 6);
	request->cookie = get_u64(conn->input + 8);
	request->busy = 0;
	request->headed = request->synced = false;
	request->keep_space = request->flags & NBD_CMD_FLAG_NO_HOLE;
	request->error = check(request, offset, length);
	/* With a refused one only the length is of use. */
	request->at = request->error ? 0 : offset;
	request->end = request->at + length;
	return request;
}

void nbd_request_take(struct nbd_conn *conn)
{
	struct nbd_request *request;

	if (get_u32(conn->input) != NBD_REQUEST_MAGIC) {
		nbd_conn_drop(conn, "what should be a request is none");
		return;
	}
	if (get_u16(conn->input + 6) == NBD_CMD_DISC) {
		conn->state = CONN_LAST;
		return;
	}
	nbd_conn_expect(conn, CONN_REQUEST, NBD_REQUEST_BYTES);
	request = get_request(conn);
	count(&conn->server->stats, request);
	if (request->command == NBD_CMD_WRITE && request->end > request->at) {
		if (!request->error)
			warn_of_write(conn->server);
		conn->writing = request;
		conn->state = CONN_PAYLOAD;
	} else if (request->error) {
		answer(request);
	} else {
		begin(request);
	}
}

void nbd_request_init(struct nbd_conn *conn)
{
	unsigned int i;

	conn->reading_end = &conn->reading;
	for (i = 0; i < REQUESTS_MAX; i++) {
		conn->requests[i].conn = conn;
		conn->requests[i].next = conn->free_requests;
		conn->free_requests = &conn->requests[i];
	}
}

void nbd_request_free_all(struct nbd_conn *conn)
{
	unsigned int i;

	while (conn->pieces) {
		struct nbd_piece *piece = conn->pieces;

		conn->pieces = piece->next_of_all;
		free(piece->data);
		free(piece);
	}
	for (i = 0; i < REQUESTS_MAX; i++)
		free(conn->requests[i].query);
}
