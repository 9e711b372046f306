/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenstore: thin helpers over libxenstore, with -errno and bounded retries.
 * Calls wait for xenstored, never for a guest. Text read here is the guest's
 * or the toolstack's; who reads it parses it.
 */
#ifndef TAPBACK_STORE_H
#define TAPBACK_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

struct store {
	struct xs_handle *xs;
	uint32_t domid;		/* our own domain's */
};

#define STORE_PATH_MAX 256

/* 0 or -errno; -ENOENT when our own domain's number is not there yet. */
int store_open(struct store *store);
void store_close(struct store *store);

/*
 * Read @path within transaction @t (XBT_NULL: none). 0 with *@text to be
 * freed; -ENOENT (also when a guest forbade reading); -EINVAL when it holds a
 * NUL byte; or another -errno.
 */
int store_read(const struct store *store, xs_transaction_t t, const char *path,
	       char **text);

/* A strict number up to @max: as store_read(), and -EINVAL, -ERANGE. */
int store_read_u32(const struct store *store, xs_transaction_t t,
		   const char *path, uint32_t max, uint32_t *number);

/* 0 or -errno. */
int store_write(const struct store *store, xs_transaction_t t,
		const char *path, const char *text);

/* 0, also when it is not there, or -errno. */
int store_remove(const struct store *store, const char *path);

/*
 * The names in directory @path, @nr of them, to be freed at once; an empty
 * list when it is not there. 0 or -errno.
 */
int store_list(const struct store *store, const char *path, char ***names,
	       unsigned int *nr);

int store_watch(const struct store *store, const char *path, const char *token);
void store_unwatch(const struct store *store, const char *path, const char *token);

/*
 * The next watch that fired: 1 with *@fired, to be freed at once, whose
 * strings are at XS_WATCH_PATH and XS_WATCH_TOKEN; 0 when there is none;
 * -errno when xenstored is gone.
 */
int store_next_watch(const struct store *store, char ***fired);

/*
 * Run @work in a transaction and commit it when it returns 0; again when
 * somebody else changed what it read, @tries times in all. 0, the error of @work, or
 * -EAGAIN when it never came to an end.
 */
typedef int (*store_work)(const struct store *store, xs_transaction_t t,
			  void *context);
int store_transact(const struct store *store, int tries, store_work work, void *context);

#endif /* TAPBACK_STORE_H */
