/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that plays tapdisk on its control socket, for those that ask many at once. */
#ifndef FAKE_CTL_SERVER_H
#define FAKE_CTL_SERVER_H

#include <stdatomic.h>
#include <sys/types.h>

struct ctl_server {
	/* What it answers; NULL: nothing, and the connection stays. */
	const char *list;
	const char *stats;
	/*
	 * If not NULL: of memory that all share, how many are still to be asked for "stats"
	 * before anyone answers.
	 */
	_Atomic int *to_be_asked;
};

/* Starts one that listens below @dir, and returns its pid when it does. */
pid_t ctl_server_start(const char *dir, const struct ctl_server *says);

/* Kills and reaps it; its socket stays. */
void ctl_server_stop(pid_t pid);

#endif /* FAKE_CTL_SERVER_H */
