// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/data.h"

#include <errno.h>
#include <string.h>

/* Slots of each arena, in the order of a ring's requests. */
#define SLOTS_PER_REQUEST	16u
#define SLOTS_MIN		512u	/* two of the largest requests */
#define SLOTS_MAX		4096u
#define POOL_MIN		256u	/* the largest request, should nothing else do */
#define POOL_MIN_ALONE		512u	/* when everything is copied */
#define POOL_MAX		1024u	/* of all queues together, but for these least */
#define POOL_PER_REQUEST	33u	/* 128 KiB, not aligned */
#define PERSISTENT_PER_REQUEST	33u	/* Linux: 32 segments and a page of their list */
#define PERSISTENT_MAX		4096u

static const char *const way_names[] = {
	[DATA_MAP] = "map",
	[DATA_COPY] = "copy",
	[DATA_PERSISTENT] = "persistent",
	[DATA_AUTO] = "auto",
};

int data_way_parse(const char *name, enum data_way *way)
{
	unsigned int i;

	for (i = 0; i < sizeof(way_names) / sizeof(way_names[0]); i++) {
		if (strcmp(name, way_names[i]) == 0) {
			*way = (enum data_way)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *data_way_name(enum data_way way)
{
	return way_names[way];
}

static uint32_t clamp(uint32_t n, uint32_t min, uint32_t max)
{
	return n < min ? min : n > max ? max : n;
}

static uint32_t nr_persistent(const struct data_config *config, uint32_t entries)
{
	return config->persistent ? clamp(entries * PERSISTENT_PER_REQUEST, 0, PERSISTENT_MAX) : 0;
}

void data_shape(const struct data_config *config, uint32_t entries, struct xenio_shape *shape)
{
	uint32_t slots = clamp(entries * SLOTS_PER_REQUEST, SLOTS_MIN, SLOTS_MAX);
	uint32_t pages = config->copy_max / XENIO_SLOT_BYTES + 1;
	uint32_t pool_min = config->way == DATA_COPY ? POOL_MIN_ALONE : POOL_MIN;
	uint32_t pool_max = clamp(POOL_MAX / config->nr_queues, pool_min, POOL_MAX);

	shape->nr_slots[XENIO_RO] = slots;
	shape->nr_slots[XENIO_RW] = slots + nr_persistent(config, entries);
	shape->nr_pool = clamp(entries * clamp(pages, 1, POOL_PER_REQUEST), pool_min,
			       pool_max);
}

int data_init(struct data *data, const struct data_config *config, struct xenio *xenio,
	      uint32_t entries, uint32_t nr_ring, struct vbd_stats *stats)
{
	uint32_t kept = xenio_maps(xenio) ? nr_persistent(config, entries) : 0;
	int err;

	*data = (struct data){ .config = *config, .xenio = xenio, .stats = stats };
	if (xenio_maps(xenio))
		data->nr_transient = xenio->nr_slots[XENIO_RW] - nr_ring - kept;
	err = grants_init(&data->grants, xenio, config->domid, stats);
	if (!err)
		err = mover_map_init(&data->map, &data->grants, data->nr_transient);
	if (!err)
		err = mover_copy_init(&data->copy, xenio, config->domid, stats);
	if (!err)
		err = mover_persistent_init(&data->persistent, &data->grants,
					    data->nr_transient, kept, stats);
	return err;
}

void data_uninit(struct data *data)
{
	mover_persistent_uninit(&data->persistent);
	mover_copy_uninit(&data->copy);
	mover_map_uninit(&data->map);
	grants_uninit(&data->grants);
}

static bool try(struct data *data, struct request *request, enum data_way way)
{
	struct mover *const movers[] = {
		[DATA_MAP] = &data->map.mover,
		[DATA_COPY] = &data->copy.mover,
		[DATA_PERSISTENT] = &data->persistent.mover,
	};
	uint64_t *const counters[] = {
		[DATA_MAP] = &data->stats->moved_map,
		[DATA_COPY] = &data->stats->moved_copy,
		[DATA_PERSISTENT] = &data->stats->moved_persistent,
	};

	if (request->avoid & 1u << way)
		return false;
	if (way != DATA_COPY && !xenio_maps(data->xenio))
		return false;
	if (!movers[way]->ops->begin(movers[way], request))
		return false;
	request->mover = movers[way];
	request->way = way;
	stats_add(counters[way], 1);
	return true;
}

static bool find_way(struct data *data, struct request *request)
{
	const struct data_config *config = &data->config;

	if (config->persistent && (config->way == DATA_PERSISTENT || config->way == DATA_AUTO) &&
	    try(data, request, DATA_PERSISTENT))
		return true;
	/* A way that is forced is left only when it failed. */
	if (config->way == DATA_COPY)
		return try(data, request, DATA_COPY);
	if (config->way == DATA_MAP && xenio_maps(data->xenio))
		return request->avoid & 1u << DATA_MAP ? try(data, request, DATA_COPY) :
			try(data, request, DATA_MAP);
	/* Who finds no room in the pool waits: mapping costs more than that takes. */
	if (request->bytes <= config->copy_max && !(request->avoid & 1u << DATA_COPY))
		return try(data, request, DATA_COPY);
	return try(data, request, DATA_MAP) || try(data, request, DATA_COPY);
}

int data_begin(struct data *data, struct request *request)
{
	if (find_way(data, request)) {
		data->nr_begun++;
		return 0;
	}
	return data->nr_begun ? -EAGAIN : -ENOMEM;
}

void data_end(struct data *data, struct request *request)
{
	(void)data;
	request->mover->ops->end(request->mover, request);
}

void data_release(struct data *data, struct request *request)
{
	request->mover->ops->release(request->mover, request);
	request->mover = NULL;
	data->nr_begun--;
}

/* Slots are of two kinds: the first ones are mapped for single requests. */
static void note_unmap(struct data *data, enum xenio_arena arena,
		       const struct xenio_unmap *result)
{
	if (result->slot < data->nr_transient)
		mover_map_unmapped(&data->map, arena, result);
	else
		mover_persistent_unmapped(&data->persistent, result);
}

static void note_map(struct data *data, enum xenio_arena arena, const struct xenio_map *result)
{
	if (result->slot < data->nr_transient)
		mover_map_mapped(&data->map, arena, result);
	else
		mover_persistent_mapped(&data->persistent, result);
}

int data_run(struct data *data)
{
	uint32_t i;
	int arena;
	int err;

	err = grants_run(&data->grants);
	for (arena = 0; arena < XENIO_NR_ARENAS; arena++) {
		const struct grants_batch *batch = &data->grants.batches[arena];

		for (i = 0; i < batch->nr_unmaps; i++)
			note_unmap(data, (enum xenio_arena)arena, &batch->unmaps[i]);
		for (i = 0; i < batch->nr_maps; i++)
			note_map(data, (enum xenio_arena)arena, &batch->maps[i]);
	}
	grants_forget(&data->grants);
	mover_copy_run(&data->copy);
	return err;
}

/*
 * What can work another way: a mapping for want of room, of Xen's or by the
 * module's limits; a persistent one for any reason.
 */
static bool has_other_way(const struct data *data, const struct request *request, int err)
{
	if (request->way == DATA_PERSISTENT)
		return true;
	return request->way == DATA_MAP && data->xenio->nr_pool &&
	       (err == -EDQUOT || err == -ENOSPC || err == -ENOMEM);
}

int data_ready(struct data *data, struct request *request)
{
	int err = request->mover->ops->ready(request->mover, request);

	if (!err || !has_other_way(data, request, err))
		return err;
	request->again = true;
	request->avoid |= 1u << request->way;
	stats_add(&data->stats->fallbacks, 1);
	return err;
}

struct request *data_drained(struct data *data, enum xenio_arena arena,
			     const struct xenio_drained *record)
{
	if (record->slot < data->nr_transient)
		return mover_map_drained(&data->map, arena, record);
	mover_persistent_drained(&data->persistent, record);
	return NULL;
}

/* Which page of @nr from @base on, or UINT32_MAX. */
static uint32_t page_of(const uint8_t *base, uint32_t nr, const void *address)
{
	uintptr_t offset = (uintptr_t)address - (uintptr_t)base;

	return base && offset / XENIO_SLOT_BYTES < nr ?
	       (uint32_t)(offset / XENIO_SLOT_BYTES) : UINT32_MAX;
}

int data_gref(const struct data *data, const void *address, uint32_t *gref)
{
	const struct xenio *xenio = data->xenio;
	uint32_t page = page_of(xenio->pool, xenio->nr_pool, address);
	int arena;

	if (page != UINT32_MAX)
		return mover_copy_gref(&data->copy, page, gref);
	for (arena = 0; arena < XENIO_NR_ARENAS; arena++) {
		page = page_of(xenio->base[arena], xenio->nr_slots[arena], address);
		if (page < data->nr_transient)
			return mover_map_gref(&data->map, (enum xenio_arena)arena, page, gref);
		if (page != UINT32_MAX && arena == XENIO_RW)
			return mover_persistent_gref(&data->persistent, page, gref);
	}
	return -ENOENT;
}

void data_close(struct data *data)
{
	mover_persistent_close(&data->persistent);
}
