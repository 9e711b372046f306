// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/xenio_fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	XENIO_SLOT_BYTES
#define FREE	UINT32_MAX
#define BATCH_MAX	64u	/* small, so that batches have to be cut */

struct fake_xenio {
	struct xenio xenio;
	struct fake_guest *guest;
	uint32_t *grefs[XENIO_NR_ARENAS];	/* of each slot, or FREE */
	bool *draining[XENIO_NR_ARENAS];
	uint32_t nr_ring;
	uint32_t ring_gref;			/* of a ring that is mapped without arenas */
	bool drained;
};

static struct fake_xenio *self(struct xenio *xenio)
{
	return (struct fake_xenio *)xenio;
}

void fake_guest_init(struct fake_guest *guest, uint32_t domid)
{
	memset(guest, 0, sizeof(*guest));
	guest->domid = domid;
	guest->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	guest->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guest->memory_fd < 0 || guest->kick_fd < 0 ||
	    ftruncate(guest->memory_fd, (off_t)FAKE_PAGES * PAGE))
		abort();
	guest->memory = mmap(NULL, (size_t)FAKE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			     guest->memory_fd, 0);
	if (guest->memory == MAP_FAILED)
		abort();
}

void fake_guest_uninit(struct fake_guest *guest)
{
	munmap(guest->memory, (size_t)FAKE_PAGES * PAGE);
	close(guest->memory_fd);
	close(guest->kick_fd);
}

void *fake_guest_page(struct fake_guest *guest, uint32_t gref)
{
	return guest->memory + (size_t)gref * PAGE;
}

void fake_kick(int kick_fd)
{
	if (eventfd_write(kick_fd, 1))
		abort();
}

static int called(struct fake_guest *guest, enum fake_call call)
{
	if (guest->after)
		guest->after(guest, call);
	return 0;
}

void fake_guest_kick(struct fake_guest *guest)
{
	fake_kick(guest->kick_fd);
}

uint32_t fake_guest_mapped(const struct fake_guest *guest)
{
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i < FAKE_PAGES; i++)
		sum += guest->mapped[i];
	return sum;
}

/* Whether the guest lets us at a page. */
static int32_t may(const struct fake_guest *guest, uint32_t domid, uint32_t gref, bool writes)
{
	if (domid != guest->domid)
		return -ESRCH;
	if (gref >= FAKE_PAGES || guest->grants[gref] == FAKE_NOT_GRANTED)
		return -ENOENT;
	return writes && guest->grants[gref] == FAKE_RDONLY ? -EACCES : 0;
}

static int32_t map_one(struct fake_xenio *fake, enum xenio_arena arena, const struct xenio_map *map)
{
	int protection = arena == XENIO_RO ? PROT_READ : PROT_READ | PROT_WRITE;
	struct fake_guest *guest = fake->guest;
	int32_t err;

	if (map->slot >= fake->xenio.nr_slots[arena])
		return -EINVAL;
	if (fake->grefs[arena][map->slot] != FREE)
		return -EBUSY;
	err = may(guest, map->domid, map->gref, arena == XENIO_RW);
	if (err)
		return err;
	if (guest->map_error && (arena == XENIO_RO ||
				 map->slot < fake->xenio.nr_slots[arena] - fake->nr_ring))
		return guest->map_error;
	if (mmap(xenio_address(&fake->xenio, arena, map->slot), PAGE, protection,
		 MAP_SHARED | MAP_FIXED, guest->memory_fd, (off_t)map->gref * PAGE) == MAP_FAILED)
		return -EFAULT;
	fake->grefs[arena][map->slot] = map->gref;
	guest->mapped[map->gref]++;
	return 0;
}

static void unmap_now(struct fake_xenio *fake, enum xenio_arena arena, uint32_t slot)
{
	if (mmap(xenio_address(&fake->xenio, arena, slot), PAGE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	fake->guest->mapped[fake->grefs[arena][slot]]--;
	fake->grefs[arena][slot] = FREE;
}

static int32_t unmap_one(struct fake_xenio *fake, enum xenio_arena arena, uint32_t slot)
{
	const struct fake_guest *guest = fake->guest;

	if (slot >= fake->xenio.nr_slots[arena])
		return -EINVAL;
	if (fake->grefs[arena][slot] == FREE)
		return -ENOENT;
	if (fake->draining[arena][slot])
		return -EINPROGRESS;
	if (guest->busy && guest->busy_gref == fake->grefs[arena][slot]) {
		fake->draining[arena][slot] = true;
		return -EINPROGRESS;
	}
	unmap_now(fake, arena, slot);
	return 0;
}

static int fake_batch(struct xenio *xenio, enum xenio_arena arena, struct xenio_unmap *unmaps,
		      uint32_t nr_unmaps, struct xenio_map *maps, uint32_t nr_maps)
{
	struct fake_xenio *fake = self(xenio);
	uint32_t i;

	if (nr_unmaps > BATCH_MAX || nr_maps > BATCH_MAX)
		return -EINVAL;
	fake->guest->batches++;
	for (i = 0; i < nr_unmaps; i++)
		unmaps[i].status = unmap_one(fake, arena, unmaps[i].slot);
	for (i = 0; i < nr_maps; i++)
		maps[i].status = map_one(fake, arena, &maps[i]);
	return called(fake->guest, FAKE_BATCH);
}

void fake_xenio_drain(struct xenio *xenio)
{
	self(xenio)->drained = true;
	if (eventfd_write(xenio->drain_fd[XENIO_RW], 1) ||
	    eventfd_write(xenio->drain_fd[XENIO_RO], 1))
		abort();
}

static int fake_drained(struct xenio *xenio, enum xenio_arena arena,
			struct xenio_drained *records, uint32_t nr)
{
	struct fake_xenio *fake = self(xenio);
	eventfd_t value;
	uint32_t found = 0;
	uint32_t i;

	if (eventfd_read(xenio->drain_fd[arena], &value))
		return -errno;
	for (i = 0; i < xenio->nr_slots[arena] && found < nr; i++) {
		if (!fake->draining[arena][i])
			continue;
		fake->draining[arena][i] = false;
		unmap_now(fake, arena, i);
		records[found++] = (struct xenio_drained){ .slot = i };
	}
	/* There may be more, for the next call. */
	if (found == nr && eventfd_write(xenio->drain_fd[arena], 1))
		abort();
	return (int)found;
}

/*
 * As if Xen did it: guest and backend agree by indices in memory that each has
 * mapped elsewhere, which ThreadSanitizer cannot follow.
 */
__attribute__((no_sanitize("thread")))
static void copy_bytes(volatile uint8_t *to, const volatile uint8_t *from, uint32_t nr)
{
#ifdef __x86_64__
	size_t left = nr;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (left) : : "memory");
#else
	while (nr--)
		*to++ = *from++;
#endif
}

static int32_t copy_one(struct fake_xenio *fake, const struct xenio_copy *copy)
{
	bool to_guest = copy->flags & XENIO_COPY_TO_GUEST;
	uint8_t *page, *own;
	int32_t err;

	if (copy->page >= fake->xenio.nr_pool || !copy->len || copy->page_offset + copy->len > PAGE ||
	    copy->gref_offset + copy->len > PAGE || copy->flags & ~XENIO_COPY_TO_GUEST)
		return -EINVAL;
	err = may(fake->guest, copy->domid, copy->gref, to_guest);
	if (!err)
		err = fake->guest->copy_error;
	if (err)
		return err;
	page = (uint8_t *)fake_guest_page(fake->guest, copy->gref) + copy->gref_offset;
	own = (uint8_t *)xenio_page(&fake->xenio, copy->page) + copy->page_offset;
	copy_bytes(to_guest ? page : own, to_guest ? own : page, copy->len);
	return 0;
}

static int fake_copy(struct xenio *xenio, struct xenio_copy *copies, uint32_t nr)
{
	uint32_t i;

	if (!nr || nr > BATCH_MAX)
		return -EINVAL;
	self(xenio)->guest->copy_calls++;
	for (i = 0; i < nr; i++)
		copies[i].status = copy_one(self(xenio), &copies[i]);
	return called(self(xenio)->guest, FAKE_COPY);
}

/* Without arenas: the guest's very pages, which must be in a row. */
static int plain_ring_map(struct xenio *xenio, uint32_t domid, const uint32_t *grefs,
			  uint32_t nr, void **ring)
{
	struct fake_xenio *fake = self(xenio);
	uint32_t i;

	for (i = 0; i < nr; i++) {
		int err = may(fake->guest, domid, grefs[i], true);

		if (err || grefs[i] != grefs[0] + i)
			return err ? err : -EINVAL;
	}
	for (i = 0; i < nr; i++)
		fake->guest->mapped[grefs[i]]++;
	fake->ring_gref = grefs[0];
	*ring = fake_guest_page(fake->guest, grefs[0]);
	return 0;
}

static void plain_ring_unmap(struct xenio *xenio, uint32_t nr)
{
	struct fake_xenio *fake = self(xenio);

	while (fake->ring_gref && nr--)
		fake->guest->mapped[fake->ring_gref + nr]--;
	fake->ring_gref = 0;
}

static int fake_event_take(struct xenio *xenio)
{
	int err = self(xenio)->guest->take_error;
	eventfd_t value;

	if (err)
		return err;
	return eventfd_read(xenio->event_fd, &value) ? -errno : 0;
}

static int fake_event_unmask(struct xenio *xenio)
{
	self(xenio)->guest->unmasks++;
	return 0;
}

static int fake_event_send(struct xenio *xenio)
{
	struct fake_guest *guest = self(xenio)->guest;

	guest->notifies++;
	called(guest, FAKE_SEND);
	return guest->send_error;
}

static void fake_destroy(struct xenio *xenio)
{
	struct fake_xenio *fake = self(xenio);
	uint32_t slot;
	int arena;

	munmap(xenio->pool, (size_t)xenio->nr_pool * PAGE);
	plain_ring_unmap(xenio, fake->nr_ring);
	for (arena = 0; arena < XENIO_NR_ARENAS && xenio_maps(xenio); arena++) {
		for (slot = 0; slot < xenio->nr_slots[arena]; slot++)
			if (fake->grefs[arena][slot] != FREE)
				unmap_now(fake, (enum xenio_arena)arena, slot);
		munmap(xenio->base[arena], (size_t)xenio->nr_slots[arena] * PAGE);
		close(xenio->drain_fd[arena]);
		free(fake->grefs[arena]);
		free(fake->draining[arena]);
	}
	close(xenio->event_fd);
	free(fake);
}

static const struct xenio_ops fake_ops = {
	.batch = fake_batch,
	.drained = fake_drained,
	.copy = fake_copy,
	.ring_map = xenio_arena_ring_map,
	.ring_unmap = xenio_arena_ring_unmap,
	.event_take = fake_event_take,
	.event_unmask = fake_event_unmask,
	.event_send = fake_event_send,
	.destroy = fake_destroy,
};

static void make_arena(struct fake_xenio *fake, enum xenio_arena arena, uint32_t nr)
{
	fake->xenio.nr_slots[arena] = nr;
	fake->xenio.base[arena] = mmap(NULL, (size_t)nr * PAGE, PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fake->xenio.drain_fd[arena] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake->grefs[arena] = malloc(nr * sizeof(uint32_t));
	fake->draining[arena] = calloc(nr, sizeof(bool));
	if (fake->xenio.base[arena] == MAP_FAILED || !fake->grefs[arena] || !fake->draining[arena])
		abort();
	memset(fake->grefs[arena], 0xff, nr * sizeof(uint32_t));
}

static const struct xenio_ops copy_only_ops = {
	.copy = fake_copy,
	.ring_map = plain_ring_map,
	.ring_unmap = plain_ring_unmap,
	.event_take = fake_event_take,
	.event_unmask = fake_event_unmask,
	.event_send = fake_event_send,
	.destroy = fake_destroy,
};

struct xenio *fake_xenio_create(struct fake_guest *guest, const struct xenio_shape *shape,
				int kick_fd)
{
	struct fake_xenio *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	fake->guest = guest;
	fake->nr_ring = shape->nr_ring;
	fake->xenio.ops = &fake_ops;
	fake->xenio.batch_max = BATCH_MAX;
	fake->xenio.event_fd = dup(kick_fd < 0 ? guest->kick_fd : kick_fd);
	fake->xenio.nr_pool = guest->no_arenas && shape->nr_pool < 512 ? 512 : shape->nr_pool;
	fake->xenio.pool = mmap(NULL, (size_t)fake->xenio.nr_pool * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fake->xenio.pool == MAP_FAILED)
		abort();
	if (guest->no_arenas) {
		fake->xenio.ops = &copy_only_ops;
		fake->xenio.drain_fd[XENIO_RW] = fake->xenio.drain_fd[XENIO_RO] = -1;
		return &fake->xenio;
	}
	make_arena(fake, XENIO_RW, shape->nr_slots[XENIO_RW] + shape->nr_ring);
	make_arena(fake, XENIO_RO, shape->nr_slots[XENIO_RO]);
	return &fake->xenio;
}
