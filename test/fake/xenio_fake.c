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
	bool drained;
};

static struct fake_xenio *self(struct xenio *xenio)
{
	return (struct fake_xenio *)xenio;
}

void fake_guest_init(struct fake_guest *guest, uint32_t domid)
{
	*guest = (struct fake_guest){ .domid = domid };
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

void fake_guest_kick(struct fake_guest *guest)
{
	if (eventfd_write(guest->kick_fd, 1))
		abort();
}

uint32_t fake_guest_mapped(const struct fake_guest *guest)
{
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i < FAKE_PAGES; i++)
		sum += guest->mapped[i];
	return sum;
}

static int32_t map_one(struct fake_xenio *fake, enum xenio_arena arena, const struct xenio_map *map)
{
	int protection = arena == XENIO_RO ? PROT_READ : PROT_READ | PROT_WRITE;
	struct fake_guest *guest = fake->guest;

	if (map->slot >= fake->xenio.nr_slots[arena])
		return -EINVAL;
	if (fake->grefs[arena][map->slot] != FREE)
		return -EBUSY;
	if (map->domid != guest->domid)
		return -ESRCH;
	if (map->gref >= FAKE_PAGES || guest->grants[map->gref] == FAKE_NOT_GRANTED)
		return -ENOENT;
	if (arena == XENIO_RW && guest->grants[map->gref] == FAKE_RDONLY)
		return -EACCES;
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
	return 0;
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
	return (int)found;
}

static int fake_event_take(struct xenio *xenio)
{
	eventfd_t value;

	return eventfd_read(xenio->event_fd, &value) ? -errno : 0;
}

static int fake_event_unmask(struct xenio *xenio)
{
	self(xenio)->guest->unmasks++;
	return 0;
}

static int fake_event_send(struct xenio *xenio)
{
	self(xenio)->guest->notifies++;
	return 0;
}

static void fake_destroy(struct xenio *xenio)
{
	struct fake_xenio *fake = self(xenio);
	uint32_t slot;
	int arena;

	for (arena = 0; arena < XENIO_NR_ARENAS; arena++) {
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
	.event_take = fake_event_take,
	.event_unmask = fake_event_unmask,
	.event_send = fake_event_send,
	.destroy = fake_destroy,
};

struct xenio *fake_xenio_create(struct fake_guest *guest, const uint32_t nr_slots[XENIO_NR_ARENAS])
{
	struct fake_xenio *fake = calloc(1, sizeof(*fake));
	int arena;

	if (!fake)
		abort();
	fake->guest = guest;
	fake->xenio.ops = &fake_ops;
	fake->xenio.batch_max = BATCH_MAX;
	fake->xenio.event_fd = dup(guest->kick_fd);
	for (arena = 0; arena < XENIO_NR_ARENAS; arena++) {
		uint32_t nr = nr_slots[arena];

		fake->xenio.nr_slots[arena] = nr;
		fake->xenio.base[arena] = mmap(NULL, (size_t)nr * PAGE, PROT_NONE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		fake->xenio.drain_fd[arena] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fake->grefs[arena] = malloc(nr * sizeof(uint32_t));
		fake->draining[arena] = calloc(nr, sizeof(bool));
		if (fake->xenio.base[arena] == MAP_FAILED || !fake->grefs[arena] ||
		    !fake->draining[arena])
			abort();
		memset(fake->grefs[arena], 0xff, nr * sizeof(uint32_t));
	}
	return &fake->xenio;
}
