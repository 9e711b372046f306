/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that systemd keeps for us while we are started anew, by name. Without it
 * they are lost, and nothing else.
 */
#ifndef TAPBACK_FDSTORE_H
#define TAPBACK_FDSTORE_H

#define FDSTORE_NAME_MAX	64

/*
 * Several may have one name: each is put and removed once. The descriptor stays the
 * caller's. 0, or -ENOSPC when more names would keep systemd from starting us.
 */
int fdstore_put(const char *name, int fd);
void fdstore_remove(const char *name);

/* What was kept until this start. For each one, @take gets it, and owns the descriptor. */
void fdstore_load(void (*take)(void *context, const char *name, int fd), void *context);

#endif /* TAPBACK_FDSTORE_H */
