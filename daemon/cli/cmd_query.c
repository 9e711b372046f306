// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl query, gref: which grant stands behind an address of tapdisk. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "cli/json_out.h"
#include "cli/listing.h"
#include "cli/steps.h"
#include "uapi/xentap.h"

/* One arena of a tapdisk: its descriptor and where it is mapped there. */
struct arena {
	int fd;
	uint64_t base;		/* address in tapdisk */
	uint32_t slots;
	uint32_t max_batch;	/* entries one query may have */
};

static bool arena_holds(const struct arena *arena, uint64_t addr)
{
	return addr >= arena->base &&
	       (addr - arena->base) / XENTAP_SLOT_BYTES < arena->slots;
}

static struct json_object *grant_json(const struct xentap_query_addr *entry)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "addr", json_object_new_uint64(entry->addr));
	json_object_object_add(object, "domid", json_object_new_int64(entry->domid));
	json_object_object_add(object, "gref", json_object_new_int64(entry->gref));
	if (entry->mfn != XENTAP_MFN_HIDDEN)
		json_object_object_add(object, "mfn", json_object_new_uint64(entry->mfn));
	json_object_object_add(object, "readonly",
			       json_object_new_boolean(!!(entry->flags & XENTAP_GRANT_F_RDONLY)));
	json_object_object_add(object, "draining",
			       json_object_new_boolean(!!(entry->flags &
							  XENTAP_GRANT_F_DRAINING)));
	return object;
}

/* To @grants, or as a line where that is NULL. */
static void show_grant(const struct xentap_query_addr *entry, struct json_object *grants)
{
	char mfn[24] = "hidden";

	if (grants) {
		json_object_array_add(grants, grant_json(entry));
		return;
	}
	if (entry->mfn != XENTAP_MFN_HIDDEN)
		snprintf(mfn, sizeof(mfn), "%#" PRIx64, (uint64_t)entry->mfn);
	printf("addr=%#" PRIx64 " domid=%u gref=%u mfn=%s %s%s\n",
	       (uint64_t)entry->addr, entry->domid, entry->gref, mfn,
	       entry->flags & XENTAP_GRANT_F_RDONLY ? "ro" : "rw",
	       entry->flags & XENTAP_GRANT_F_DRAINING ? " draining" : "");
}

/* Ask about @nr addresses at once and show those with a grant behind. */
static int query_batch(const struct arena *arena, struct xentap_query_addr *entries,
		       uint32_t nr, struct json_object *grants)
{
	struct xentap_query query = { .entries = (uintptr_t)entries, .nr = nr };
	uint32_t i;

	if (ioctl(arena->fd, XENTAP_IOC_QUERY, &query))
		return cli_fail(-errno, "query: the module does not answer: %m");
	for (i = 0; i < nr; i++)
		if (!entries[i].status)
			show_grant(&entries[i], grants);
	return 0;
}

static int query_all_slots(const struct arena *arena, struct json_object *grants)
{
	CLEANUP_FREE struct xentap_query_addr *entries = NULL;
	uint32_t slot = 0, i, nr;
	int err = 0;

	entries = calloc(arena->max_batch, sizeof(*entries));
	if (!entries)
		return cli_fail(-ENOMEM, "query: no memory for %u entries", arena->max_batch);
	while (!err && slot < arena->slots) {
		nr = arena->slots - slot;
		if (nr > arena->max_batch)
			nr = arena->max_batch;
		for (i = 0; i < nr; i++)
			entries[i] = (struct xentap_query_addr){
				.addr = arena->base + (uint64_t)(slot + i) * XENTAP_SLOT_BYTES,
			};
		err = query_batch(arena, entries, nr, grants);
		slot += nr;
	}
	return err;
}

static int query_address(const struct arena *arenas, size_t nr_arenas, const char *text,
			 struct json_object *grants)
{
	struct xentap_query_addr entry = { 0 };
	char *end;
	size_t i;

	errno = 0;
	entry.addr = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return cli_fail(-EINVAL, "query: %s is not an address", text);
	for (i = 0; i < nr_arenas; i++)
		if (arena_holds(&arenas[i], entry.addr))
			return query_batch(&arenas[i], &entry, 1, grants);
	return cli_fail(-ENOENT, "query: address %s is in no arena of that tapdisk", text);
}

/* One element of "arenas" and its descriptor. 0 or -errno. */
static int parse_arena(struct json_object *json, int fd, struct arena *arena)
{
	struct ctl_msg view = { .json = json };
	struct xentap_info info;
	int64_t base, slots;

	if (!json_object_is_type(json, json_type_object) ||
	    ctl_get_int(&view, "base", 0, INT64_MAX, &base) ||
	    ctl_get_int(&view, "slots", 1, UINT32_MAX, &slots))
		return cli_fail(-EPROTO, "query: tapdisk describes its arenas in no known way");
	if (ioctl(fd, XENTAP_IOC_GET_INFO, &info))
		return cli_fail(-errno, "query: the module does not answer: %m");
	if (!(info.features & XENTAP_FEAT_QUERY) || !info.max_batch)
		return cli_fail(-EOPNOTSUPP,
				"query: the loaded module xentap cannot answer queries");
	*arena = (struct arena){
		.fd = fd,
		.base = (uint64_t)base,
		.slots = (uint32_t)slots,
		.max_batch = info.max_batch,
	};
	return 0;
}

/* The arenas in @reply: their number, or -errno. */
static int parse_arenas(const struct ctl_msg *reply, struct arena arenas[CTL_MSG_FDS])
{
	struct json_object *list;
	unsigned int i;
	int err;

	if (!json_object_object_get_ex(reply->json, "arenas", &list) ||
	    !json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) != reply->nr_fds)
		return cli_fail(-EPROTO, "query: tapdisk describes its arenas in no known way");
	for (i = 0; i < reply->nr_fds; i++) {
		err = parse_arena(json_object_array_get_idx(list, i), reply->fds[i],
				  &arenas[i]);
		if (err)
			return err;
	}
	return (int)reply->nr_fds;
}

/* All grants, or those behind @addresses, as lines or as JSON. */
static int query(int pid, int minor, char **addresses, int nr_addresses, bool json)
{
	struct json_object *grants = json ? json_object_new_array() : NULL;
	struct ctl_msg reply = CTL_MSG_INIT;
	struct arena arenas[CTL_MSG_FDS];
	int err, i, nr;

	err = step_call_minor(pid, "arena", minor, &reply, CLI_TIMEOUT_MS, "query");
	nr = err ? err : parse_arenas(&reply, arenas);
	if (nr < 0)
		err = nr;
	for (i = 0; !err && !nr_addresses && i < nr; i++)
		err = query_all_slots(&arenas[i], grants);
	for (i = 0; !err && i < nr_addresses; i++)
		err = query_address(arenas, (size_t)nr, addresses[i], grants);
	if (!err && json)
		json_print(stdout, grants);
	json_object_put(grants);
	ctl_msg_clear(&reply);
	return err;
}

int cmd_query(const struct cli_options *options)
{
	return query(options->pid, options->minor, options->args, options->nr_args,
		     options->json);
}

int cmd_gref(const struct cli_options *options)
{
	uint32_t minor;
	int pid;

	if (!options->nr_args)
		return cli_fail(-EINVAL, "gref: which minor? \"tap-ctl list\" shows them");
	if (parse_u32(options->args[0], XENTAP_MINOR_MAX, &minor))
		return cli_fail(-EINVAL, "gref: %s is not a minor number from 0 to %d",
				options->args[0], XENTAP_MINOR_MAX);
	pid = step_find_tapdisk((int)minor, LISTING_TIMEOUT_MS);
	if (pid < 0)
		return cli_fail(pid, "gref: no tapdisk that answers has minor %u; see tap-ctl list",
				minor);
	return query(pid, (int)minor, options->args + 1, options->nr_args - 1, options->json);
}
