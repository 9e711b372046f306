// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keep grants mapped for frontends that promised to use the same ones again. At
 * most as many as there are slots: the one unused for longest makes room.
 * Nothing but the number of the grant is remembered: a frontend that breaks its
 * word gets its data where its old page was.
 */
#include <errno.h>
#include <stdlib.h>

#include "vbd/mover.h"

#define NONE UINT32_MAX

enum kept_state {
	KEPT_FREE,		/* in the list of free ones */
	KEPT_MAPPING,		/* asked for in this pass */
	KEPT_LIVE,
	KEPT_FAILED,		/* not mapped; still named by requests */
	KEPT_UNMAPPING,		/* at the end */
	KEPT_LOST,
};

/* One grant. Links are numbers of others. */
struct kept {
	uint32_t gref;
	uint32_t uses;		/* by requests, at the moment */
	uint32_t chain;		/* the next in the bucket, or in the free list */
	uint32_t newer, older;	/* while not in use */
	enum kept_state state;
	bool draining;		/* what was here before; I/O holds it */
};

static struct mover_persistent *self(struct mover *mover)
{
	return (struct mover_persistent *)mover;
}

/* ---- by grant ---- */

static uint32_t *bucket(struct mover_persistent *p, uint32_t gref)
{
	/* Frontends count their grants; guests harm themselves by choosing others. */
	return &p->buckets[(gref * 2654435761u >> 7) & (p->nr_buckets - 1)];
}

static uint32_t find(struct mover_persistent *p, uint32_t gref)
{
	uint32_t n = *bucket(p, gref);

	while (n != NONE && p->kept[n].gref != gref)
		n = p->kept[n].chain;
	return n;
}

static void hash_add(struct mover_persistent *p, uint32_t n)
{
	uint32_t *head = bucket(p, p->kept[n].gref);

	p->kept[n].chain = *head;
	*head = n;
}

static void hash_remove(struct mover_persistent *p, uint32_t n)
{
	uint32_t *link = bucket(p, p->kept[n].gref);

	while (*link != n)
		link = &p->kept[*link].chain;
	*link = p->kept[n].chain;
}

/* ---- by age, and free ones ---- */

static void idle_add(struct mover_persistent *p, uint32_t n)
{
	p->kept[n].newer = NONE;
	p->kept[n].older = p->newest;
	if (p->newest != NONE)
		p->kept[p->newest].newer = n;
	else
		p->oldest = n;
	p->newest = n;
	p->nr_idle++;
}

static void idle_remove(struct mover_persistent *p, uint32_t n)
{
	const struct kept *kept = &p->kept[n];

	if (kept->newer != NONE)
		p->kept[kept->newer].older = kept->older;
	else
		p->newest = kept->older;
	if (kept->older != NONE)
		p->kept[kept->older].newer = kept->newer;
	else
		p->oldest = kept->newer;
	p->nr_idle--;
}

static void free_add(struct mover_persistent *p, uint32_t n)
{
	p->kept[n].state = KEPT_FREE;
	p->kept[n].chain = p->free;
	p->free = n;
	p->nr_free++;
}

static uint32_t free_take(struct mover_persistent *p)
{
	uint32_t n = p->free;

	p->free = p->kept[n].chain;
	p->nr_free--;
	return n;
}

/* ---- a request's grants ---- */

static void evict_oldest(struct mover_persistent *p)
{
	uint32_t n = p->oldest;

	idle_remove(p, n);
	hash_remove(p, n);
	grants_unmap(p->grants, XENIO_RW, p->first_slot + n);
	stats_add(&p->stats->persistent_evicted, 1);
	stats_add(&p->stats->persistent_grants, -1ull);
	free_add(p, n);
}

static uint32_t keep(struct mover_persistent *p, uint32_t gref)
{
	uint32_t n;

	if (!p->nr_free)
		evict_oldest(p);
	n = free_take(p);
	p->kept[n].gref = gref;
	p->kept[n].uses = 0;
	p->kept[n].state = KEPT_MAPPING;
	hash_add(p, n);
	grants_map(p->grants, XENIO_RW, p->first_slot + n, gref);
	return n;
}

static void use(struct mover_persistent *p, uint32_t n)
{
	if (!p->kept[n].uses++ && p->kept[n].state == KEPT_LIVE)
		idle_remove(p, n);
}

/*
 * Whether there is room for what is missing, counted too high rather than too
 * low: what is idle may be needed itself.
 */
static bool has_room(struct mover_persistent *p, const struct request *request)
{
	uint32_t missing = 0, idle = 0;
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++) {
		uint32_t n = find(p, request->segments[i].gref);

		if (n == NONE)
			missing++;
		else if (!p->kept[n].uses)
			idle++;
	}
	return missing + idle <= p->nr_free + p->nr_idle;
}

static bool persistent_begin(struct mover *mover, struct request *request)
{
	struct mover_persistent *p = self(mover);
	unsigned int i;

	if (!has_room(p, request))
		return false;
	/* First what is there, so that it is not what makes room. */
	for (i = 0; i < request->wire.nr_segments; i++) {
		uint32_t n = find(p, request->segments[i].gref);

		request->kept[i] = (uint16_t)n;
		if (n != NONE)
			use(p, n);
	}
	for (i = 0; i < request->wire.nr_segments; i++) {
		uint32_t gref = request->segments[i].gref;
		uint32_t n;

		if (request->kept[i] != (uint16_t)NONE)
			continue;
		n = find(p, gref);
		if (n == NONE)
			n = keep(p, gref);
		use(p, n);
		request->kept[i] = (uint16_t)n;
	}
	return true;
}

static int persistent_ready(struct mover *mover, const struct request *request)
{
	const struct mover_persistent *p = self(mover);
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		if (p->kept[request->kept[i]].state != KEPT_LIVE)
			return -EACCES;
	return 0;
}

static void persistent_gather(struct mover *mover, struct request *request)
{
	const struct mover_persistent *p = self(mover);
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		request_gather(request, i, xenio_address(p->grants->xenio, XENIO_RW,
							 p->first_slot + request->kept[i]));
}

static void persistent_end(struct mover *mover, struct request *request)
{
	(void)mover;
	(void)request;
}

/* A slot whose last use ended, or whose last page drained. */
static void unused(struct mover_persistent *p, uint32_t n)
{
	const struct kept *kept = &p->kept[n];

	if (kept->uses || kept->draining)
		return;
	if (kept->state == KEPT_LIVE)
		idle_add(p, n);
	else if (kept->state == KEPT_FAILED)
		free_add(p, n);
}

static void persistent_release(struct mover *mover, struct request *request)
{
	struct mover_persistent *p = self(mover);
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		if (!--p->kept[request->kept[i]].uses)
			unused(p, request->kept[i]);
}

/* ---- results ---- */

void mover_persistent_mapped(struct mover_persistent *p, const struct xenio_map *result)
{
	uint32_t n = result->slot - p->first_slot;
	struct kept *kept = &p->kept[n];

	if (!result->status) {
		kept->state = KEPT_LIVE;
		stats_add(&p->stats->grants, 1);
		stats_add(&p->stats->persistent_grants, 1);
		return;
	}
	hash_remove(p, n);
	if (kept->state == KEPT_MAPPING)
		kept->state = KEPT_FAILED;
}

void mover_persistent_unmapped(struct mover_persistent *p, const struct xenio_unmap *result)
{
	uint32_t n = result->slot - p->first_slot;
	struct kept *kept = &p->kept[n];

	if (result->status == -EINPROGRESS) {
		kept->draining = true;
		p->nr_draining++;
		stats_add(&p->stats->drains, 1);
	} else if (result->status) {
		/* It is unmapped with the device's descriptor, if at all. */
		kept->draining = true;
		kept->state = kept->state == KEPT_UNMAPPING ? KEPT_LOST : kept->state;
	}
}

void mover_persistent_drained(struct mover_persistent *p, const struct xenio_drained *record)
{
	uint32_t n = record->slot - p->first_slot;

	p->nr_draining--;
	if (record->status)
		return;
	p->kept[n].draining = false;
	unused(p, n);
}

int mover_persistent_gref(const struct mover_persistent *p, uint32_t slot, uint32_t *gref)
{
	uint32_t n = slot - p->first_slot;

	if (slot < p->first_slot || n >= p->nr || p->kept[n].state != KEPT_LIVE)
		return -ENOENT;
	*gref = p->kept[n].gref;
	return 0;
}

void mover_persistent_close(struct mover_persistent *p)
{
	while (p->oldest != NONE) {
		uint32_t n = p->oldest;

		idle_remove(p, n);
		hash_remove(p, n);
		p->kept[n].state = KEPT_UNMAPPING;
		grants_unmap(p->grants, XENIO_RW, p->first_slot + n);
		stats_add(&p->stats->persistent_grants, -1ull);
	}
}

static const struct mover_ops persistent_ops = {
	.begin = persistent_begin,
	.ready = persistent_ready,
	.gather = persistent_gather,
	.end = persistent_end,
	.release = persistent_release,
};

int mover_persistent_init(struct mover_persistent *p, struct grants *grants, uint32_t first,
			  uint32_t nr, struct vbd_stats *stats)
{
	uint32_t n;

	*p = (struct mover_persistent){
		.mover.ops = &persistent_ops, .grants = grants, .stats = stats,
		.first_slot = first, .nr = nr, .nr_buckets = 64,
		.free = NONE, .newest = NONE, .oldest = NONE,
	};
	while (p->nr_buckets < nr)
		p->nr_buckets *= 2;
	p->kept = calloc(nr + 1, sizeof(*p->kept));
	p->buckets = malloc(p->nr_buckets * sizeof(*p->buckets));
	if (!p->kept || !p->buckets)
		return -ENOMEM;
	for (n = 0; n < p->nr_buckets; n++)
		p->buckets[n] = NONE;
	for (n = nr; n--;)
		free_add(p, n);
	return 0;
}

void mover_persistent_uninit(struct mover_persistent *p)
{
	free(p->kept);
	free(p->buckets);
}
