/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As much of io_uring as a test needs, without a library. */
#ifndef TEST_URING_H
#define TEST_URING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct io_uring_sqe;
struct io_uring_cqe;

struct uring {
	int fd;
	unsigned int entries;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

#define URING_NOT_FIXED	(-1)

/* All return 0 or -errno. The ring's own mappings stay until the process ends. */
int uring_open(struct uring *ring, unsigned int entries);
int uring_register(const struct uring *ring, const struct iovec *buffers, unsigned int nr);
int uring_unregister(const struct uring *ring);

/* One request into the ring; @fixed is a registered buffer or URING_NOT_FIXED. */
void uring_rw(struct uring *ring, int write, int fd, void *buffer, size_t bytes,
	      uint64_t offset, int fixed);
int uring_submit(const struct uring *ring, unsigned int nr);
/* Waits for one completion; @result is its bytes or -errno. */
int uring_wait(struct uring *ring, int *result);

#endif
