// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/image_claim.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xenstore.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/image_file.h"
#include "cli/listing.h"
#include "cli/steps.h"
#include "image/lock.h"
#include "tapdisk/ctl_proto.h"

/* Who has the image, as far as this host's tapdisks can tell. */
struct holder {
	int pid;			/* 0: none of them */
	int minor;
	int64_t domid;			/* -1: it has no guest */
};

/* Whether @path is the file that @st is about, by whatever name. */
static bool is_same_file(const char *path, const struct stat *st)
{
	struct image_id id = image_file_id(st), other;
	struct stat found;

	if (!path || stat(path, &found))
		return false;
	other = image_file_id(&found);
	return other.device == id.device && other.inode == id.inode;
}

/* The last guest of the holder's disk. */
static void find_guest(struct holder *holder)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	struct json_object *list;
	size_t i;

	if (step_call_minor(holder->pid, "arena", holder->minor, &reply, CLI_TIMEOUT_MS, "open"))
		return;
	if (!json_object_object_get_ex(reply.json, "frontends", &list) ||
	    !json_object_is_type(list, json_type_array))
		list = NULL;
	for (i = 0; list && i < json_object_array_length(list); i++) {
		struct ctl_msg entry = { .json = json_object_array_get_idx(list, i) };

		if (json_object_is_type(entry.json, json_type_object))
			ctl_get_int(&entry, "domid", 0, CTL_DOMID_MAX, &holder->domid);
	}
	ctl_msg_clear(&reply);
}

static struct holder find_holder(int fd)
{
	struct holder holder = { .domid = -1 };
	struct listing listing = { 0 };
	struct stat st;
	size_t i;

	if (fstat(fd, &st) || listing_scan(&listing, XENTAP_RUN_DIR, -1, LISTING_TIMEOUT_MS)) {
		listing_clear(&listing);
		return holder;
	}
	/* Perhaps it is one of these. */
	listing_say_silent(&listing);
	for (i = 0; i < listing.nr && !holder.pid; i++) {
		if (!is_same_file(listing.entries[i].path, &st))
			continue;
		holder.pid = listing.entries[i].pid;
		holder.minor = listing.entries[i].minor;
	}
	listing_clear(&listing);
	if (holder.pid)
		find_guest(&holder);
	return holder;
}

/* The domain that the hotplug script attaches to, or -1. */
static int64_t own_domid(void)
{
	const char *path = getenv("XENBUS_PATH");
	unsigned int domid;
	int used = 0;

	path = path ? strstr(path, "backend/vbd3/") : NULL;
	if (!path || sscanf(path, "backend/vbd3/%u/%n", &domid, &used) != 1 || !used)
		return -1;
	return domid;
}

/* The node that names the virtual machine, whatever number its domain has. */
static char *vm_of(struct xs_handle *xs, int64_t domid)
{
	char path[64];
	unsigned int len;

	snprintf(path, sizeof(path), "/local/domain/%lld/vm", (long long)domid);
	return xs_read(xs, XBT_NULL, path, &len);
}

static bool is_same_vm(int64_t domid, int64_t other)
{
	CLEANUP_FREE char *vm = NULL;
	CLEANUP_FREE char *other_vm = NULL;
	struct xs_handle *xs;

	if (domid < 0 || other < 0 || domid == other)
		return false;
	xs = xs_open(0);
	if (!xs)
		return false;
	vm = vm_of(xs, domid);
	other_vm = vm_of(xs, other);
	xs_close(xs);
	return vm && other_vm && *vm && !strcmp(vm, other_vm);
}

static int refuse(const struct holder *holder, const char *path, char *why, size_t why_size)
{
	char who[96] = "another program, or another host";

	if (holder->pid && holder->domid >= 0)
		snprintf(who, sizeof(who), "domain %lld (tapdisk %d, minor %d)",
			 (long long)holder->domid, holder->pid, holder->minor);
	else if (holder->pid)
		snprintf(who, sizeof(who), "tapdisk %d (minor %d), without a guest",
			 holder->pid, holder->minor);
	snprintf(why, why_size, "image %s is in use by %s; only readers can share an image "
		 "(access=ro for all)", path, who);
	return -EBUSY;
}

int image_claim(int fd, const char *path, bool readonly, char *why, size_t why_size)
{
	struct holder holder;
	int err = image_lock(fd, readonly);

	*why = '\0';
	if (err && err != -EBUSY) {
		snprintf(why, why_size, "image %s cannot be locked (%s): nothing keeps another "
			 "host from writing it", path, strerror(-err));
		return 0;
	}
	if (!err)
		return 0;
	holder = find_holder(fd);
	if (is_same_vm(own_domid(), holder.domid))
		return 1;
	return refuse(&holder, path, why, why_size);
}
