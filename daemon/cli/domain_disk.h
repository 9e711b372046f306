/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk of a running guest without xl's help: the nodes in xenstore that the toolstack
 * would write, and the waiting for both sides that it would do.
 */
#ifndef CLI_DOMAIN_DISK_H
#define CLI_DOMAIN_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xs_handle;

struct domain_disk {
	const char *domain;	/* a number, or a name */
	const char *device;	/* xvda ... xvdzz, with a partition's number or not */
	const char *image;	/* TYPE:PATH */
	bool readonly;
	bool force;		/* detach though the guest does not let go */
	int timeout_ms;		/* for the guest */
};

/* What is done beside xenstore; @context is passed through. */
struct domain_disk_ops {
	/* A tapdisk that has @disk's image open: 0 or -errno, said why. */
	int (*serve)(void *context, const struct domain_disk *disk, int *pid, int *minor);
	/* Its end. 0 or -errno, said why. */
	int (*end)(void *context, int pid, int minor);
	/* Some milliseconds pass. */
	void (*pause)(void *context);
	void *context;
};

/*
 * Xen's number of the virtual device that guests know as @name: 0, or -EINVAL.
 */
int device_number(const char *name, uint32_t *number);

/* Both: 0 or -errno, said why; an attach that failed has left nothing behind. */
int domain_disk_attach(struct xs_handle *xs, const struct domain_disk *disk,
		       const struct domain_disk_ops *ops);
int domain_disk_detach(struct xs_handle *xs, const struct domain_disk *disk,
		       const struct domain_disk_ops *ops);

#endif /* CLI_DOMAIN_DISK_H */
