// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Map each page of a request for its I/O alone, in slots in a row. A response
 * is written only after that is undone: a frontend that gave no persistent
 * grants stops using the disk otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vbd/mover.h"

static struct mover_map *self(struct mover *mover)
{
	return (struct mover_map *)mover;
}

/* The target of a read is written to; the source of a write may be read-only. */
static enum xenio_arena arena_of(const struct request *request)
{
	return request_is_read(request) ? XENIO_RW : XENIO_RO;
}

static bool map_begin(struct mover *mover, struct request *request)
{
	struct mover_map *map = self(mover);
	enum xenio_arena arena = arena_of(request);
	unsigned int i;

	request->run = slots_take(&map->slots[arena], request->wire.nr_segments);
	if (request->run == SLOTS_NONE)
		return false;
	memset(request->mapped, 0, sizeof(request->mapped));
	for (i = 0; i < request->wire.nr_segments; i++) {
		map->owners[arena][request->run + i] = request;
		grants_map(map->grants, arena, request->run + i, request->segments[i].gref);
	}
	return true;
}

void mover_map_mapped(struct mover_map *map, enum xenio_arena arena,
		      const struct xenio_map *result)
{
	struct request *request = map->owners[arena][result->slot];

	if (result->status) {
		request->error = result->status;
		return;
	}
	request_set_mapped(request, result->slot - request->run);
	stats_add(&map->grants->stats->grants, 1);
}

static int map_ready(struct mover *mover, const struct request *request)
{
	(void)mover;
	return request->error;
}

static void map_gather(struct mover *mover, struct request *request)
{
	request_gather_run(request, xenio_address(self(mover)->grants->xenio, arena_of(request),
						  request->run));
}

static void map_end(struct mover *mover, struct request *request)
{
	struct mover_map *map = self(mover);
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		if (request_is_mapped(request, i))
			grants_unmap(map->grants, arena_of(request), request->run + i);
}

void mover_map_unmapped(struct mover_map *map, enum xenio_arena arena,
			const struct xenio_unmap *result)
{
	struct request *request = map->owners[arena][result->slot];

	if (result->status == -EINPROGRESS) {
		request->draining++;
		stats_add(&map->grants->stats->drains, 1);
	} else if (result->status) {
		request->error = result->status;
		request->lost = true;
	}
}

struct request *mover_map_drained(struct mover_map *map, enum xenio_arena arena,
				  const struct xenio_drained *record)
{
	struct request *request = map->owners[arena][record->slot];

	if (record->status) {
		request->error = record->status;
		request->lost = true;
	}
	return --request->draining ? NULL : request;
}

int mover_map_gref(const struct mover_map *map, enum xenio_arena arena, uint32_t slot,
		   uint32_t *gref)
{
	const struct request *request = map->owners[arena][slot];

	if (!request || request->mover != &map->mover || slot < request->run ||
	    slot - request->run >= request->wire.nr_segments)
		return -ENOENT;
	*gref = request->segments[slot - request->run].gref;
	return 0;
}

static void map_release(struct mover *mover, struct request *request)
{
	/* A slot that the module lost is of no more use, nor are its neighbours. */
	if (!request->lost)
		slots_give(&self(mover)->slots[arena_of(request)], request->run,
			   request->wire.nr_segments);
	request->lost = false;
}

static const struct mover_ops map_ops = {
	.begin = map_begin,
	.ready = map_ready,
	.gather = map_gather,
	.end = map_end,
	.release = map_release,
};

int mover_map_init(struct mover_map *map, struct grants *grants, uint32_t nr)
{
	int i;

	*map = (struct mover_map){ .mover.ops = &map_ops, .grants = grants };
	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		map->owners[i] = calloc(nr + 1, sizeof(*map->owners[i]));
		if (slots_init(&map->slots[i], nr) || !map->owners[i])
			return -ENOMEM;
	}
	return 0;
}

void mover_map_uninit(struct mover_map *map)
{
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		slots_uninit(&map->slots[i]);
		free(map->owners[i]);
	}
}
