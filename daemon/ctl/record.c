// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_BYTES	256

static void record_path(const char *run_dir, int minor, const char *more, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/disk-%d%s", run_dir, minor, more);
}

int record_read(const char *run_dir, int minor, struct ctl_msg *record)
{
	CLEANUP_CLOSE int fd = -1;
	char path[PATH_BYTES];

	record_path(run_dir, minor, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	record->json = json_object_from_fd(fd);
	if (json_object_is_type(record->json, json_type_object))
		return 0;
	ctl_msg_clear(record);
	return -EBADMSG;
}

/* Nobody sees half of one. */
static int write_file(const char *run_dir, int minor, const struct ctl_msg *record,
		      unsigned int flags)
{
	char path[PATH_BYTES], fresh[PATH_BYTES];
	CLEANUP_CLOSE int fd = -1;
	int err = 0;

	record_path(run_dir, minor, "", path);
	record_path(run_dir, minor, ".new", fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (json_object_to_fd(fd, record->json, JSON_C_TO_STRING_PLAIN))
		err = -EIO;
	else if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, flags))
		err = -errno;
	/* The old one, if they were exchanged. */
	if (err || flags)
		unlink(fresh);
	return err;
}

int record_write(const char *run_dir, int minor, const struct ctl_msg *record)
{
	return write_file(run_dir, minor, record, 0);
}

int record_replace(const char *run_dir, int minor, const struct ctl_msg *record)
{
	return write_file(run_dir, minor, record, RENAME_EXCHANGE);
}

int record_successor(const struct ctl_msg *record, int pid)
{
	struct json_object *former;
	int64_t now;
	size_t i, nr;

	if (ctl_get_int(record, "pid", 1, INT32_MAX, &now))
		return -ESRCH;
	if (now == pid)
		return pid;
	if (!json_object_object_get_ex(record->json, "former", &former) ||
	    !json_object_is_type(former, json_type_array))
		return -ESRCH;
	nr = json_object_array_length(former);
	for (i = 0; i < nr; i++)
		if (json_object_get_int(json_object_array_get_idx(former, i)) == pid)
			return (int)now;
	return -ESRCH;
}

int record_remove(const char *run_dir, int minor)
{
	char path[PATH_BYTES];

	record_path(run_dir, minor, "", path);
	return unlink(path) && errno != ENOENT ? -errno : 0;
}
