// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/reopen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spec.h"
#include "cli/cli.h"
#include "image/lock.h"

#define WHY_MAX		512
#define LOCK_TRIES	200	/* 20 seconds: less than what systemd gives us */
#define LOCK_RETRY_US	100000

static int identify(int fd, struct image_id *id)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*id = image_file_id(&st);
	return 0;
}

static int add_names(struct ctl_msg *record, int fd)
{
	struct image_id id;
	int err = identify(fd, &id);

	if (!err)
		err = ctl_set_int(record, "device", id.device);
	return err ? err : ctl_set_int(record, "inode", id.inode);
}

static int add_options(struct ctl_msg *record, const struct cli_options *options)
{
	struct json_object *filters = json_object_new_array();
	unsigned int i;
	int err = 0;

	if (!filters)
		return -ENOMEM;
	for (i = 0; i < options->nr_filters; i++)
		json_object_array_add(filters, json_object_new_string(options->filters[i]));
	json_object_object_add(record->json, "filters", filters);
	if (options->sector_bytes)
		err = ctl_set_int(record, "sector_size", options->sector_bytes);
	if (!err && options->data)
		err = ctl_set_string(record, "data", options->data);
	return err;
}

int reopen_describe(struct ctl_msg *record, int pid, const struct opened *image,
		    const struct cli_options *options)
{
	int err = ctl_request_init(record, "open");

	if (!err)
		err = ctl_set_int(record, "pid", pid);
	if (!err)
		err = ctl_set_string(record, "type", image->type);
	if (!err)
		err = ctl_set_string(record, "path", image->path);
	if (!err)
		err = ctl_set_bool(record, "readonly", image->readonly);
	if (!err)
		err = add_names(record, image->fd);
	return err ? err : add_options(record, options);
}

/* 0, or -ESTALE: another file lies where the image was. */
static int check_same(const struct ctl_msg *record, int fd, const char *path)
{
	struct image_id id;
	int64_t found;
	int err = identify(fd, &id);

	if (!err && (ctl_get_int(record, "device", id.device, id.device, &found) ||
		     ctl_get_int(record, "inode", id.inode, id.inode, &found)))
		err = -ESTALE;
	return err ? cli_fail(err, "restart: %s is no longer the image that the guest had", path) :
		     0;
}

/* What "open" was told, out of @record, where all texts stay. 0 or -EBADMSG. */
static int options_of(const struct ctl_msg *record, struct cli_options *options)
{
	struct json_object *filters;
	int64_t sector_bytes;
	size_t i, nr;

	*options = (struct cli_options){ .pid = -1, .minor = -1 };
	if (ctl_get_bool(record, "readonly", &options->readonly) ||
	    !json_object_object_get_ex(record->json, "filters", &filters) ||
	    !json_object_is_type(filters, json_type_array))
		return -EBADMSG;
	if (!ctl_get_int(record, "sector_size", 0, INT32_MAX, &sector_bytes))
		options->sector_bytes = (int)sector_bytes;
	if (ctl_get_string(record, "data", &options->data))
		options->data = NULL;
	nr = json_object_array_length(filters);
	for (i = 0; i < nr && i < CLI_FILTERS_MAX; i++)
		options->filters[options->nr_filters++] =
			json_object_get_string(json_object_array_get_idx(filters, i));
	return 0;
}

/* Of one filter; it is opened for good when the disk is. */
static int check_filter(const char *filter)
{
	char why[SPEC_BYTES_MAX];
	struct spec spec;
	int err = spec_parse(&spec, filter, why, sizeof(why));

	if (!err && spec_value(&spec, "file")) {
		int fd = spec_open_file(&spec, why, sizeof(why));

		if (fd >= 0)
			close(fd);
		else
			err = fd;
	}
	return err ? cli_fail(err, "restart: --filter %s: %s", filter, why) : 0;
}

static int check_filters(const struct cli_options *options)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < options->nr_filters && !err; i++)
		err = check_filter(options->filters[i]);
	return err;
}

int reopen_lock(const struct opened *image)
{
	int tries, err = -EBUSY;

	for (tries = 0; tries < LOCK_TRIES && err == -EBUSY; tries++) {
		if (tries)
			usleep(LOCK_RETRY_US);
		err = image_lock(image->fd, image->readonly);
	}
	if (err != -EBUSY)
		return 0;
	return cli_fail(err, "restart: image %s is in use by another disk, or I/O of the tapdisk "
			"that was killed does not end", image->path);
}

int reopen_image(const struct ctl_msg *record, int minor, struct opened *image,
		 struct cli_options *options)
{
	const char *type;
	char why[WHY_MAX];
	int err;

	if (options_of(record, options) || ctl_get_string(record, "type", &type) ||
	    ctl_get_string(record, "path", &image->path) || strlen(type) >= IMAGE_TYPE_MAX)
		return cli_fail(-EBADMSG, "restart: the record of minor %d is of no use", minor);
	strcpy(image->type, type);
	image->readonly = options->readonly;
	if (ctl_get_bool(record, "flush_failed", &image->flush_failed))
		image->flush_failed = false;
	image->fd = image_file_open(image->path, image->readonly, why, sizeof(why));
	if (image->fd < 0)
		return cli_fail(image->fd, "restart: %s", why);
	err = check_same(record, image->fd, image->path);
	return err ? err : check_filters(options);
}
