// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"

int image_split(const char *image, char type[IMAGE_TYPE_MAX], const char **path,
		char *why, size_t why_size)
{
	const char *colon = strchr(image, ':');
	size_t len = colon ? (size_t)(colon - image) : 0;

	if (!len || len >= IMAGE_TYPE_MAX || !colon[1]) {
		snprintf(why, why_size, "\"%s\" names no image; write aio:PATH", image);
		return -EINVAL;
	}
	memcpy(type, image, len);
	type[len] = '\0';
	*path = colon + 1;
	if (!strcmp(type, "aio"))
		return 0;
	if (!strcmp(type, "vhd"))
		snprintf(why, why_size,
			 "this version serves raw images only, not vhd; convert %s with qemu-img "
			 "and use format=raw", *path);
	else
		snprintf(why, why_size, "there is no image type %s; raw images are aio:PATH",
			 type);
	return -EPROTONOSUPPORT;
}

/* The name of the file system that @path is on, as mount(8) spells it. */
static const char *file_system_name(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return "unknown";
	switch ((unsigned long)fs.f_type) {
	case TMPFS_MAGIC:
		return "tmpfs";
	case RAMFS_MAGIC:
		return "ramfs";
	case EXT4_SUPER_MAGIC:
		return "ext4";
	case XFS_SUPER_MAGIC:
		return "xfs";
	case BTRFS_SUPER_MAGIC:
		return "btrfs";
	case NFS_SUPER_MAGIC:
		return "nfs";
	case FUSE_SUPER_MAGIC:
		return "fuse";
	case OVERLAYFS_SUPER_MAGIC:
		return "overlay";
	case SQUASHFS_MAGIC:
		return "squashfs";
	case 0x2fc12fc1: /* not in linux/magic.h: OpenZFS is out of tree */
		return "zfs";
	default:
		return "unknown";
	}
}

/* The sentence for open(2) having failed with @err. */
static void explain_open(const char *path, bool readonly, int err, char *why,
			 size_t why_size)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		snprintf(why, why_size, "there is no image %s", path);
		break;
	case EISDIR:
		snprintf(why, why_size, "%s is a directory, not an image", path);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		if (readonly)
			snprintf(why, why_size,
				 "image %s must not be read (%s); fix its access rights",
				 path, strerror(err));
		else
			snprintf(why, why_size,
				 "image %s must not be written (%s); use access=ro or fix its "
				 "access rights", path, strerror(err));
		break;
	case EINVAL:
		snprintf(why, why_size,
			 "image %s is on a file system (type %s) without direct I/O; move it to "
			 "another one or use a block device", path, file_system_name(path));
		break;
	default:
		snprintf(why, why_size, "cannot open image %s: %s", path, strerror(err));
	}
}

/*
 * Refuse what is not an image before open(2) touches it: opening a FIFO would
 * wait, opening a tape would wind it.
 */
static int check_kind(const char *path, char *why, size_t why_size)
{
	struct stat st;

	if (stat(path, &st)) {
		int err = errno;

		explain_open(path, true, err, why, why_size);
		return -err;
	}
	if (S_ISDIR(st.st_mode)) {
		explain_open(path, true, EISDIR, why, why_size);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		snprintf(why, why_size, "%s is neither a file nor a block device", path);
		return -EINVAL;
	}
	return 0;
}

struct image_id image_file_id(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct image_id){ (int64_t)st->st_rdev, 0 };
	return (struct image_id){ (int64_t)st->st_dev, (int64_t)st->st_ino };
}

int image_file_open(const char *path, bool readonly, char *why, size_t why_size)
{
	int err = check_kind(path, why, why_size);
	int fd;

	if (err)
		return err;
	fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = errno;
	explain_open(path, readonly, err, why, why_size);
	return -err;
}
