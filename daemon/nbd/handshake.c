// SPDX-License-Identifier: GPL-2.0-or-later
/* The fixed newstyle handshake. There is one export, and its name is empty. */
#include <errno.h>
#include <stddef.h>

#include "nbd/internal.h"

#define OPTION_HEADER_BYTES	16u

static void replied(struct nbd_conn *conn, struct nbd_reply *reply)
{
	(void)conn;
	(void)reply;
}

/* Send what is in hello_bytes up to @end. */
static void send_hello(struct nbd_conn *conn, const uint8_t *end)
{
	conn->hello = (struct nbd_reply){
		.data = conn->hello_bytes, .data_bytes = (size_t)(end - conn->hello_bytes),
		.done = replied,
	};
	nbd_conn_send(conn, &conn->hello);
}

/* ---- replies to options ---- */

static uint8_t *put_reply(uint8_t *to, const struct nbd_conn *conn, uint32_t type, size_t bytes)
{
	to = put_u64(to, NBD_OPTION_REPLY_MAGIC);
	to = put_u32(to, conn->option);
	to = put_u32(to, type);
	return put_u32(to, (uint32_t)bytes);
}

static void acknowledge(struct nbd_conn *conn, uint8_t *to)
{
	send_hello(conn, put_reply(to, conn, NBD_REP_ACK, 0));
}

/* @text is for the client's user. */
static void refuse(struct nbd_conn *conn, uint32_t error, const char *text)
{
	uint8_t *to = put_reply(conn->hello_bytes, conn, error, strlen(text));

	send_hello(conn, put_bytes(to, text, strlen(text)));
}

static void refuse_invalid(struct nbd_conn *conn)
{
	refuse(conn, NBD_REP_ERR_INVALID, "the option's data is not well-formed");
}

static void refuse_name(struct nbd_conn *conn)
{
	refuse(conn, NBD_REP_ERR_UNKNOWN, "the only export has an empty name");
}

/* ---- what options have in common ---- */

static uint16_t export_flags(const struct nbd_conn *conn)
{
	const struct image *image = conn->server->config.store->image;
	/* What one connection had flushed is flushed for all. */
	uint32_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_FLUSH | NBD_FLAG_FUA | NBD_FLAG_MULTI_CONN;

	if (conn->structured)
		flags |= NBD_FLAG_DF;
	if (image->readonly)
		return (uint16_t)(flags | NBD_FLAG_READ_ONLY);
	flags |= NBD_FLAG_WRITE_ZEROES;
	if (image->can_discard)
		flags |= NBD_FLAG_TRIM;
	return (uint16_t)flags;
}

static void begin_transmission(struct nbd_conn *conn)
{
	timer_stop(&conn->server->worker.timers, &conn->handshake);
	nbd_conn_expect(conn, CONN_REQUEST, NBD_REQUEST_BYTES);
}

/* The data of an option that is being read. */
struct reader {
	const uint8_t *at;
	size_t left;
};

static int read_u32(struct reader *reader, uint32_t *value)
{
	if (reader->left < sizeof(*value))
		return -EINVAL;
	*value = get_u32(reader->at);
	reader->at += sizeof(*value);
	reader->left -= sizeof(*value);
	return 0;
}

/* A length and so many bytes. */
static int read_string(struct reader *reader, const char **text, size_t *bytes)
{
	uint32_t length;

	if (read_u32(reader, &length) || length > reader->left)
		return -EINVAL;
	*text = (const char *)reader->at;
	*bytes = length;
	reader->at += length;
	reader->left -= length;
	return 0;
}

static bool is_text(const char *text, size_t bytes, const char *wanted)
{
	return bytes == strlen(wanted) && memcmp(text, wanted, bytes) == 0;
}

/* ---- the options ---- */

/* Nothing can be answered but yes. */
static void option_export_name(struct nbd_conn *conn, const struct reader *reader)
{
	uint8_t *to = conn->hello_bytes;

	if (reader->left) {
		nbd_conn_drop(conn, "it asks for an export by a name, the only one has none");
		return;
	}
	to = put_u64(to, export_bytes(conn->server));
	to = put_u16(to, export_flags(conn));
	if (!conn->no_zeroes) {
		memset(to, 0, 124);
		to += 124;
	}
	send_hello(conn, to);
	begin_transmission(conn);
}

static void option_abort(struct nbd_conn *conn)
{
	acknowledge(conn, conn->hello_bytes);
	conn->state = CONN_LAST;
}

static void option_list(struct nbd_conn *conn, const struct reader *reader)
{
	uint8_t *to = conn->hello_bytes;

	if (reader->left) {
		refuse_invalid(conn);
		return;
	}
	to = put_reply(to, conn, NBD_REP_SERVER, sizeof(uint32_t));
	acknowledge(conn, put_u32(to, 0));
}

static void option_structured_reply(struct nbd_conn *conn, const struct reader *reader)
{
	if (reader->left) {
		refuse_invalid(conn);
		return;
	}
	conn->structured = true;
	acknowledge(conn, conn->hello_bytes);
}

/*
 * INFO and GO. All there is to be said is said, whatever they ask for; what they ask
 * for and we do not know may be left out.
 */
static void option_go(struct nbd_conn *conn, struct reader *reader)
{
	const struct nbd_server *server = conn->server;
	uint32_t physical = server->config.store->image->physical_bytes;
	uint8_t *to = conn->hello_bytes;
	const char *name;
	size_t bytes;

	if (read_string(reader, &name, &bytes) || reader->left < sizeof(uint16_t) ||
	    reader->left != sizeof(uint16_t) * (1u + get_u16(reader->at))) {
		refuse_invalid(conn);
		return;
	}
	if (bytes) {
		refuse_name(conn);
		return;
	}
	to = put_reply(to, conn, NBD_REP_INFO, 12);
	to = put_u16(to, NBD_INFO_EXPORT);
	to = put_u64(to, export_bytes(server));
	to = put_u16(to, export_flags(conn));
	to = put_reply(to, conn, NBD_REP_INFO, 14);
	to = put_u16(to, NBD_INFO_BLOCK_SIZE);
	to = put_u32(to, block_min(server));
	to = put_u32(to, physical > 4096 && !(physical & (physical - 1)) ? physical : 4096);
	to = put_u32(to, NBD_PAYLOAD_MAX);
	acknowledge(conn, to);
	if (conn->option == NBD_OPT_GO)
		begin_transmission(conn);
}

/* Does the query select base:allocation? A list may name a whole family. */
static bool selects(const struct nbd_conn *conn, const char *query, size_t bytes)
{
	return is_text(query, bytes, NBD_CONTEXT_ALLOCATION) ||
	       (conn->option == NBD_OPT_LIST_META_CONTEXT && is_text(query, bytes, "base:"));
}

/* LIST_META_CONTEXT and SET_META_CONTEXT. */
static void option_meta_context(struct nbd_conn *conn, struct reader *reader)
{
	bool set = conn->option == NBD_OPT_SET_META_CONTEXT;
	uint8_t *to = conn->hello_bytes;
	size_t name_bytes, bytes;
	const char *name, *query;
	bool selected = false;
	uint32_t nr, i;

	/* What was set before is no more, whatever becomes of this. */
	if (set)
		conn->allocation = false;
	if (!conn->structured || read_string(reader, &name, &name_bytes) ||
	    read_u32(reader, &nr)) {
		refuse_invalid(conn);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (read_string(reader, &query, &bytes)) {
			refuse_invalid(conn);
			return;
		}
		selected |= selects(conn, query, bytes);
	}
	if (reader->left) {
		refuse_invalid(conn);
		return;
	}
	if (name_bytes) {
		refuse_name(conn);
		return;
	}
	if (selected || (!set && !nr)) {
		to = put_reply(to, conn, NBD_REP_META_CONTEXT,
			       sizeof(uint32_t) + strlen(NBD_CONTEXT_ALLOCATION));
		to = put_u32(to, set ? NBD_CONTEXT_ID : 0);
		to = put_bytes(to, NBD_CONTEXT_ALLOCATION, strlen(NBD_CONTEXT_ALLOCATION));
	}
	if (set)
		conn->allocation = selected;
	acknowledge(conn, to);
}

static void run_option(struct nbd_conn *conn, struct reader *reader)
{
	switch (conn->option) {
	case NBD_OPT_EXPORT_NAME:
		option_export_name(conn, reader);
		break;
	case NBD_OPT_ABORT:
		option_abort(conn);
		break;
	case NBD_OPT_LIST:
		option_list(conn, reader);
		break;
	case NBD_OPT_STRUCTURED_REPLY:
		option_structured_reply(conn, reader);
		break;
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		option_go(conn, reader);
		break;
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		option_meta_context(conn, reader);
		break;
	default:
		refuse(conn, NBD_REP_ERR_UNSUP, "the option is not known here");
	}
}

/* ---- what comes in ---- */

void nbd_handshake_begin(struct nbd_conn *conn)
{
	uint8_t *to = put_u64(conn->hello_bytes, NBD_MAGIC);

	to = put_u64(to, NBD_OPTION_MAGIC);
	to = put_u16(to, NBD_HELLO_FIXED | NBD_HELLO_NO_ZEROES);
	send_hello(conn, to);
	nbd_conn_expect(conn, CONN_HELLO, sizeof(uint32_t));
}

void nbd_handshake_hello(struct nbd_conn *conn)
{
	uint32_t flags = get_u32(conn->input);

	if (flags & ~(NBD_HELLO_FIXED | NBD_HELLO_NO_ZEROES)) {
		nbd_conn_drop(conn, "its handshake has flags that are not known");
		return;
	}
	conn->fixed = flags & NBD_HELLO_FIXED;
	conn->no_zeroes = flags & NBD_HELLO_NO_ZEROES;
	nbd_conn_expect(conn, CONN_OPTION, OPTION_HEADER_BYTES);
}

void nbd_handshake_option(struct nbd_conn *conn)
{
	uint32_t bytes = get_u32(conn->input + 12);

	conn->option = get_u32(conn->input + 8);
	if (get_u64(conn->input) != NBD_OPTION_MAGIC) {
		nbd_conn_drop(conn, "what should be an option is none");
		return;
	}
	/* Such clients expect no answers to others. */
	if (!conn->fixed && conn->option != NBD_OPT_EXPORT_NAME) {
		nbd_conn_drop(conn, "it has options, but not the handshake for them");
		return;
	}
	if (bytes > OPTION_DATA_MAX) {
		if (conn->option == NBD_OPT_EXPORT_NAME) {
			nbd_conn_drop(conn, "the export's name is too long");
			return;
		}
		conn->skip = bytes;
		nbd_conn_expect(conn, CONN_OPTION, OPTION_HEADER_BYTES);
		refuse(conn, NBD_REP_ERR_TOO_BIG, "the option's data is too long");
		return;
	}
	nbd_conn_expect(conn, CONN_OPTION_DATA, bytes);
	if (!bytes)
		nbd_handshake_option_data(conn);
}

void nbd_handshake_option_data(struct nbd_conn *conn)
{
	struct reader reader = { conn->input, conn->wanted };

	nbd_conn_expect(conn, CONN_OPTION, OPTION_HEADER_BYTES);
	run_option(conn, &reader);
}
