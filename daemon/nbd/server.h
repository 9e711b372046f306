/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk for programs of this host, by NBD on a UNIX socket: backup, boot loaders,
 * QEMU. What they ask for goes through the same store as the guests' requests.
 * All of it runs on one loop's thread, but for what blocks (extents.h).
 */
#ifndef NBD_SERVER_H
#define NBD_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "loop/loop.h"
#include "store/store.h"

struct nbd_server;

struct nbd_config {
	struct store *store;		/* this and the loop outlive the server */
	struct loop *loop;
	const char *path;		/* of the image, for people; outlives it, too */
	uid_t peer_uid;			/* who may connect */
	/* A domain that uses the disk now, or -1. */
	int64_t (*user)(void *context);
	void *context;
};

struct nbd_stats {
	uint64_t connections;		/* now */
	uint64_t accepted;
	uint64_t refused;		/* another user's */
	uint64_t requests;
	uint64_t reads, writes, flushes, discards, zeroes, queries;
	uint64_t read_bytes, write_bytes;
	uint64_t errors;		/* requests that were answered with one */
	uint64_t broken;		/* connections that were ended for what they sent */
};

/*
 * Serve on @listen_fd, a listening socket, or on none (-1). Takes it over on success.
 * 0 or -errno.
 */
int nbd_server_create(const struct nbd_config *config, int listen_fd, struct nbd_server **out);

/* One more connection. Takes over @fd in any case. 0 or -errno. */
int nbd_server_connect(struct nbd_server *server, int fd);

/*
 * End all connections, wait for the I/O they have under way, free the server, and call
 * @closed(@context), at once or from the loop.
 */
void nbd_server_close(struct nbd_server *server, void (*closed)(void *context), void *context);

const struct nbd_stats *nbd_server_stats(const struct nbd_server *server);

#endif /* NBD_SERVER_H */
