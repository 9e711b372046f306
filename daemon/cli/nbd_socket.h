/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets on which tapdisks serve NBD, RUN_DIR/nbdPID.MINOR: made and named here,
 * since tapdisk has no right to. Until it is known that tapdisk listens, a socket has a
 * name that nobody uses. @run_dir is XENTAP_RUN_DIR but in tests.
 */
#ifndef CLI_NBD_SOCKET_H
#define CLI_NBD_SOCKET_H

/* A socket that listens, for root alone: its descriptor, or -errno. */
int nbd_socket_make(const char *run_dir, int pid, int minor);
/* Give it its name, instead of any socket that had it. 0 or -errno. */
int nbd_socket_publish(const char *run_dir, int pid, int minor);
/* It will not get one. */
void nbd_socket_discard(const char *run_dir, int pid, int minor);

/* Take the name away; there may be none. */
void nbd_socket_remove(const char *run_dir, int pid, int minor);
/* Remove @name of the directory if it is the socket of a process that has ended. */
void nbd_socket_remove_stale(const char *run_dir, const char *name);

#endif /* CLI_NBD_SOCKET_H */
