// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/xentop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/parse.h"

#define DIR_PREFIX	"td3-"
#define FILE_PREFIX	"vbd-"
#define NAME_BYTES	32
#define FILE_BYTES	4096	/* a page, for those who map it */

static void dir_name(int pid, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, DIR_PREFIX "%d", pid);
}

static void file_name(const struct device *device, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, FILE_PREFIX "%u-%u", device->domid, device->devid);
}

/* The place of all directories, or -errno. */
static int open_place(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Anybody may make a directory of that name in /dev/shm, or a link. One that belongs to us,
 * and that nobody else may write to, nobody else can replace either (the place is
 * sticky), and all names in it are ours. A descriptor; -EPERM: it is not like that; -errno.
 */
static int open_dir(int place, const char *name)
{
	CLEANUP_CLOSE int fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == EACCES))
		return -EPERM;
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return fd_take(&fd);
}

/* Modes are set by hand: our unit's umask leaves nothing to others. */
static int make_dir(int place, const char *name)
{
	int fd;

	if (mkdirat(place, name, 0755) && errno != EEXIST)
		return -errno;
	fd = open_dir(place, name);
	if (fd < 0 || !fchmod(fd, 0755))
		return fd;
	close(fd);
	return -EIO;
}

/*
 * One that is there already is this disk's, as all in the directory is this process's: a
 * tapdisk that was given it by a tapback before us may write to it now. Its memory is taken
 * at once, so that no write fails for want of it.
 */
static int make_file(int dir, const char *name)
{
	CLEANUP_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 || fchmod(fd, 0644) || fallocate(fd, 0, 0, FILE_BYTES))
		return -errno;
	return fd_take(&fd);
}

static void say_why_not(struct device *device, const char *name, int err)
{
	const char *place = device->tapback->xentop_dir;

	if (err != -EPERM) {
		log_debug("domain %u, disk %u: xentop will not show it: %s/%s: %s", device->domid,
			  device->devid, place, name, strerror(-err));
		return;
	}
	if (!device->xentop_said)
		log_warning("domain %u, disk %u: xentop will not show it: %s/%s is not a directory "
			    "that root alone may write to", device->domid, device->devid, place,
			    name);
	device->xentop_said = true;
}

int xentop_make(struct device *device)
{
	CLEANUP_CLOSE int place = open_place(device->tapback->xentop_dir), dir = -1;
	char name[NAME_BYTES], file[NAME_BYTES];
	int fd = place;

	dir_name(device->client.pid, name);
	file_name(device, file);
	if (place >= 0)
		fd = dir = make_dir(place, name);
	if (dir >= 0) {
		fd = make_file(dir, file);
		/* Even if that failed, for the directory. */
		device->xentop_pid = device->client.pid;
	}
	if (fd < 0)
		say_why_not(device, name, fd);
	return fd;
}

void xentop_adopt(struct device *device)
{
	device->xentop_pid = device->client.pid;
}

void xentop_leave(struct device *device)
{
	device->xentop_pid = 0;
}

void xentop_remove(struct device *device)
{
	CLEANUP_CLOSE int place = -1, dir = -1;
	char name[NAME_BYTES], file[NAME_BYTES];

	if (!device->xentop_pid)
		return;
	dir_name(device->xentop_pid, name);
	device->xentop_pid = 0;
	place = open_place(device->tapback->xentop_dir);
	dir = open_dir(place, name);
	if (dir < 0)
		return;
	file_name(device, file);
	unlinkat(dir, file, 0);
	/* Other guests may share the disk, and so the tapdisk: then the directory stays. */
	unlinkat(place, name, AT_REMOVEDIR);
}

/* ---- what is left ---- */

static void remove_all(int place, const char *name)
{
	int fd = open_dir(place, name);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)))
			unlinkat(fd, entry->d_name, 0);
	closedir(dir);
	unlinkat(place, name, AT_REMOVEDIR);
}

/* Whether @name is the directory of a process that is no more. */
static bool is_left(const char *name)
{
	uint32_t pid;

	return !strncmp(name, DIR_PREFIX, strlen(DIR_PREFIX)) &&
	       !parse_u32(name + strlen(DIR_PREFIX), INT32_MAX, &pid) && pid &&
	       kill((pid_t)pid, 0) && errno == ESRCH;
}

void xentop_sweep(const char *dir)
{
	DIR *place = opendir(dir);
	struct dirent *entry;

	if (!place)
		return;
	while ((entry = readdir(place)))
		if (is_left(entry->d_name))
			remove_all(dirfd(place), entry->d_name);
	closedir(place);
}
