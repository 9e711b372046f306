// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

static void *ring_map(const struct uring *ring, size_t bytes, off_t what)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);
}

int uring_open(struct uring *ring, unsigned int entries)
{
	struct io_uring_params params = { 0 };
	uint8_t *sq, *cq;

	ring->entries = entries;
	ring->fd = (int)syscall(__NR_io_uring_setup, entries, &params);
	if (ring->fd < 0)
		return -errno;
	sq = ring_map(ring, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		      IORING_OFF_SQ_RING);
	cq = ring_map(ring, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
		      IORING_OFF_CQ_RING);
	ring->sqes = ring_map(ring, params.sq_entries * sizeof(struct io_uring_sqe),
			      IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)ring->sqes == MAP_FAILED)
		return -errno;
	ring->sq_tail = (void *)(sq + params.sq_off.tail);
	ring->sq_mask = (void *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + params.sq_off.array);
	ring->cq_head = (void *)(cq + params.cq_off.head);
	ring->cq_tail = (void *)(cq + params.cq_off.tail);
	ring->cq_mask = (void *)(cq + params.cq_off.ring_mask);
	ring->cqes = (void *)(cq + params.cq_off.cqes);
	return 0;
}

int uring_register(const struct uring *ring, const struct iovec *buffers, unsigned int nr)
{
	return syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, buffers, nr) ?
		       -errno : 0;
}

int uring_unregister(const struct uring *ring)
{
	return syscall(__NR_io_uring_register, ring->fd, IORING_UNREGISTER_BUFFERS, NULL, 0) ?
		       -errno : 0;
}

void uring_rw(struct uring *ring, int write, int fd, void *buffer, size_t bytes,
	      uint64_t offset, int fixed)
{
	static const uint8_t opcodes[2][2] = {
		{ IORING_OP_READ, IORING_OP_READ_FIXED },
		{ IORING_OP_WRITE, IORING_OP_WRITE_FIXED },
	};
	unsigned int tail = *ring->sq_tail;
	unsigned int index = tail & *ring->sq_mask;
	struct io_uring_sqe *sqe = &ring->sqes[index];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcodes[!!write][fixed >= 0];
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = (uint32_t)bytes;
	sqe->off = offset;
	if (fixed >= 0)
		sqe->buf_index = (uint16_t)fixed;
	ring->sq_array[index] = index;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

int uring_submit(const struct uring *ring, unsigned int nr)
{
	long done = syscall(__NR_io_uring_enter, ring->fd, nr, 0, 0, NULL, 0);

	if (done < 0)
		return -errno;
	return done == (long)nr ? 0 : -EAGAIN;
}

int uring_wait(struct uring *ring, int *result)
{
	unsigned int head = *ring->cq_head;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		if (syscall(__NR_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
		    errno != EINTR)
			return -errno;
	*result = ring->cqes[head & *ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}
