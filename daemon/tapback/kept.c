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
#include "base/log.h"
#include "tapback/fdstore.h"
#include "tapback/guest_fds.h"
#include "uapi/xentap.h"

/*
 * Whatever becomes of a tapdisk that has it: it does not grow, and the next one's
 * mapping of it does not lose its memory.
 */
#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/*
 * More than a tapdisk makes (vbd/data.c). We ask for each, and a tapdisk that its guest
 * has taken over may say any number.
 */
#define SLOTS_MAX	16384

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
	    ctl_get_int(entry, "slots", 0, SLOTS_MAX, &slots))
		return -EINVAL;
	*arena = (struct kept_arena){
		.fd = fd_take(fd), .base = (uint64_t)base, .slots = (uint32_t)slots,
	};
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

/* Short, as there is not room for any number: domain, disk, first page, slots. */
#define JOURNAL_NAME	"j%" PRIx32 "-%" PRIx32
#define JOURNAL_SCAN	"j%" SCNx32 "-%" SCNx32
#define ARENA_NAME	"a%" PRIx32 "-%" PRIx32 "-%" PRIx64 "-%" PRIx32
#define ARENA_SCAN	"a%" SCNx32 "-%" SCNx32 "-%" SCNx64 "-%" SCNx32

static void journal_name(const struct kept *kept, char name[FDSTORE_NAME_MAX])
{
	snprintf(name, FDSTORE_NAME_MAX, JOURNAL_NAME, kept->domid, kept->devid);
}

static void arena_name(const struct kept *kept, const struct kept_arena *arena,
		       char name[FDSTORE_NAME_MAX])
{
	snprintf(name, FDSTORE_NAME_MAX, ARENA_NAME, kept->domid, kept->devid,
		 arena->base / XENTAP_SLOT_BYTES, arena->slots);
}

static void unstore(struct kept *kept)
{
	char name[FDSTORE_NAME_MAX];
	unsigned int i;

	if (kept->stored) {
		journal_name(kept, name);
		fdstore_remove(name);
		kept->stored = false;
	}
	for (i = 0; i < kept->nr_arenas; i++) {
		if (!kept->arenas[i].stored)
			continue;
		arena_name(kept, &kept->arenas[i], name);
		fdstore_remove(name);
		kept->arenas[i].stored = false;
	}
}

/* All of it or nothing: a journal is of no use without the arenas. */
static void store(struct kept *kept)
{
	char name[FDSTORE_NAME_MAX];
	unsigned int i;

	journal_name(kept, name);
	kept->stored = !fdstore_put(name, kept->journal);
	for (i = 0; i < kept->nr_arenas && kept->stored; i++) {
		struct kept_arena *arena = &kept->arenas[i];

		arena_name(kept, arena, name);
		arena->stored = !fdstore_put(name, arena->fd);
		if (!arena->stored)
			unstore(kept);
	}
	if (!kept->stored)
		log_warning("domain %u, disk %u: systemd keeps no more descriptors: the guest loses this disk if its tapdisk ends while tapback does not run",
			    kept->domid, kept->devid);
}

/* systemd gives back what it was given: only whose it is has to be found out. */
bool kept_load(struct kept *kept, const char *name, int fd)
{
	struct kept_arena arena = { .fd = fd, .stored = true };
	uint64_t page;
	uint32_t domid, devid;

	if (sscanf(name, ARENA_SCAN, &domid, &devid, &page, &arena.slots) == 4) {
		if (domid != kept->domid || devid != kept->devid || arena.slots > SLOTS_MAX ||
		    kept->nr_arenas == sizeof(kept->arenas) / sizeof(kept->arenas[0]))
			return false;
		arena.base = page * XENTAP_SLOT_BYTES;
		kept->arenas[kept->nr_arenas++] = arena;
	} else if (sscanf(name, JOURNAL_SCAN, &domid, &devid) == 2) {
		if (domid != kept->domid || devid != kept->devid || kept->journal >= 0)
			return false;
		kept->journal = fd;
		kept->stored = true;
	} else {
		return false;
	}
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
