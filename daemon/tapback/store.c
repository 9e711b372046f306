// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

int store_open(struct store *store)
{
	int err;

	*store = (struct store){ 0 };
	store->xs = xs_open(0);
	if (!store->xs)
		return -errno;
	err = store_read_u32(store, XBT_NULL, "domid", UINT16_MAX, &store->domid);
	if (err)
		store_close(store);
	return err;
}

void store_close(struct store *store)
{
	xs_close(store->xs);
	store->xs = NULL;
}

int store_read(const struct store *store, xs_transaction_t t, const char *path,
	       char **text)
{
	unsigned int len;

	*text = xs_read(store->xs, t, path, &len);
	if (!*text)
		return errno == EACCES ? -ENOENT : -errno;
	if (strlen(*text) != len) {
		free(*text);
		*text = NULL;
		return -EINVAL;
	}
	return 0;
}

int store_read_u32(const struct store *store, xs_transaction_t t,
		   const char *path, uint32_t max, uint32_t *number)
{
	CLEANUP_FREE char *text = NULL;
	int err = store_read(store, t, path, &text);

	return err ? err : parse_u32(text, max, number);
}

int store_write(const struct store *store, xs_transaction_t t,
		const char *path, const char *text)
{
	if (!xs_write(store->xs, t, path, text, (unsigned int)strlen(text)))
		return -errno;
	return 0;
}

int store_remove(const struct store *store, const char *path)
{
	if (!xs_rm(store->xs, XBT_NULL, path) && errno != ENOENT)
		return -errno;
	return 0;
}

int store_list(const struct store *store, const char *path, char ***names,
	       unsigned int *nr)
{
	*nr = 0;
	*names = xs_directory(store->xs, XBT_NULL, path, nr);
	if (!*names && errno != ENOENT)
		return -errno;
	return 0;
}

int store_watch(const struct store *store, const char *path, const char *token)
{
	return xs_watch(store->xs, path, token) ? 0 : -errno;
}

void store_unwatch(const struct store *store, const char *path, const char *token)
{
	xs_unwatch(store->xs, path, token);
}

int store_next_watch(const struct store *store, char ***fired)
{
	*fired = xs_check_watch(store->xs);
	if (*fired)
		return 1;
	return errno == EAGAIN ? 0 : -errno;
}

int store_transact(const struct store *store, int tries, store_work work, void *context)
{
	xs_transaction_t t;
	int err, i;

	for (i = 0; i < tries; i++) {
		t = xs_transaction_start(store->xs);
		if (t == XBT_NULL)
			return -errno;
		err = work(store, t, context);
		if (err) {
			xs_transaction_end(store->xs, t, true);
			return err;
		}
		if (xs_transaction_end(store->xs, t, false))
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
	return -EAGAIN;
}
