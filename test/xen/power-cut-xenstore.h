/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers in xenstore, for the programs of power-cut.sh: by the kernel's device,
 * since to start xenstore-write takes too long in an emulator.
 */
#ifndef POWER_CUT_XENSTORE_H
#define POWER_CUT_XENSTORE_H

#include <errno.h>
#include <error.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XENSTORE_DEVICE "/dev/xen/xenbus"

/* As in Xen's io/xs_wire.h, which a guest's programs are built without. */
#define XS_READ 2u
#define XS_WRITE 11u
#define XS_ERROR 16u

/* There is one question at a time. True if the answer is none of XS_ERROR. */
static inline bool xenstore_call(int fd, uint32_t type, const char *body, size_t size,
				 char *answer, size_t answer_size)
{
	struct { uint32_t type, request, transaction, size; } head = { type, 0, 0, (uint32_t)size };
	char message[256];

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), body, size);
	size += sizeof(head);
	if (write(fd, message, size) != (ssize_t)size)
		error(1, errno, "asking xenstore");
	if (read(fd, &head, sizeof(head)) != sizeof(head) || head.size >= answer_size ||
	    (head.size && read(fd, answer, head.size) != (ssize_t)head.size))
		error(1, errno, "xenstore's answer");
	answer[head.size] = '\0';
	return head.type != XS_ERROR;
}

static inline void xenstore_write_number(int fd, const char *node, unsigned int number)
{
	char body[200], answer[64];
	int size = snprintf(body, sizeof(body), "%s%c%u", node, '\0', number);

	if (!xenstore_call(fd, XS_WRITE, body, (size_t)size, answer, sizeof(answer)))
		error(1, 0, "xenstore: writing %s: %s", node, answer);
}

/* 0 if there is no such node. */
static inline unsigned int xenstore_read_number(int fd, const char *node)
{
	char answer[64];

	if (!xenstore_call(fd, XS_READ, node, strlen(node) + 1, answer, sizeof(answer)))
		return 0;
	return (unsigned int)strtoul(answer, NULL, 10);
}

#endif
