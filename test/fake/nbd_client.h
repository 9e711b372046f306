/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of the NBD server, in the same thread: bytes made by hand, so that they
 * can be wrong. The loop turns while the client waits. What fails ends the test.
 */
#ifndef FAKE_NBD_CLIENT_H
#define FAKE_NBD_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nbd/proto.h"
#include "nbd/server.h"

struct client {
	struct loop *loop;
	int fd;			/* non-blocking */
	bool structured;
	uint64_t size;		/* as the server told */
	uint16_t flags;
};

/* Connect to @server; nothing has been said yet. */
void client_open(struct client *client, struct nbd_server *server, struct loop *loop);
void client_close(struct client *client);
/* A few turns of the loop, without waiting. */
void client_turns(struct client *client, int turns);

void client_send(struct client *client, const void *bytes, size_t nr);
/* Exactly @nr bytes. */
void client_expect_bytes(struct client *client, void *bytes, size_t nr);
/* The server hangs up; what it sent before is thrown away. */
void client_expect_end(struct client *client);
/* It has nothing to say. */
void client_expect_silence(struct client *client, int turns);

/* ---- handshake ---- */

/* Take its greeting, answer with @flags. */
void client_hello(struct client *client, uint32_t flags);
void client_option(struct client *client, uint32_t option, const void *data, uint32_t bytes);
/* A reply to @option of @type; its data, of the length that is returned. */
uint32_t client_option_reply(struct client *client, uint32_t option, uint32_t type,
			     uint8_t data[512]);
/* The whole of it, as good clients do: structured replies and base:allocation, or not. */
void client_go(struct client *client, bool structured);

/* ---- transmission ---- */

void client_request(struct client *client, uint16_t command, uint16_t flags, uint64_t cookie,
		    uint64_t offset, uint32_t length);
/* A simple reply; its error. */
uint32_t client_simple(struct client *client, uint64_t cookie);

struct client_chunk {
	uint16_t flags;
	uint16_t type;
	uint32_t bytes;		/* still to be taken */
};

struct client_chunk client_chunk(struct client *client, uint64_t cookie);
/* The error of a whole reply whose type the server chose: 0 or a number of NBD's. */
uint32_t client_read(struct client *client, uint64_t offset, void *data, uint32_t length,
		     uint16_t flags);
uint32_t client_write(struct client *client, uint64_t offset, const void *data, uint32_t length,
		      uint16_t flags);
/* One without data. */
uint32_t client_command(struct client *client, uint16_t command, uint16_t flags, uint64_t offset,
			uint32_t length);

#endif /* FAKE_NBD_CLIENT_H */
