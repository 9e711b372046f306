// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tapback/fdstore.h"
#include "tapback/guest_fds.h"

/*
 * Whatever becomes of a tapdisk that has it: it does not grow, and the next one's
 * mapping of it does not lose its memory.
 */
#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int kept_make(struct kept *kept)
{
	int err = 0;

	kept_drop(kept);
	kept->journal = memfd_create("xentap-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (kept->journal < 0 || ftruncate(kept->journal, CTL_JOURNAL_BYTES) ||
	    fcntl(kept->journal, F_ADD_SEALS, SEALS))
		err = -errno;
	if (err)
		kept_drop(kept);
	return err;
}

/* What a tapdisk calls a journal may be anything. */
static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

static int take_arena(struct kept *kept, const struct ctl_msg *entry, int *fd)
{
	struct kept_arena *arena = &kept->arenas[kept->nr_arenas];
	int64_t base, slots;

	if (!json_object_is_type(entry->json, json_type_object) ||
	    ctl_get_int(entry, "base", 0, INT64_MAX, &base) ||
	    ctl_get_int(entry, "slots", 0, UINT32_MAX, &slots))
		return -EINVAL;
	*arena = (struct kept_arena){ fd_take(fd), (uint64_t)base, (uint32_t)slots };
	kept->nr_arenas++;
	return 0;
}

static void store(struct kept *kept);

int kept_take(struct kept *kept, struct ctl_msg *reply)
{
	struct json_object *arenas;
	size_t i, nr;
	int err = 0;

	if (!json_object_object_get_ex(reply->json, "arenas", &arenas) ||
	    !json_object_is_type(arenas, json_type_array))
		return -EINVAL;
	nr = json_object_array_length(arenas);
	if (reply->nr_fds != nr + 1 || !is_sealed(reply->fds[0]))
		return -EINVAL;
	kept_drop(kept);
	kept->journal = fd_take(&reply->fds[0]);
	for (i = 0; i < nr && !err; i++) {
		const struct ctl_msg entry = { .json = json_object_array_get_idx(arenas, i) };

		err = take_arena(kept, &entry, &reply->fds[i + 1]);
	}
	if (err)
		kept_drop(kept);
	else
		store(kept);
	return err;
}

/* ---- what systemd keeps ---- */

#define JOURNAL_NAME	"journal-%" PRIu32 "-%" PRIu32
#define ARENA_NAME	"arena-%" PRIu32 "-%" PRIu32 "-%" PRIx64 "-%" PRIu32

static void journal_name(const struct kept *kept, char name[FDSTORE_NAME_MAX])
{
	snprintf(name, FDSTORE_NAME_MAX, JOURNAL_NAME, kept->domid, kept->devid);
}

static void arena_name(const struct kept *kept, const struct kept_arena *arena,
		       char name[FDSTORE_NAME_MAX])
{
	snprintf(name, FDSTORE_NAME_MAX, ARENA_NAME, kept->domid, kept->devid, arena->base,
		 arena->slots);
}

static void store(struct kept *kept)
{
	char name[FDSTORE_NAME_MAX];
	unsigned int i;

	journal_name(kept, name);
	fdstore_put(name, kept->journal);
	for (i = 0; i < kept->nr_arenas; i++) {
		arena_name(kept, &kept->arenas[i], name);
		fdstore_put(name, kept->arenas[i].fd);
	}
	kept->stored = true;
}

static void unstore(struct kept *kept)
{
	char name[FDSTORE_NAME_MAX];
	unsigned int i;

	if (!kept->stored)
		return;
	journal_name(kept, name);
	fdstore_remove(name);
	for (i = 0; i < kept->nr_arenas; i++) {
		arena_name(kept, &kept->arenas[i], name);
		fdstore_remove(name);
	}
	kept->stored = false;
}

/* systemd gives back what it was given: only whose it is has to be found out. */
bool kept_load(struct kept *kept, const char *name, int fd)
{
	struct kept_arena arena = { .fd = fd };
	uint32_t domid, devid;

	if (sscanf(name, "arena-%" SCNu32 "-%" SCNu32 "-%" SCNx64 "-%" SCNu32, &domid, &devid,
		   &arena.base, &arena.slots) == 4) {
		if (domid != kept->domid || devid != kept->devid ||
		    kept->nr_arenas == sizeof(kept->arenas) / sizeof(kept->arenas[0]))
			return false;
		kept->arenas[kept->nr_arenas++] = arena;
	} else if (sscanf(name, "journal-%" SCNu32 "-%" SCNu32, &domid, &devid) == 2) {
		if (domid != kept->domid || devid != kept->devid || kept->journal >= 0)
			return false;
		kept->journal = fd;
	} else {
		return false;
	}
	kept->stored = true;
	return true;
}

void kept_close(struct kept *kept)
{
	fd_close(&kept->journal);
	while (kept->nr_arenas)
		fd_close(&kept->arenas[--kept->nr_arenas].fd);
	kept->stored = false;
}

void kept_drop(struct kept *kept)
{
	unstore(kept);
	kept_close(kept);
}

bool kept_is_serving(const struct kept *kept)
{
	uint32_t state;

	return kept->journal >= 0 &&
	       pread(kept->journal, &state, sizeof(state), 0) == sizeof(state) &&
	       state == CTL_JOURNAL_SERVING;
}

bool kept_is_in_use(const struct kept *kept)
{
	unsigned int i;

	for (i = 0; i < kept->nr_arenas; i++)
		if (guest_fds_in_use(kept->arenas[i].fd, kept->arenas[i].base,
				     kept->arenas[i].slots))
			return true;
	return false;
}
