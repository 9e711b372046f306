/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guests' disks of one tapdisk have in xenstore, in our domain's directory. */
#ifndef CLI_GUEST_NODES_H
#define CLI_GUEST_NODES_H

struct xs_handle;

/*
 * Call @visit with the backend directory of each device that tapdisk @pid serves as @minor,
 * until one returns an error. 0, that error, or -errno of xenstore (no guest has the disk: 0).
 */
int guest_nodes_visit(int pid, int minor,
		      int (*visit)(struct xs_handle *xs, const char *dir, const void *context),
		      const void *context);

/* Node @name in @dir shall be @text. 0 or -errno. */
int guest_node_write(struct xs_handle *xs, const char *dir, const char *name, const char *text);

#endif /* CLI_GUEST_NODES_H */
