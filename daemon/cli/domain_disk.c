// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/domain_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "tapdisk/ctl_proto.h"

#define PATH_SIZE		128
#define ATTEMPTS		50	/* of a transaction that others disturb */
/* tapback answers at once; as long as xl waits for it. */
#define BACKEND_TIMEOUT_MS	10000

/* A node beside tapback's, of disks that are this command's to take away. */
#define OURS			"attached-by"
#define OURS_VALUE		"tap-ctl"

/* States of either side, as in Xen's public header io/xenbus.h. */
enum { INITIALISING = 1, INIT_WAIT = 2, CONNECTED = 4, CLOSING = 5, CLOSED = 6 };

/* Numbers of virtual devices, as in Xen's public text on vbd interfaces. */
#define XVD_MAJOR		202
#define XVD_DISKS		16	/* that have 16 numbers each */
#define XVD_PARTITIONS		16
#define XVD_EXTENDED		(1u << 28)	/* the others have 256 */

/* One disk in xenstore. */
struct place {
	struct xs_handle *xs;
	const struct domain_disk_ops *ops;
	uint32_t domid, own_domid, devid;
	char backend[PATH_SIZE];
	char frontend[PATH_SIZE];
};

int device_number(const char *name, uint32_t *number)
{
	uint32_t disk = 0, partition = 0;
	const char *c = name;

	if (strncmp(c, "xvd", 3))
		return -EINVAL;
	for (c += 3; *c >= 'a' && *c <= 'z'; c++) {
		if (c - name >= 5)
			return -EINVAL;
		disk = disk * 26 + (uint32_t)(*c - 'a') + 1;
	}
	if (!disk || (*c && (*c == '0' || parse_u32(c, 255, &partition))))
		return -EINVAL;
	disk--;
	if (disk < XVD_DISKS && partition < XVD_PARTITIONS)
		*number = XVD_MAJOR << 8 | disk << 4 | partition;
	else
		*number = XVD_EXTENDED | disk << 8 | partition;
	return 0;
}

/* ---- xenstore ---- */

/* The value of DIR/NAME, to be freed, or NULL. */
static char *read_node(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		       const char *name)
{
	char path[2 * PATH_SIZE];
	unsigned int len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return xs_read(xs, t, path, &len);
}

__attribute__((format(printf, 5, 6)))
static bool write_node(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		       const char *name, const char *format, ...)
{
	char path[PATH_SIZE + 32];
	CLEANUP_FREE char *value = NULL;
	va_list args;
	int len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	va_start(args, format);
	len = vasprintf(&value, format, args);
	va_end(args);
	if (len < 0) {
		value = NULL;
		errno = ENOMEM;
		return false;
	}
	return xs_write(xs, t, path, value, (unsigned int)len);
}

/* A directory that @owner owns, and @reader may read with all that will be in it. */
static bool make_dir(struct xs_handle *xs, xs_transaction_t t, const char *dir,
		     uint32_t owner, uint32_t reader)
{
	struct xs_permissions perms[2] = {
		{ .id = owner, .perms = XS_PERM_NONE },
		{ .id = reader, .perms = XS_PERM_READ },
	};

	return xs_mkdir(xs, t, dir) && xs_set_permissions(xs, t, dir, perms, 2);
}

/* Run @write as one transaction. 0 or -errno. */
static int in_transaction(const struct place *place,
			  bool (*write)(const struct place *place, xs_transaction_t t,
					const void *data), const void *data)
{
	xs_transaction_t t;
	int attempts, err;

	for (attempts = 0; attempts < ATTEMPTS; attempts++) {
		t = xs_transaction_start(place->xs);
		if (t == XBT_NULL)
			return -errno;
		if (!write(place, t, data)) {
			err = -errno;
			xs_transaction_end(place->xs, t, true);
			return err;
		}
		if (xs_transaction_end(place->xs, t, false))
			return 0;
		if (errno != EAGAIN)
			return -errno;
	}
	return -EAGAIN;
}

/* The state of a side; 0: it has none, or is gone. */
static int state_of(const struct place *place, const char *dir)
{
	CLEANUP_FREE char *text = read_node(place->xs, XBT_NULL, dir, "state");
	uint32_t state;

	return text && !parse_u32(text, 8, &state) ? (int)state : 0;
}

/* Until the backend is in @state. 0, -ETIMEDOUT, or -ENOENT: the guest is gone. */
static int await_backend(const struct place *place, int state, int timeout_ms)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;

	while (state_of(place, place->backend) != state) {
		if (state == CONNECTED && !xs_is_domain_introduced(place->xs, place->domid))
			return -ENOENT;
		if (clock_ms() >= deadline_ms)
			return -ETIMEDOUT;
		place->ops->pause(place->ops->context);
	}
	return 0;
}

/* ---- which domain ---- */

static int domain_by_name(struct xs_handle *xs, const char *name, uint32_t *domid)
{
	unsigned int i, nr = 0;
	char **domains = xs_directory(xs, XBT_NULL, "/local/domain", &nr);
	char dir[PATH_SIZE];
	int err = -ENOENT;

	for (i = 0; domains && i < nr && err; i++) {
		CLEANUP_FREE char *found = NULL;

		snprintf(dir, sizeof(dir), "/local/domain/%.16s", domains[i]);
		found = read_node(xs, XBT_NULL, dir, "name");
		if (found && !strcmp(found, name) && !parse_u32(domains[i], CTL_DOMID_MAX, domid))
			err = 0;
	}
	free(domains);
	return err;
}

static void name_sides(struct place *place)
{
	snprintf(place->backend, sizeof(place->backend),
		 "/local/domain/%u/backend/vbd3/%u/%u", place->own_domid, place->domid,
		 place->devid);
	snprintf(place->frontend, sizeof(place->frontend), "/local/domain/%u/device/vbd/%u",
		 place->domid, place->devid);
}

static int find_place(struct place *place, const struct domain_disk *disk)
{
	CLEANUP_FREE char *own = NULL;
	unsigned int len;

	if (device_number(disk->device, &place->devid))
		return cli_fail(-EINVAL, "%s is no name of a disk; they are xvda, xvdb ...",
				disk->device);
	if (parse_u32(disk->domain, CTL_DOMID_MAX, &place->domid) &&
	    domain_by_name(place->xs, disk->domain, &place->domid))
		return cli_fail(-ENOENT, "there is no domain %s; see xl list", disk->domain);
	/* Not 0 in a driver domain. */
	own = xs_read(place->xs, XBT_NULL, "domid", &len);
	if (!own || parse_u32(own, CTL_DOMID_MAX, &place->own_domid))
		place->own_domid = 0;
	name_sides(place);
	return 0;
}

/* ---- what is written ---- */

static bool write_both_sides(const struct place *place, xs_transaction_t t, const void *data)
{
	const struct domain_disk *disk = data;
	struct xs_handle *xs = place->xs;
	const char *back = place->backend, *front = place->frontend;
	CLEANUP_FREE char *used = read_node(xs, t, front, "backend");
	CLEANUP_FREE char *served = read_node(xs, t, back, "frontend");

	if (used || served) {
		errno = EEXIST;
		return false;
	}
	return make_dir(xs, t, back, place->own_domid, place->domid) &&
	       write_node(xs, t, back, "frontend", "%s", front) &&
	       write_node(xs, t, back, "frontend-id", "%u", place->domid) &&
	       write_node(xs, t, back, "params", "%s", disk->image) &&
	       write_node(xs, t, back, "online", "1") &&
	       write_node(xs, t, back, "removable", "0") &&
	       write_node(xs, t, back, "bootable", "0") &&
	       write_node(xs, t, back, "dev", "%s", disk->device) &&
	       write_node(xs, t, back, OURS, OURS_VALUE) &&
	       write_node(xs, t, back, "type", "vbd3") &&
	       write_node(xs, t, back, "mode", "%s", disk->readonly ? "r" : "w") &&
	       write_node(xs, t, back, "device-type", "disk") &&
	       write_node(xs, t, back, "discard-enable", "%d", !disk->readonly) &&
	       write_node(xs, t, back, "specification", "xen") &&
	       write_node(xs, t, back, "state", "%d", INITIALISING) &&
	       make_dir(xs, t, front, place->domid, place->own_domid) &&
	       write_node(xs, t, front, "backend", "%s", back) &&
	       write_node(xs, t, front, "backend-id", "%u", place->own_domid) &&
	       write_node(xs, t, front, "virtual-device", "%u", place->devid) &&
	       write_node(xs, t, front, "device-type", "disk") &&
	       write_node(xs, t, front, "trusted", "1") &&
	       write_node(xs, t, front, "state", "%d", INITIALISING);
}

static bool remove_both_sides(const struct place *place, xs_transaction_t t, const void *data)
{
	(void)data;
	/* What is gone already is as good; the transaction itself tells of the rest. */
	xs_rm(place->xs, t, place->frontend);
	xs_rm(place->xs, t, place->backend);
	return true;
}

static bool write_served(const struct place *place, xs_transaction_t t, const void *data)
{
	const int *pid_and_minor = data;

	return write_node(place->xs, t, place->backend, "pid", "%d", pid_and_minor[0]) &&
	       write_node(place->xs, t, place->backend, "minor", "%d", pid_and_minor[1]) &&
	       write_node(place->xs, t, place->backend, "physical-device-path",
			  XENTAP_NBD_PREFIX "%d.%d", pid_and_minor[0], pid_and_minor[1]) &&
	       write_node(place->xs, t, place->backend, "hotplug-status", "connected");
}

static bool write_closing(const struct place *place, xs_transaction_t t, const void *data)
{
	const struct domain_disk *disk = data;

	/* Without its frontend a backend closes at once. */
	if (disk && disk->force)
		xs_rm(place->xs, t, place->frontend);
	return write_node(place->xs, t, place->backend, "online", "0") &&
	       write_node(place->xs, t, place->backend, "state", "%d", CLOSING);
}

/* As if nothing had been; what cannot be undone is said. */
static void undo(const struct place *place, int pid, int minor)
{
	in_transaction(place, write_closing, NULL);
	if (pid > 0) {
		await_backend(place, CLOSED, BACKEND_TIMEOUT_MS);
		place->ops->end(place->ops->context, pid, minor);
	}
	if (in_transaction(place, remove_both_sides, NULL))
		log_warning("%s and %s are left in xenstore: %m", place->backend, place->frontend);
}

/* What the two sides say when the guest does not connect. */
static int not_connected(const struct place *place, int err)
{
	char dir[PATH_SIZE];
	CLEANUP_FREE char *why = NULL;

	snprintf(dir, sizeof(dir), "/local/domain/%u/error/backend/vbd3/%u/%u",
		 place->own_domid, place->domid, place->devid);
	why = read_node(place->xs, XBT_NULL, dir, "error");
	if (err == -ENOENT)
		return cli_fail(err, "attach-domain: domain %u ended meanwhile", place->domid);
	if (why)
		return cli_fail(err, "attach-domain: tapback says: %s", why);
	return cli_fail(err, "attach-domain: the guest did not connect (its state is %d, tapback's "
			"%d); does it run, and has it a block frontend of Xen? -t waits longer",
			state_of(place, place->frontend), state_of(place, place->backend));
}

/* ---- detach ---- */

/* The tapdisk that serves it. 0, or -ENOENT: the disk is none of ours. */
static int read_served(const struct place *place, int *pid, int *minor)
{
	CLEANUP_FREE char *pid_text = read_node(place->xs, XBT_NULL, place->backend, "pid");
	CLEANUP_FREE char *minor_text = read_node(place->xs, XBT_NULL, place->backend, "minor");
	CLEANUP_FREE char *frontend = read_node(place->xs, XBT_NULL, place->backend, "frontend");
	uint32_t number;

	*pid = *minor = -1;
	if (!frontend)
		return -ENOENT;
	if (pid_text && !parse_u32(pid_text, INT32_MAX, &number) && number)
		*pid = (int)number;
	if (minor_text && !parse_u32(minor_text, XENTAP_MINOR_MAX, &number))
		*minor = (int)number;
	return 0;
}

static int take_away(const struct place *place, const struct domain_disk *disk)
{
	int err = 0, pid, minor;

	if (read_served(place, &pid, &minor))
		return cli_fail(-ENOENT, "domain %u has no disk %s of tapdisk", place->domid,
				disk->device);
	if (state_of(place, place->backend) != CLOSED)
		err = in_transaction(place, write_closing, disk);
	if (err)
		return cli_fail(err, "detach-domain: cannot write to xenstore: %s",
				strerror(-err));
	err = await_backend(place, CLOSED, disk->timeout_ms);
	if (err && !disk->force)
		return cli_fail(-EBUSY, "detach-domain: domain %u does not let go of %s; is it "
				"mounted there, or the domain paused? Try again, or use --force, "
				"which breaks it off",
				place->domid, disk->device);
	err = pid > 0 && minor >= 0 ? place->ops->end(place->ops->context, pid, minor) : 0;
	if (err)
		return err;
	err = in_transaction(place, remove_both_sides, NULL);
	if (err)
		return cli_fail(err, "detach-domain: cannot remove %s from xenstore: %s",
				place->backend, strerror(-err));
	return 0;
}

int domain_disk_detach(struct xs_handle *xs, const struct domain_disk *disk,
		       const struct domain_disk_ops *ops)
{
	struct place place = { .xs = xs, .ops = ops };
	int err = find_place(&place, disk);

	return err ? err : take_away(&place, disk);
}

/* ---- attach ---- */

/* All numbers that are names in directory @dir: for each of them @act. */
static void for_each_number(struct xs_handle *xs, const char *dir,
			    void (*act)(struct place *place, uint32_t number),
			    struct place *place)
{
	unsigned int i, nr = 0;
	char **names = xs_directory(xs, XBT_NULL, dir, &nr);
	uint32_t number;

	for (i = 0; names && i < nr; i++)
		if (!parse_u32(names[i], UINT32_MAX, &number))
			act(place, number);
	free(names);
}

static void sweep_disk(struct place *place, uint32_t devid)
{
	CLEANUP_FREE char *by = NULL, *device = NULL;
	struct domain_disk disk = { .force = true, .timeout_ms = BACKEND_TIMEOUT_MS };

	place->devid = devid;
	name_sides(place);
	by = read_node(place->xs, XBT_NULL, place->backend, OURS);
	device = read_node(place->xs, XBT_NULL, place->backend, "dev");
	if (!by || strcmp(by, OURS_VALUE) || !device)
		return;
	disk.device = device;
	if (!take_away(place, &disk))
		log_info("domain %u has ended: its disk %s was taken away", place->domid, device);
}

static void sweep_domain(struct place *place, uint32_t domid)
{
	char dir[PATH_SIZE];

	if (domid > CTL_DOMID_MAX || xs_is_domain_introduced(place->xs, domid))
		return;
	place->domid = domid;
	snprintf(dir, sizeof(dir), "/local/domain/%u/backend/vbd3/%u", place->own_domid, domid);
	for_each_number(place->xs, dir, sweep_disk, place);
}

/*
 * Disks of domains that have ended, if this command attached them: no toolstack knows
 * of them, and they keep their images from being attached again.
 */
static void sweep(const struct place *here)
{
	struct place place = *here;
	char dir[PATH_SIZE];

	snprintf(dir, sizeof(dir), "/local/domain/%u/backend/vbd3", place.own_domid);
	for_each_number(place.xs, dir, sweep_domain, &place);
}

int domain_disk_attach(struct xs_handle *xs, const struct domain_disk *disk,
		       const struct domain_disk_ops *ops)
{
	struct place place = { .xs = xs, .ops = ops };
	int served[2] = { -1, -1 };	/* pid, minor */
	int err = find_place(&place, disk);

	if (err)
		return err;
	if (!xs_is_domain_introduced(xs, place.domid))
		return cli_fail(-ENOENT, "there is no domain %u; see xl list", place.domid);
	sweep(&place);
	err = in_transaction(&place, write_both_sides, disk);
	if (err == -EEXIST)
		return cli_fail(err, "domain %u has a disk %s already; see xl block-list, or "
				"tap-ctl detach-domain if it was attached by this command",
				place.domid, disk->device);
	if (err)
		return cli_fail(err, "attach-domain: cannot write to xenstore: %s",
				strerror(-err));
	err = await_backend(&place, INIT_WAIT, BACKEND_TIMEOUT_MS);
	if (err) {
		log_error("attach-domain: tapback does not answer; systemctl start tapback, and "
			  "see journalctl -u tapback");
	} else {
		err = ops->serve(ops->context, disk, &served[0], &served[1]);
		if (!err)
			err = in_transaction(&place, write_served, served);
		if (!err) {
			err = await_backend(&place, CONNECTED, disk->timeout_ms);
			if (err)
				not_connected(&place, err);
		}
	}
	if (err)
		undo(&place, served[0], served[1]);
	return err;
}
