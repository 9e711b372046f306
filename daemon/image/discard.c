// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/discard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define GRANULARITY_MAX	(1u << 30)

/* A number in a file of the device's folder in sysfs; 0 if there is none. */
static uint64_t device_number(dev_t device, const char *file)
{
	uint64_t number = 0;
	char path[96];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(device), minor(device),
		 file);
	stream = fopen(path, "re");
	if (!stream)
		return 0;
	if (fscanf(stream, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(stream);
	return number;
}

/* A partition has no queue of its own: it is its disk's. */
static uint64_t queue_number(dev_t device, const char *file, const char *of_disk)
{
	uint64_t number = device_number(device, file);

	return number ? number : device_number(device, of_disk);
}

/*
 * sysfs has nothing of it. Where a device cannot, that is said before the
 * range is looked at; a range of half a sector is never carried out. Kernels
 * before 5.19 may say yes and answer the real request with EOPNOTSUPP.
 */
static bool device_erases(int fd)
{
	uint64_t range[2] = { 1, 1 };

	return ioctl(fd, BLKSECDISCARD, range) && errno == EINVAL;
}

static void probe_device(struct image *image, dev_t device)
{
	uint64_t granularity = queue_number(device, "queue/discard_granularity",
					    "../queue/discard_granularity");

	if (!queue_number(device, "queue/discard_max_bytes", "../queue/discard_max_bytes"))
		return;
	image->can_discard = true;
	image->discard_secure = device_erases(image->fd);
	if (granularity > image->block_bytes && granularity <= GRANULARITY_MAX) {
		image->discard_granularity = (uint32_t)granularity;
		image->discard_alignment =
			(uint32_t)(device_number(device, "discard_alignment") % granularity);
	}
}

/* Behind the end there is nothing to lose. */
static void probe_file(struct image *image, blksize_t unit)
{
	off_t end = (off_t)(image->sectors << SECTOR_SHIFT);

	if (fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end,
		      image->block_bytes))
		return;
	image->can_discard = true;
	if (unit > image->block_bytes && unit <= (1 << 20) && !(unit & (unit - 1)))
		image->discard_granularity = (uint32_t)unit;
}

void discard_probe(struct image *image)
{
	struct stat st;

	image->discard_granularity = image->block_bytes;
	image->discard_alignment = 0;
	if (image->readonly || fstat(image->fd, &st))
		return;
	if (image->is_device)
		probe_device(image, st.st_rdev);
	else
		probe_file(image, st.st_blksize);
}
