// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/discard.h"

#define BLOCK_BYTES_MAX	4096u

struct reason {
	char *text;
	size_t size;
	const char *path;
};

__attribute__((format(printf, 3, 4)))
static int refuse(const struct reason *why, int err, const char *format, ...)
{
	va_list args;
	int used;

	used = snprintf(why->text, why->size, "%s: ", why->path);
	if (used < 0 || (size_t)used >= why->size)
		return err;
	va_start(args, format);
	vsnprintf(why->text + used, why->size - (size_t)used, format, args);
	va_end(args);
	return err;
}

static int check_access(int fd, bool readonly, const struct reason *why)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return refuse(why, -errno, "the image's descriptor is of no use");
	if (!(flags & O_DIRECT))
		return refuse(why, -EINVAL,
			      "the image is not open for direct I/O; buffered I/O is never used");
	if (!readonly && (flags & O_ACCMODE) != O_RDWR)
		return refuse(why, -EACCES, "the image is not open for writing");
	if (readonly && (flags & O_ACCMODE) != O_RDONLY)
		return refuse(why, -EINVAL,
			      "a read-only disk needs an image that is open read-only");
	return 0;
}

static int size_of(int fd, uint64_t *bytes, bool *is_device,
		   const struct reason *why)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, -errno, "cannot look at the image: %s", strerror(errno));
	*is_device = S_ISBLK(st.st_mode);
	if (*is_device) {
		if (ioctl(fd, BLKGETSIZE64, bytes))
			return refuse(why, -errno, "cannot get the device's size: %s",
				      strerror(errno));
		return 0;
	}
	if (!S_ISREG(st.st_mode))
		return refuse(why, -EINVAL, "is neither a file nor a block device");
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int device_blocks(struct image *image, const struct reason *why)
{
	unsigned int physical;
	int logical;

	if (ioctl(image->fd, BLKSSZGET, &logical) ||
	    ioctl(image->fd, BLKPBSZGET, &physical))
		return refuse(why, -errno, "cannot get the device's block size: %s",
			      strerror(errno));
	image->block_bytes = (uint32_t)logical;
	image->physical_bytes = physical;
	return 0;
}

/*
 * The smallest unit that the file's store takes: the one that a direct read
 * of the first bytes is not refused with.
 */
static int file_blocks(struct image *image, const struct reason *why)
{
	CLEANUP_FREE void *buffer = NULL;
	uint32_t bytes;

	if (posix_memalign(&buffer, BLOCK_BYTES_MAX, BLOCK_BYTES_MAX))
		return refuse(why, -ENOMEM, "no memory");
	for (bytes = SECTOR_BYTES; bytes <= BLOCK_BYTES_MAX; bytes *= 2) {
		ssize_t got = pread(image->fd, buffer, bytes, 0);

		if (got == (ssize_t)bytes) {
			image->block_bytes = bytes;
			image->physical_bytes = bytes;
			return 0;
		}
		if (got < 0 && errno != EINVAL)
			return refuse(why, -errno, "cannot read the image: %s", strerror(errno));
	}
	return refuse(why, -EOPNOTSUPP,
		      "its file system does not support direct I/O (O_DIRECT); move the image to "
		      "one that does, such as ext4 or XFS, or use a block device");
}

static int check_size(const struct image *image, uint64_t bytes,
		      const struct reason *why)
{
	if (image->block_bytes < SECTOR_BYTES || image->block_bytes > BLOCK_BYTES_MAX ||
	    image->block_bytes & (image->block_bytes - 1))
		return refuse(why, -EINVAL, "blocks of %u bytes are not supported",
			      image->block_bytes);
	if (bytes % image->block_bytes)
		return refuse(why, -EINVAL,
			      "its size of %llu bytes is not a multiple of %u, it seems to be cut "
			      "short; restore it, or extend it with truncate(1)",
			      (unsigned long long)bytes, image->block_bytes);
	return 0;
}

int image_open(struct image *image, int fd, bool readonly, const char *path,
	       char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size, path };
	uint64_t bytes = 0;
	int err;

	*image = (struct image){ .fd = fd, .readonly = readonly, .sector_bytes = SECTOR_BYTES };
	err = check_access(fd, readonly, &why);
	if (!err)
		err = size_of(fd, &bytes, &image->is_device, &why);
	if (!err && !bytes)
		err = refuse(&why, -EINVAL, "the image is empty (0 bytes)");
	if (!err && !image->is_device && bytes % SECTOR_BYTES)
		/* Before the probe, which would blame the file system. */
		image->block_bytes = SECTOR_BYTES;
	else if (!err)
		err = image->is_device ? device_blocks(image, &why) : file_blocks(image, &why);
	if (!err)
		err = check_size(image, bytes, &why);
	if (err) {
		image->fd = -1;
		return err;
	}
	image->sectors = bytes >> SECTOR_SHIFT;
	discard_probe(image);
	return 0;
}

int image_set_sector_bytes(struct image *image, uint32_t bytes, const char *path,
			   char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size, path };

	if (bytes != SECTOR_BYTES && bytes != BLOCK_BYTES_MAX)
		return refuse(&why, -EINVAL, "sectors of %u bytes are not supported, only of "
			      "%u and %u", bytes, SECTOR_BYTES, BLOCK_BYTES_MAX);
	if (image->sectors % (bytes >> SECTOR_SHIFT))
		return refuse(&why, -EINVAL, "its size of %llu bytes is not a multiple of %u, "
			      "so that it cannot have sectors of that size",
			      (unsigned long long)image->sectors << SECTOR_SHIFT, bytes);
	image->sector_bytes = bytes;
	if (image->physical_bytes < bytes)
		image->physical_bytes = bytes;
	return 0;
}

int image_grow(struct image *image, const char *path, char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size, path };
	uint64_t bytes = 0;
	bool is_device;
	int err = size_of(image->fd, &bytes, &is_device, &why);

	if (!err)
		err = check_size(image, bytes, &why);
	if (!err && bytes % image->sector_bytes)
		err = refuse(&why, -EINVAL, "its size of %llu bytes is not a multiple of %u, the "
			     "size of the guest's sectors", (unsigned long long)bytes,
			     image->sector_bytes);
	if (!err && bytes >> SECTOR_SHIFT < image->sectors)
		err = refuse(&why, -EINVAL, "it has become smaller; extend it again, or attach "
			     "the disk anew");
	if (!err)
		__atomic_store_n(&image->sectors, bytes >> SECTOR_SHIFT, __ATOMIC_RELAXED);
	return err;
}

void image_close(struct image *image)
{
	fd_close(&image->fd);
}
