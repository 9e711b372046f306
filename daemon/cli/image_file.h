/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening an image on behalf of tapdisk, which opens no path by itself. */
#ifndef CLI_IMAGE_FILE_H
#define CLI_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define IMAGE_TYPE_MAX	16

/* What is known of an image when a tapdisk gets it. */
struct opened {
	char type[IMAGE_TYPE_MAX];
	const char *path;
	bool readonly;
	bool lock_later;		/* see image_claim.h */
	bool flush_failed;		/* by a tapdisk that had it before */
	bool unpause;			/* of a disk that is paused */
	bool uncertain;			/* it was sent to tapdisk, and no answer came */
	int fd;
};

/*
 * Split TYPE:PATH at the first colon; *@path points into @image. 0, -EINVAL
 * or -EPROTONOSUPPORT (a type this version does not serve), with one sentence
 * in @why.
 */
int image_split(const char *image, char type[IMAGE_TYPE_MAX], const char **path,
		char *why, size_t why_size);

/* What an image is known by, whatever its path leads to: of a device, its number. */
struct image_id {
	int64_t device;
	int64_t inode;
};

struct image_id image_file_id(const struct stat *st);

/*
 * Open @path with O_DIRECT: a descriptor, or -errno with one sentence in
 * @why.
 */
int image_file_open(const char *path, bool readonly, char *why, size_t why_size);

#endif /* CLI_IMAGE_FILE_H */
