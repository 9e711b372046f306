// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes as what an NBD client does, for libFuzzer: options and requests,
 * well-formed or not, cut off anywhere, with replies that are read or left. Below is a
 * disk in memory that ends I/O in any order. What must not happen ends the program.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake/bottom.h"
#include "fake/bytes.h"
#include "nbd/internal.h"

#define IMAGE_BYTES	(1u << 20)
#define ACTS		64u
#define DATA_MAX	8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop loop;
static struct image image = {
	.fd = -1, .is_device = true, .sectors = IMAGE_BYTES / 512, .sector_bytes = 512,
	.block_bytes = 512, .physical_bytes = 512, .can_discard = true,
	.discard_granularity = 512,
};
static struct bottom bottom;
static struct store store = { .image = &image, .top = &bottom.layer };
static struct nbd_server *server;

static struct {
	int fd;
} f;

static int64_t no_domain(void *context)
{
	(void)context;
	return -1;
}

static void setup(void)
{
	const struct nbd_config config = {
		.store = &store, .loop = &loop, .path = "image", .user = no_domain,
	};

	log_set_level(LOG_EMERG);
	must(!loop_init(&loop));
	bottom_init(&bottom, IMAGE_BYTES, 512);
	must(!nbd_server_create(&config, -1, &server));
	bottom_add_worker(&bottom, &server->worker);
}

static void turns(unsigned int nr)
{
	while (nr--)
		must(!loop_once(&loop, 0));
}

/* Bytes that the socket does not take are lost, as by a client that is confused. */
static void say(const uint8_t *bytes, size_t nr)
{
	if (send(f.fd, bytes, nr, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
}

static void say_raw(void)
{
	uint8_t bytes[64];
	uint32_t nr = byte() % sizeof(bytes), i;

	for (i = 0; i < nr; i++)
		bytes[i] = (uint8_t)byte();
	say(bytes, nr);
}

static void say_option(uint32_t option)
{
	uint8_t bytes[16 + 256];
	uint32_t nr = byte(), claimed = byte() < 240 ? nr : byte() << byte() % 24, i;

	put_u32(put_u32(put_u64(bytes, NBD_OPTION_MAGIC), option), claimed);
	for (i = 0; i < nr; i++)
		bytes[16 + i] = (uint8_t)byte();
	say(bytes, 16 + nr);
}

/* What a client needs to get further than chance would. */
static void say_hello(void)
{
	static const uint8_t go[] = "\0\0\0\3IHAVEOPT\0\0\0\x8\0\0\0\0IHAVEOPT\0\0\0\xa\0\0\0\x1b"
				    "\0\0\0\0\0\0\0\1\0\0\0\xf" "base:allocation"
				    "IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0";
	static const uint8_t simple[] = "\0\0\0\2IHAVEOPT\0\0\0\1\0\0\0\0";

	switch (byte() % 4) {
	case 0:
		say(go, sizeof(go) - 1);
		break;
	case 1:
		say(simple, sizeof(simple) - 1);
		break;
	case 2:
		say(go, 4);
		break;
	}
}

static void say_request(void)
{
	uint8_t bytes[NBD_REQUEST_BYTES + DATA_MAX] = { 0 };
	uint32_t command = byte() % 9, flags = byte(), unaligned = byte();
	uint64_t offset = (byte() | byte() << 8) * 512ull;
	uint32_t length = byte() * 512;
	uint8_t *to = put_u32(bytes, NBD_REQUEST_MAGIC);

	if (unaligned > 250)
		offset += byte(), length += byte();
	if (unaligned < 8)
		length <<= byte() % 24;
	if (unaligned == 9)
		offset = UINT64_MAX - offset;
	to = put_u16(put_u16(to, (uint16_t)(flags & 15 ? flags & 15 : flags << 8)),
		     (uint16_t)command);
	to = put_u32(put_u64(put_u64(to, flags), offset), length);
	if (command != NBD_CMD_WRITE)
		length = 0;
	say(bytes, NBD_REQUEST_BYTES + (length < DATA_MAX ? length : DATA_MAX));
}

static void listen_to_it(void)
{
	static uint8_t bytes[65536];
	uint32_t nr = byte() % 32;

	turns(2);
	while (nr-- && recv(f.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		turns(1);
}

static void act(void)
{
	switch (byte() % 8) {
	case 0:
		say_raw();
		break;
	case 1:
		say_option(byte() % 13);
		break;
	case 2:
		image.readonly = byte() % 2;
		break;
	case 3:
		bottom.error = byte() % 4 ? 0 : -EIO;
		break;
	case 4:
		listen_to_it();
		break;
	default:
		say_request();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int acts = ACTS;
	int fds[2];

	if (!server)
		setup();
	bytes_are(data, size);
	bottom.error = 0;
	image.readonly = false;
	atomic_store(&store.flush_failed, false);
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	f.fd = fds[0];
	must(!nbd_server_connect(server, fds[1]));
	say_hello();
	while (bytes_left() && acts--)
		act();
	turns(4);
	close(f.fd);
	/* Nothing is left of it, and nothing went to the store that does not fit it. */
	for (acts = 0; server->conns && acts < 20000; acts++)
		turns(1);
	must(!server->conns && !bottom_pending(&bottom));
	must(!atomic_load(&bottom.refused));
	return 0;
}
