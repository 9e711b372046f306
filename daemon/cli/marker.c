// SPDX-License-Identifier: GPL-2.0-or-later
/* Marker files. The directory is locked while one is made or removed. */
#include "cli/marker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "tapdisk/ctl_proto.h"

#define MARKER_NAME_PREFIX	"tapdisk-"
/* Locks are held for moments; who holds one longer has hung. */
#define LOCK_TIMEOUT_MS		10000
#define LOCK_PAUSE_MS		10

static void marker_name(int minor, char name[32])
{
	snprintf(name, 32, MARKER_NAME_PREFIX "%d", minor);
}

static void marker_dir(const char *run_dir, char path[MARKER_PATH_MAX])
{
	snprintf(path, MARKER_PATH_MAX, "%s/tapdisk", run_dir);
}

void marker_path(const char *run_dir, int minor, char path[MARKER_PATH_MAX])
{
	snprintf(path, MARKER_PATH_MAX, "%s/tapdisk/" MARKER_NAME_PREFIX "%d",
		 run_dir, minor);
}

int marker_make_run_dir(const char *run_dir)
{
	if (mkdir(run_dir, 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

static int open_dir(const char *run_dir)
{
	char path[MARKER_PATH_MAX];
	int fd;

	marker_dir(run_dir, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int marker_lock(int fd)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	uint64_t deadline_ms = clock_ms() + LOCK_TIMEOUT_MS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* The directory of markers, locked until the descriptor is closed. */
static int lock_dir(const char *run_dir)
{
	int fd = open_dir(run_dir);
	int err;

	if (fd < 0)
		return fd;
	err = marker_lock(fd);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int marker_allocate(const char *run_dir)
{
	char path[MARKER_PATH_MAX], name[32];
	CLEANUP_CLOSE int dir = -1;
	int err, fd, minor;

	err = marker_make_run_dir(run_dir);
	if (err)
		return err;
	marker_dir(run_dir, path);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	dir = lock_dir(run_dir);
	if (dir < 0)
		return dir;
	for (minor = 0; minor <= XENTAP_MINOR_MAX; minor++) {
		marker_name(minor, name);
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0) {
			close(fd);
			return minor;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -ENOSPC;
}

int marker_free(const char *run_dir, int minor)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_CLOSE int fd = -1;
	char name[32];

	dir = lock_dir(run_dir);
	if (dir < 0)
		return dir;
	marker_name(minor, name);
	fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || unlinkat(dir, name, 0))
		return -errno;
	return 0;
}

int marker_open(const char *run_dir, int minor)
{
	char path[MARKER_PATH_MAX];
	int fd;

	marker_path(run_dir, minor, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The minor that a file name stands for, or -1. */
static int minor_of(const char *name)
{
	size_t prefix = strlen(MARKER_NAME_PREFIX);
	uint32_t minor;

	if (strncmp(name, MARKER_NAME_PREFIX, prefix) ||
	    parse_u32(name + prefix, XENTAP_MINOR_MAX, &minor))
		return -1;
	return (int)minor;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int marker_list(const char *run_dir, int **minors)
{
	int fd = open_dir(run_dir);
	int *list = NULL, *grown;
	struct dirent *entry;
	int nr = 0, minor;
	DIR *dir;

	*minors = NULL;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir))) {
		minor = minor_of(entry->d_name);
		if (minor < 0)
			continue;
		grown = reallocarray(list, (size_t)nr + 1, sizeof(*list));
		if (!grown) {
			free(list);
			closedir(dir);
			return -ENOMEM;
		}
		list = grown;
		list[nr++] = minor;
	}
	closedir(dir);
	if (nr)
		qsort(list, (size_t)nr, sizeof(*list), compare_ints);
	*minors = list;
	return nr;
}
