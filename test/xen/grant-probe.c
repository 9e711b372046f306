/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in dom0: maps what guest-grant shares, through /dev/xen/tap, and asks
 * the module which grant stands behind each address.
 *
 * usage: grant-probe DOMID SEED GREF...
 *
 * Exits 0 when every page holds the guest's pattern, every answer names the
 * guest's own grant, and all pages could be inverted and given back.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xentap.h>

#define WORDS (XENTAP_SLOT_BYTES / sizeof(uint64_t))

struct probe {
	int fd;
	uint32_t domid;
	uint64_t seed;
	unsigned int nr;
	struct xentap_map *maps;
	uint64_t *mem;
};

/* The same formula stands in guest-grant.c. */
static uint64_t pattern(const struct probe *p, size_t page, size_t word)
{
	return p->seed ^ ((uint64_t)(page + 1) << 32 | word);
}

static void *array(size_t nr, size_t size)
{
	void *mem = calloc(nr, size);

	if (!mem)
		error(1, errno, "memory");
	return mem;
}

static void call(struct probe *p, unsigned long request, void *arg,
		 const char *what)
{
	if (ioctl(p->fd, request, arg) < 0)
		error(1, errno, "%s", what);
}

static void open_arena(struct probe *p)
{
	struct xentap_restrict restriction = { .domid = p->domid };
	struct xentap_arena_create arena = { .nr_slots = p->nr };

	p->fd = open("/dev/xen/tap", O_RDWR | O_CLOEXEC);
	if (p->fd < 0)
		error(1, errno, "/dev/xen/tap");
	call(p, XENTAP_IOC_RESTRICT, &restriction, "restrict");
	call(p, XENTAP_IOC_ARENA_CREATE, &arena, "arena create");
	p->mem = mmap(NULL, (size_t)p->nr * XENTAP_SLOT_BYTES,
		      PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (p->mem == MAP_FAILED)
		error(1, errno, "mmap of %u slots", p->nr);
}

/* Grant i goes into slot nr - 1 - i, so that no answer is right by chance. */
static void map_grants(struct probe *p, char **grefs)
{
	struct xentap_batch batch = { .nr_maps = p->nr };

	p->maps = array(p->nr, sizeof(*p->maps));
	for (unsigned int i = 0; i < p->nr; i++) {
		p->maps[i].slot = p->nr - 1 - i;
		p->maps[i].gref = strtoul(grefs[i], NULL, 0);
		p->maps[i].domid = p->domid;
	}
	batch.maps = (uintptr_t)p->maps;
	call(p, XENTAP_IOC_BATCH, &batch, "batch of maps");
	for (unsigned int i = 0; i < p->nr; i++)
		if (p->maps[i].status)
			error(1, -p->maps[i].status, "map of grant %u",
			      p->maps[i].gref);
}

static void check_pattern(struct probe *p)
{
	for (unsigned int i = 0; i < p->nr; i++) {
		const uint64_t *page = p->mem + p->maps[i].slot * WORDS;

		for (size_t w = 0; w < WORDS; w++)
			if (page[w] != pattern(p, i, w))
				error(1, 0, "page %u word %zu: %#jx, not the guest's %#jx",
				      i, w, (uintmax_t)page[w],
				      (uintmax_t)pattern(p, i, w));
	}
}

/* Any address of a page will do, so each page is asked for by another one. */
static void check_answers(struct probe *p)
{
	struct xentap_query_addr *entries = array(p->nr, sizeof(*entries));
	struct xentap_query query = {
		.entries = (uintptr_t)entries,
		.nr = p->nr,
	};

	for (unsigned int i = 0; i < p->nr; i++)
		entries[i].addr = (uintptr_t)(p->mem + p->maps[i].slot * WORDS) +
				  i * 37 % XENTAP_SLOT_BYTES;
	call(p, XENTAP_IOC_QUERY, &query, "query");
	for (unsigned int i = 0; i < p->nr; i++) {
		const struct xentap_query_addr *e = &entries[i];

		if (e->status)
			error(1, -e->status, "query of page %u", i);
		if (e->domid != p->domid || e->gref != p->maps[i].gref)
			error(1, 0, "page %u: domain %u grant %u, not domain %u grant %u",
			      i, e->domid, e->gref, p->domid, p->maps[i].gref);
	}
	free(entries);
}

static void invert(struct probe *p)
{
	for (size_t i = 0; i < p->nr * WORDS; i++)
		p->mem[i] = ~p->mem[i];
}

static void unmap_grants(struct probe *p)
{
	struct xentap_unmap *unmaps = array(p->nr, sizeof(*unmaps));
	struct xentap_batch batch = {
		.unmaps = (uintptr_t)unmaps,
		.nr_unmaps = p->nr,
	};

	for (unsigned int i = 0; i < p->nr; i++)
		unmaps[i].slot = i;
	call(p, XENTAP_IOC_BATCH, &batch, "batch of unmaps");
	for (unsigned int i = 0; i < p->nr; i++)
		if (unmaps[i].status)
			error(1, -unmaps[i].status, "unmap of slot %u", i);
	free(unmaps);
}

static void check_free(struct probe *p)
{
	struct xentap_query_addr entry = { .addr = (uintptr_t)p->mem };
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };

	call(p, XENTAP_IOC_QUERY, &query, "query of a free slot");
	if (entry.status != -ENOENT)
		error(1, 0, "query of a free slot: status %d, not %d",
		      entry.status, -ENOENT);
}

int main(int argc, char **argv)
{
	struct probe probe = { .fd = -1 };

	if (argc < 4)
		error(2, 0, "usage: grant-probe DOMID SEED GREF...");
	probe.domid = strtoul(argv[1], NULL, 0);
	probe.seed = strtoull(argv[2], NULL, 0);
	probe.nr = argc - 3;
	open_arena(&probe);
	map_grants(&probe, argv + 3);
	check_pattern(&probe);
	check_answers(&probe);
	invert(&probe);
	unmap_grants(&probe);
	check_free(&probe);
	printf("%u pages of domain %u: pattern and grants are the guest's\n",
	       probe.nr, probe.domid);
	return 0;
}
