/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A xenstore in memory behind libxenstore's calls, for tests. One store per
 * process, one connection. A transaction's writes show at once, which is
 * enough for code that writes last.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <stdbool.h>

/* Forget everything. */
void fake_store_reset(void);

/* As anybody else but the code under test; watches fire. */
void fake_store_set(const char *path, const char *value);
/* With all below it; NULL-safe. */
void fake_store_remove(const char *path);

/* The value, or NULL. Valid until the next change. */
const char *fake_store_get(const char *path);

/* Permissions that were set, as "n3,r0"; empty, or NULL without such a node. */
const char *fake_store_perms(const char *path);

/* Called before each commit; the commit fails with EAGAIN when true. */
extern bool (*fake_store_conflict)(void);

/* What a transaction wrote that failed or was given up is not there any more. */
extern bool fake_store_rollback;

/* Domains that are not "introduced" any more; -1: none. */
extern int fake_store_dead_domain;

/* Fire "@releaseDomain" or another special watch. */
void fake_store_fire(const char *path);

/* A node that its owner, a guest, does not let us read; NULL: none. */
extern const char *fake_store_forbidden;

/* The errno that each write of ours fails with; 0: none. */
extern int fake_store_write_error;

/* How often we asked what is in a directory of a guest. */
extern unsigned int fake_store_guest_lists;

/* And whether a domain still runs. */
extern unsigned int fake_store_domain_looks;

/* How often a watch fired, ever. */
extern unsigned int fake_store_events;

/* Every call from now on fails as if xenstored ended. */
extern bool fake_store_ended;

#endif /* FAKE_XENSTORE_H */
