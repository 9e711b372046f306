// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/nbd_client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE	20000	/* turns of a millisecond in which nothing comes */

static uint64_t next_cookie = 0x123456789abcdef0;

void client_open(struct client *client, struct nbd_server *server, struct loop *loop)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*client = (struct client){ .loop = loop, .fd = fds[0] };
	assert_int_equal(nbd_server_connect(server, fds[1]), 0);
}

void client_close(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client_turns(client, 3);
}

void client_turns(struct client *client, int turns)
{
	while (turns--)
		assert_int_equal(loop_once(client->loop, 0), 0);
}

static void wait_a_little(struct client *client, int *turns)
{
	assert_true((*turns)++ < PATIENCE);
	assert_int_equal(loop_once(client->loop, 1), 0);
}

void client_send(struct client *client, const void *bytes, size_t nr)
{
	const uint8_t *from = bytes;
	int turns = 0;

	while (nr) {
		ssize_t sent = send(client->fd, from, nr, MSG_NOSIGNAL);

		if (sent > 0) {
			from += sent;
			nr -= (size_t)sent;
			turns = 0;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		wait_a_little(client, &turns);
	}
}

void client_expect_bytes(struct client *client, void *bytes, size_t nr)
{
	uint8_t *to = bytes;
	int turns = 0;

	while (nr) {
		ssize_t got = recv(client->fd, to, nr, 0);

		if (got > 0) {
			to += got;
			nr -= (size_t)got;
			turns = 0;
			continue;
		}
		assert_int_equal(got, -1);
		assert_int_equal(errno, EAGAIN);
		wait_a_little(client, &turns);
	}
}

void client_expect_end(struct client *client)
{
	uint8_t bytes[4096];
	int turns = 0;
	ssize_t got;

	while ((got = recv(client->fd, bytes, sizeof(bytes), 0)) != 0) {
		/* Or it left something of ours unread. */
		if (got < 0 && errno == ECONNRESET)
			break;
		assert_true(got > 0 || errno == EAGAIN);
		wait_a_little(client, &turns);
	}
	close(client->fd);
	client->fd = -1;
}

void client_expect_silence(struct client *client, int turns)
{
	uint8_t byte;

	client_turns(client, turns);
	assert_int_equal(recv(client->fd, &byte, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

void client_hello(struct client *client, uint32_t flags)
{
	uint8_t bytes[18];

	client_expect_bytes(client, bytes, sizeof(bytes));
	assert_true(get_u64(bytes) == NBD_MAGIC);
	assert_true(get_u64(bytes + 8) == NBD_OPTION_MAGIC);
	assert_int_equal(get_u16(bytes + 16), NBD_HELLO_FIXED | NBD_HELLO_NO_ZEROES);
	put_u32(bytes, flags);
	client_send(client, bytes, 4);
}

void client_option(struct client *client, uint32_t option, const void *data, uint32_t bytes)
{
	uint8_t header[16];

	put_u32(put_u32(put_u64(header, NBD_OPTION_MAGIC), option), bytes);
	client_send(client, header, sizeof(header));
	if (data)
		client_send(client, data, bytes);
}

uint32_t client_option_reply(struct client *client, uint32_t option, uint32_t type,
			     uint8_t data[512])
{
	uint8_t header[20];
	uint32_t bytes;

	client_expect_bytes(client, header, sizeof(header));
	assert_true(get_u64(header) == NBD_OPTION_REPLY_MAGIC);
	assert_int_equal(get_u32(header + 8), option);
	assert_int_equal(get_u32(header + 12), type);
	bytes = get_u32(header + 16);
	assert_in_range(bytes, 0, 512);
	client_expect_bytes(client, data, bytes);
	return bytes;
}

static void ask_for_context(struct client *client)
{
	uint8_t query[64], data[512];
	uint8_t *to = put_u32(put_u32(query, 0), 1);

	to = put_u32(to, 15);
	to = put_bytes(to, NBD_CONTEXT_ALLOCATION, 15);
	client_option(client, NBD_OPT_SET_META_CONTEXT, query, (uint32_t)(to - query));
	assert_int_equal(client_option_reply(client, NBD_OPT_SET_META_CONTEXT,
					     NBD_REP_META_CONTEXT, data), 19);
	assert_int_equal(get_u32(data), NBD_CONTEXT_ID);
	assert_memory_equal(data + 4, NBD_CONTEXT_ALLOCATION, 15);
	client_option_reply(client, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, data);
}

void client_go(struct client *client, bool structured)
{
	const uint8_t no_name[6] = { 0 };
	uint8_t data[512];

	client_hello(client, NBD_HELLO_FIXED | NBD_HELLO_NO_ZEROES);
	client->structured = structured;
	if (structured) {
		client_option(client, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
		client_option_reply(client, NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, data);
		ask_for_context(client);
	}
	client_option(client, NBD_OPT_GO, no_name, sizeof(no_name));
	assert_int_equal(client_option_reply(client, NBD_OPT_GO, NBD_REP_INFO, data), 12);
	assert_int_equal(get_u16(data), NBD_INFO_EXPORT);
	client->size = get_u64(data + 2);
	client->flags = get_u16(data + 10);
	assert_int_equal(client_option_reply(client, NBD_OPT_GO, NBD_REP_INFO, data), 14);
	assert_int_equal(get_u16(data), NBD_INFO_BLOCK_SIZE);
	client_option_reply(client, NBD_OPT_GO, NBD_REP_ACK, data);
}

void client_request(struct client *client, uint16_t command, uint16_t flags, uint64_t cookie,
		    uint64_t offset, uint32_t length)
{
	uint8_t bytes[NBD_REQUEST_BYTES];
	uint8_t *to = put_u32(bytes, NBD_REQUEST_MAGIC);

	to = put_u16(put_u16(to, flags), command);
	put_u32(put_u64(put_u64(to, cookie), offset), length);
	client_send(client, bytes, sizeof(bytes));
}

uint32_t client_simple(struct client *client, uint64_t cookie)
{
	uint8_t bytes[NBD_SIMPLE_BYTES];

	client_expect_bytes(client, bytes, sizeof(bytes));
	assert_int_equal(get_u32(bytes), NBD_SIMPLE_MAGIC);
	assert_true(get_u64(bytes + 8) == cookie);
	return get_u32(bytes + 4);
}

struct client_chunk client_chunk(struct client *client, uint64_t cookie)
{
	uint8_t bytes[NBD_CHUNK_BYTES];

	client_expect_bytes(client, bytes, sizeof(bytes));
	assert_int_equal(get_u32(bytes), NBD_CHUNK_MAGIC);
	assert_true(get_u64(bytes + 8) == cookie);
	return (struct client_chunk){ get_u16(bytes + 4), get_u16(bytes + 6),
				      get_u32(bytes + 16) };
}

/* All chunks of a read: each byte comes once. */
static uint32_t read_chunks(struct client *client, uint64_t cookie, uint64_t offset, uint8_t *data,
			    uint32_t length)
{
	struct client_chunk chunk;
	uint32_t error = 0;
	uint32_t left = length;
	uint8_t bytes[8];

	do {
		chunk = client_chunk(client, cookie);
		if (chunk.type == NBD_CHUNK_ERROR) {
			assert_int_equal(chunk.bytes, 6);
			client_expect_bytes(client, bytes, 6);
			error = get_u32(bytes);
			continue;
		}
		assert_int_equal(chunk.type, NBD_CHUNK_OFFSET_DATA);
		client_expect_bytes(client, bytes, 8);
		chunk.bytes -= 8;
		assert_true(get_u64(bytes) >= offset && chunk.bytes && chunk.bytes <= left);
		assert_true(get_u64(bytes) + chunk.bytes <= offset + length);
		client_expect_bytes(client, data + (get_u64(bytes) - offset), chunk.bytes);
		left -= chunk.bytes;
	} while (!(chunk.flags & NBD_CHUNK_DONE));
	assert_true(error || !left);
	return error;
}

uint32_t client_read(struct client *client, uint64_t offset, void *data, uint32_t length,
		     uint16_t flags)
{
	uint64_t cookie = next_cookie++;
	uint32_t error;

	client_request(client, NBD_CMD_READ, flags, cookie, offset, length);
	if (client->structured)
		return read_chunks(client, cookie, offset, data, length);
	error = client_simple(client, cookie);
	if (!error)
		client_expect_bytes(client, data, length);
	return error;
}

uint32_t client_write(struct client *client, uint64_t offset, const void *data, uint32_t length,
		      uint16_t flags)
{
	uint64_t cookie = next_cookie++;

	client_request(client, NBD_CMD_WRITE, flags, cookie, offset, length);
	client_send(client, data, length);
	return client_simple(client, cookie);
}

uint32_t client_command(struct client *client, uint16_t command, uint16_t flags, uint64_t offset,
			uint32_t length)
{
	uint64_t cookie = next_cookie++;

	client_request(client, command, flags, cookie, offset, length);
	return client_simple(client, cookie);
}
