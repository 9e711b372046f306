// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* No image is that large. */
#define LOCKS_FIRST	(1ull << 62)
#define LOCKS_NR	(1ull << 31)

static struct flock lock_of(short type, uint64_t byte)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1,
	};
}

uint64_t keep_lock(int fd)
{
	struct flock lock;
	uint64_t byte;

	if (getrandom(&byte, sizeof(byte), 0) != sizeof(byte))
		return 0;
	byte = LOCKS_FIRST + byte % LOCKS_NR;
	/* To be had for images that are open for reading, too. */
	lock = lock_of(F_RDLCK, byte);
	return fcntl(fd, F_OFD_SETLK, &lock) ? 0 : byte;
}

bool keep_is_locked(int fd, uint64_t byte)
{
	struct flock lock = lock_of(F_WRLCK, byte);

	/* The number stood in memory that others wrote. */
	if (byte < LOCKS_FIRST || byte - LOCKS_FIRST >= LOCKS_NR)
		return false;
	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int keep_map(int fd, size_t bytes, void **memory)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)bytes)
		return -EINVAL;
	if (fallocate(fd, 0, 0, (off_t)bytes))
		return -errno;
	*memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*memory != MAP_FAILED)
		return 0;
	*memory = NULL;
	return -errno;
}

void keep_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}
