// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "tapdisk/ctl_proto.h"

static void entry_clear(struct listing_entry *entry)
{
	free(entry->type);
	free(entry->path);
}

void listing_clear(struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->nr; i++)
		entry_clear(&listing->entries[i]);
	free(listing->entries);
	*listing = (struct listing){ 0 };
}

int listing_add(struct listing *listing, const struct listing_entry *entry)
{
	struct listing_entry copy = *entry, *grown;

	grown = reallocarray(listing->entries, listing->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	listing->entries = grown;
	copy.type = entry->type ? strdup(entry->type) : NULL;
	copy.path = entry->path ? strdup(entry->path) : NULL;
	if ((entry->type && !copy.type) || (entry->path && !copy.path)) {
		entry_clear(&copy);
		return -ENOMEM;
	}
	listing->entries[listing->nr++] = copy;
	return 0;
}

/* One element of "disks". */
static int add_disk(struct listing *listing, int pid, struct json_object *disk)
{
	struct ctl_msg view = { .json = disk };
	struct listing_entry entry = { .pid = pid };
	const char *type, *path;
	int64_t minor;

	if (!json_object_is_type(disk, json_type_object) ||
	    ctl_get_int(&view, "minor", 0, XENTAP_MINOR_MAX, &minor) ||
	    ctl_get_int(&view, "state", 0, UINT32_MAX, &entry.state))
		return -EBADMSG;
	entry.minor = (int)minor;
	if (!ctl_get_string(&view, "type", &type) &&
	    !ctl_get_string(&view, "path", &path)) {
		entry.type = (char *)type;
		entry.path = (char *)path;
	}
	return listing_add(listing, &entry);
}

int listing_add_reply(struct listing *listing, int pid, const struct ctl_msg *reply)
{
	static const struct listing_entry bare = { .minor = -1, .state = -1 };
	struct listing_entry idle = bare;
	struct json_object *disks;
	size_t i, nr;
	int err;

	if (!json_object_object_get_ex(reply->json, "disks", &disks) ||
	    !json_object_is_type(disks, json_type_array))
		return -EBADMSG;
	nr = json_object_array_length(disks);
	for (i = 0; i < nr; i++) {
		err = add_disk(listing, pid, json_object_array_get_idx(disks, i));
		if (err)
			return err;
	}
	idle.pid = pid;
	return nr ? 0 : listing_add(listing, &idle);
}

static bool has_minor(const struct listing *listing, int minor)
{
	size_t i;

	for (i = 0; i < listing->nr; i++)
		if (listing->entries[i].minor == minor)
			return true;
	return false;
}

int listing_add_orphans(struct listing *listing, const int *minors, int nr)
{
	struct listing_entry orphan = { .pid = -1, .state = -1 };
	int err, i;

	for (i = 0; i < nr; i++) {
		if (has_minor(listing, minors[i]))
			continue;
		orphan.minor = minors[i];
		err = listing_add(listing, &orphan);
		if (err)
			return err;
	}
	return 0;
}

void listing_say_silent(const struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->nr; i++)
		if (listing->entries[i].err)
			log_warning("tapdisk %d does not say what it serves: %s",
				    listing->entries[i].pid, strerror(-listing->entries[i].err));
}

int listing_pid_of(const struct listing *listing, int minor)
{
	size_t i;

	for (i = 0; i < listing->nr; i++)
		if (listing->entries[i].minor == minor && listing->entries[i].pid > 0)
			return listing->entries[i].pid;
	return 0;
}

bool listing_matches(const struct listing_filter *filter,
		     const struct listing_entry *entry)
{
	if (filter->pid >= 0 && filter->pid != entry->pid)
		return false;
	if (filter->minor >= 0 && filter->minor != entry->minor)
		return false;
	if (filter->type && (!entry->type || strcmp(filter->type, entry->type)))
		return false;
	return !filter->path || (entry->path && !strcmp(filter->path, entry->path));
}

void listing_print_line(FILE *out, const struct listing_entry *entry)
{
	CLEANUP_FREE char *type = text_clean_copy(entry->type);
	CLEANUP_FREE char *path = text_clean_copy(entry->path);
	const char *space = "";

	if (entry->pid >= 0) {
		fprintf(out, "pid=%d", entry->pid);
		space = " ";
	}
	if (entry->minor >= 0) {
		fprintf(out, "%sminor=%d", space, entry->minor);
		space = " ";
	}
	if (entry->state >= 0) {
		fprintf(out, "%sstate=%#" PRIx64, space, (uint64_t)entry->state);
		space = " ";
	}
	if (type && path)
		fprintf(out, "%sargs=%s:%s", space, type, path);
	fputc('\n', out);
}

/* @number as text, or a dash. */
static const char *cell(char text[24], bool hex, int64_t number)
{
	if (number < 0)
		return "-";
	snprintf(text, 24, hex ? "%#" PRIx64 : "%" PRId64, number);
	return text;
}

static void print_row(FILE *out, const struct listing_entry *entry)
{
	CLEANUP_FREE char *type = text_clean_copy(entry->type);
	CLEANUP_FREE char *path = text_clean_copy(entry->path);
	char pid[24], minor[24], state[24];

	fprintf(out, "%8s %5s %5s %4s %s\n", cell(pid, false, entry->pid),
		cell(minor, false, entry->minor), cell(state, true, entry->state),
		type ? type : "-", path ? path : "-");
}

void listing_print_table(FILE *out, const struct listing *listing,
			 const struct listing_filter *filter)
{
	size_t i;

	fprintf(out, "%8s %5s %5s %4s %s\n", "pid", "minor", "state", "type", "path");
	for (i = 0; i < listing->nr; i++)
		if (listing_matches(filter, &listing->entries[i]))
			print_row(out, &listing->entries[i]);
}

struct json_object *listing_json(const struct listing_entry *entry)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	if (entry->pid >= 0)
		json_object_object_add(object, "pid", json_object_new_int(entry->pid));
	if (entry->minor >= 0)
		json_object_object_add(object, "minor", json_object_new_int(entry->minor));
	if (entry->state >= 0)
		json_object_object_add(object, "state", json_object_new_int64(entry->state));
	if (entry->path) {
		json_object_object_add(object, "type", json_object_new_string(entry->type));
		json_object_object_add(object, "path", json_object_new_string(entry->path));
	}
	return object;
}
