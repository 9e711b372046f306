// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random calls, held pages and refusals of Xen against a simple model. After each
 * step every view of the module and Xen's own books are compared with the model.
 *
 * XENTAP_SEED=N runs one seed, XENTAP_SECONDS=N says how long new ones are tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define ARENAS		5u
#define SLOTS		20u		/* of one arena, at most */
#define HOLDS		24u
#define LIST		16u
#define STEPS		600u
#define FIXED_SEEDS	60u
#define LIMIT_TOTAL	50u
#define LIMIT_DOMID	30u

enum state { FREE, LIVE, DRAINING, DRAINED, LOST };

struct slot {
	enum state state;
	domid_t domid;
	grant_ref_t gref;
	u64 mfn;
	bool address;		/* user space has one */
	bool record;		/* for read() */
	u32 holds;
	struct page *page;
};

struct arena {
	bool used;
	bool dead;
	int restrict_domid;	/* 0: no */
	struct rig rig;		/* file and vma are NULL when gone */
	struct slot slots[SLOTS];
};

struct hold {
	struct slot *slot;	/* NULL: none */
	struct page *page;
};

static struct {
	u64 seed, random;
	u32 step;
	const char *doing;
	struct arena arenas[ARENAS];
	struct hold holds[HOLDS];
	u32 lost[4];		/* by domid, in all arenas that ever were */
	u32 handles;		/* limit of Xen */
	bool gone[4];		/* domains */
	s16 inject[3][2][3];	/* domid, one of two grants, map kernel/user, unmap kernel */
} m;

#define INJECTED_GREF(i)	(3 + (i))
static const enum xen_operation injectable[] = {
	XEN_MAP_KERNEL, XEN_MAP_USER, XEN_UNMAP_KERNEL,
};

static void differ(const char *what, long model, long real) __attribute__((noreturn));
static void differ(const char *what, long model, long real)
{
	kshim_bug("XENTAP_SEED=%llu, step %u (%s): %s: model %ld, module %ld",
		  (unsigned long long)m.seed, m.step, m.doing, what, model, real);
}

static void same(const char *what, long model, long real)
{
	if (model != real)
		differ(what, model, real);
}

static u32 any(u32 below)
{
	u64 z = m.random += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) % below;
}

static bool chance(u32 percent)
{
	return any(100) < percent;
}

/* What the model says of all arenas. */
static u32 count(enum state state, domid_t domid)
{
	u32 nr = 0, a, s;

	for (a = 0; a < ARENAS; a++)
		for (s = 0; m.arenas[a].used && s < m.arenas[a].rig.nr_slots; s++)
			nr += m.arenas[a].slots[s].state == state &&
			      (!domid || m.arenas[a].slots[s].domid == domid);
	return nr;
}

static u32 count_addresses(void)
{
	u32 nr = 0, a, s;

	for (a = 0; a < ARENAS; a++)
		for (s = 0; m.arenas[a].used && s < m.arenas[a].rig.nr_slots; s++)
			nr += m.arenas[a].slots[s].address;
	return kshim_pv ? nr : 0;
}

static u32 quota(domid_t domid)
{
	return count(LIVE, domid) + count(DRAINING, domid) + m.lost[domid];
}

static u32 handles(void)
{
	return count(LIVE, 0) + count(DRAINING, 0) + m.lost[1] + m.lost[2] + count_addresses();
}

static s16 injected(const struct slot *slot, u32 operation)
{
	u32 i = slot->gref - INJECTED_GREF(0);

	return slot->domid <= 2 && i < 2 ? m.inject[slot->domid][i][operation] : 0;
}

static void lose(struct slot *slot)
{
	slot->state = LOST;
	m.lost[slot->domid]++;
}

/* The kernel's mapping is asked to go; @whole: the call as such fails. */
static void unmap_kernel(struct slot *slot, enum state then, bool whole)
{
	if (whole || injected(slot, 2))
		lose(slot);
	else
		slot->state = then;
	slot->record |= then == DRAINED;
}

/* What is open. */
static struct arena *any_arena(bool file, bool vma)
{
	u32 first = any(ARENAS);
	u32 i;

	for (i = 0; i < ARENAS; i++) {
		struct arena *arena = &m.arenas[(first + i) % ARENAS];

		if (arena->used && (!file || arena->rig.file) && (!vma || arena->rig.vma))
			return arena;
	}
	return NULL;
}

static void do_open(void)
{
	struct arena *arena = NULL;
	u32 i;

	m.doing = "open";
	for (i = 0; i < ARENAS; i++)
		if (!m.arenas[i].used)
			arena = &m.arenas[i];
	if (!arena)
		return;
	memset(arena, 0, sizeof(*arena));
	arena->used = true;
	rig_open(&arena->rig, 1 + any(SLOTS), chance(25));
	for (i = 0; i < arena->rig.nr_slots; i++)
		arena->slots[i].page = rig_page(&arena->rig, i);
	if (chance(95))
		rig_mmap(&arena->rig);
}

static void forget_addresses(struct arena *arena, u32 first, u32 end)
{
	for (; first < end; first++)
		arena->slots[first].address = false;
}

static void do_munmap(void)
{
	struct arena *arena = any_arena(false, true);

	m.doing = "munmap";
	if (!arena)
		return;
	kshim_munmap(arena->rig.vma);
	arena->rig.vma = NULL;
	arena->dead = true;
	forget_addresses(arena, 0, arena->rig.nr_slots);
}

static void do_close(void)
{
	struct arena *arena = any_arena(true, false);

	m.doing = "close";
	if (!arena)
		return;
	kshim_close(arena->rig.file);
	arena->rig.file = NULL;
	if (!arena->rig.vma)
		arena->dead = true;
}

static void do_restrict(void)
{
	struct arena *arena = any_arena(true, false);
	struct xentap_restrict to = { .domid = 1 + any(2) };
	long expected;

	m.doing = "restrict";
	if (!arena)
		return;
	expected = arena->restrict_domid && arena->restrict_domid != to.domid ? -EPERM : 0;
	same("restrict", expected, kshim_ioctl(arena->rig.file, XENTAP_IOC_RESTRICT, &to));
	if (!expected)
		arena->restrict_domid = to.domid;
}

/* Batches. The list of unmaps, as the model does it. */
static void model_unmaps(struct arena *arena, struct xentap_unmap *list, u32 nr, bool *whole)
{
	bool mine[SLOTS] = { false };
	bool any_idle = false;
	u32 i;

	for (i = 0; i < nr; i++) {
		struct slot *slot = &arena->slots[list[i].slot];

		if (list[i].slot >= arena->rig.nr_slots || slot->state != LIVE)
			continue;
		slot->state = DRAINING;
		slot->address = false;
		mine[list[i].slot] = true;
		any_idle |= !slot->holds;
	}
	for (i = 0; i < arena->rig.nr_slots; i++)
		if (mine[i] && !arena->slots[i].holds)
			unmap_kernel(&arena->slots[i], FREE, *whole);
	*whole &= !any_idle;
	for (i = 0; i < nr; i++) {
		static const int status[] = {
			[LIVE] = 1, [FREE] = -ENOENT, [DRAINING] = -EINPROGRESS,
			[DRAINED] = -EINPROGRESS, [LOST] = -EIO,
		};
		u32 s = list[i].slot;

		if (s >= arena->rig.nr_slots)
			list[i].status = -EINVAL;
		else if (mine[s] && arena->slots[s].state == FREE)
			list[i].status = 0;
		else
			list[i].status = status[arena->slots[s].state];
	}
}

static int begin(struct arena *arena, const struct xentap_map *map, const bool *taken,
		 const u32 *pending)
{
	if (map->slot >= arena->rig.nr_slots)
		return -EINVAL;
	if (arena->dead)
		return -ESHUTDOWN;
	if (arena->restrict_domid && arena->restrict_domid != map->domid)
		return -EPERM;
	if (arena->slots[map->slot].state != FREE || taken[map->slot])
		return -EBUSY;
	/* Domain 3 does not exist, but only Xen knows. */
	if (quota(1) + quota(2) + pending[1] + pending[2] + pending[3] >= LIMIT_TOTAL ||
	    quota(map->domid) + pending[map->domid] >= LIMIT_DOMID)
		return -EDQUOT;
	return 1;
}

static int kernel_status(const struct arena *arena, const struct xentap_map *map)
{
	struct slot slot = { .domid = map->domid, .gref = map->gref };

	if (m.gone[map->domid])
		return -ESRCH;
	if (map->gref >= XEN_GREFS)
		return -ENOENT;
	if (injected(&slot, 0))
		return xentap_grant_errno(injected(&slot, 0));
	if (map->gref == RIG_NOTHING || (map->gref >= RIG_RDONLY && !arena->rig.rdonly))
		return -EIO;
	return 0;
}

/* The list of maps: begun, for the kernel, for the user, the rest undone. */
static void model_maps(struct arena *arena, struct xentap_map *list, u32 nr,
		       const bool *fails, bool whole_unmap)
{
	bool taken[SLOTS] = { false };
	u32 pending[4] = { 0 };
	u32 used = handles();
	bool kernel[LIST] = { false };
	u32 i;

	for (i = 0; i < nr; i++) {
		list[i].status = begin(arena, &list[i], taken, pending);
		if (list[i].status == 1) {
			taken[list[i].slot] = true;
			pending[list[i].domid]++;
		}
	}
	for (i = 0; i < nr; i++) {
		if (list[i].status != 1)
			continue;
		list[i].status = fails[XEN_MAP_KERNEL] ? -EIO : kernel_status(arena, &list[i]);
		if (!list[i].status && used >= m.handles)
			list[i].status = -ENOSPC;
		kernel[i] = !list[i].status;
		used += kernel[i];
	}
	for (i = 0; i < nr; i++) {
		struct slot *slot = &arena->slots[list[i].slot];

		if (!kernel[i])
			continue;
		slot->domid = list[i].domid;
		slot->gref = list[i].gref;
		slot->mfn = rig_mfn(slot->domid, slot->gref);
		if (!kshim_pv)
			list[i].status = 0;
		else if (fails[XEN_MAP_USER])
			list[i].status = -EIO;
		else if (injected(slot, 1))
			list[i].status = xentap_grant_errno(injected(slot, 1));
		else if (used >= m.handles)
			list[i].status = -ENOSPC;
		if (list[i].status) {
			unmap_kernel(slot, FREE, whole_unmap);
			continue;
		}
		slot->state = LIVE;
		slot->address = true;
		used++;
	}
}

static u32 any_gref(void)
{
	if (chance(3))
		return chance(50) ? RIG_NOTHING : XEN_GREFS + any(10);
	return (chance(15) ? RIG_RDONLY : 0) + any(8);
}

static void do_batch(void)
{
	static const enum xen_operation calls[] = {
		XEN_MAP_KERNEL, XEN_MAP_USER, XEN_UNMAP_KERNEL,
	};
	struct arena *arena = any_arena(true, false);
	struct xentap_unmap unmaps[LIST], expected_unmaps[LIST];
	struct xentap_map maps[LIST], expected_maps[LIST];
	u32 nr_unmaps = any(LIST), nr_maps = any(LIST), i;
	bool fails[XEN_NR_OPERATIONS] = { false };
	long result;

	m.doing = "batch";
	if (!arena)
		return;
	for (i = 0; i < nr_unmaps; i++)
		unmaps[i] = (struct xentap_unmap){
			.slot = any(arena->rig.nr_slots + chance(3)), .status = 99,
		};
	for (i = 0; i < nr_maps; i++)
		maps[i] = (struct xentap_map){
			.slot = any(arena->rig.nr_slots + chance(3)),
			.gref = any_gref(), .domid = 1 + any(2) + chance(2), .status = 99,
		};
	if (chance(3)) {
		i = calls[any(ARRAY_SIZE(calls))];
		fails[i] = true;
		xen_fail_call(i, 1);
	}
	memcpy(expected_unmaps, unmaps, sizeof(unmaps));
	memcpy(expected_maps, maps, sizeof(maps));
	result = rig_batch(&arena->rig, unmaps, nr_unmaps, maps, nr_maps);
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		xen_fail_call(calls[i], 0);
	if (!arena->rig.vma && !arena->dead) {
		same("batch without a mapping", -ENXIO, result);
		return;
	}
	same("batch", 0, result);
	model_unmaps(arena, expected_unmaps, nr_unmaps, &fails[XEN_UNMAP_KERNEL]);
	model_maps(arena, expected_maps, nr_maps, fails, fails[XEN_UNMAP_KERNEL]);
	for (i = 0; i < nr_unmaps; i++)
		same("status of an unmap", expected_unmaps[i].status, unmaps[i].status);
	for (i = 0; i < nr_maps; i++)
		same("status of a map", expected_maps[i].status, maps[i].status);
}

/* Holds. */
static struct hold *free_hold(void)
{
	u32 i;

	for (i = 0; i < HOLDS; i++)
		if (!m.holds[i].slot)
			return &m.holds[i];
	return NULL;
}

static void hold(struct hold *hold, struct slot *slot)
{
	hold->slot = slot;
	hold->page = slot->page;
	slot->holds++;
}

static void do_pin(void)
{
	struct arena *arena = any_arena(false, true);
	struct hold *new = free_hold();
	struct slot *slot;
	struct page *page;
	u32 s;

	m.doing = "pin";
	if (!arena || !new)
		return;
	s = any(arena->rig.nr_slots);
	slot = &arena->slots[s];
	page = kshim_pin(arena->rig.vma, s);
	same("pin", slot->state == LIVE && slot->address, page != NULL);
	if (!page)
		return;
	same("pinned page", (long)slot->page, (long)page);
	hold(new, slot);
}

static struct slot *slot_of(const struct page *page)
{
	u32 a, s;

	for (a = 0; a < ARENAS; a++)
		for (s = 0; m.arenas[a].used && s < m.arenas[a].rig.nr_slots; s++)
			if (m.arenas[a].slots[s].page == page)
				return &m.arenas[a].slots[s];
	differ("a page that no slot has", 0, (long)page);
}

/* Is it an answer that may be given for this slot? */
static void check_grant(const struct xentap_grant *grant, const struct slot *slot)
{
	struct xen_mapping mapping;

	same("grant of a slot", LIVE, slot->state);
	same("grant: domid", slot->domid, grant->domid);
	same("grant: gref", slot->gref, grant->gref);
	same("grant: mfn", slot->mfn, grant->mfn);
	same("Xen maps the page", true, xen_page(slot->page, &mapping));
	same("grant: read-only", mapping.rdonly, grant->rdonly);
}

static void do_api_get(void)
{
	struct arena *arena = any_arena(false, false);
	struct hold *new = free_hold();
	struct xentap_grant grant;
	struct slot *slot;

	m.doing = "get";
	if (!arena || !new)
		return;
	slot = &arena->slots[any(arena->rig.nr_slots)];
	if (chance(50)) {
		same("get by page", slot->state == LIVE ? 0 : -ENOENT,
		     xentap_page_get(slot->page, &grant));
		if (slot->state != LIVE)
			return;
		same("the page that was asked for", (long)slot->page, (long)grant.page);
	} else if (xentap_mfn_get(slot->mfn, &grant)) {
		same("get by mfn", slot->state == LIVE, false);
		return;
	}
	slot = slot_of(grant.page);
	check_grant(&grant, slot);
	hold(new, slot);
}

static void do_put(void)
{
	struct hold *old = &m.holds[any(HOLDS)];

	m.doing = "put";
	if (!old->slot)
		return;
	put_page(old->page);
	old->slot->holds--;
	old->slot = NULL;
}

/* Time passes, work is done. */
static void model_work(struct arena *arena)
{
	bool draining = false;
	u32 s;

	for (s = 0; s < arena->rig.nr_slots; s++) {
		struct slot *slot = &arena->slots[s];

		if (arena->dead && slot->state == LIVE) {
			slot->state = DRAINING;
			slot->address = false;
		}
		if (slot->state != DRAINING)
			continue;
		if (slot->holds)
			draining = true;
		else
			unmap_kernel(slot, DRAINED, false);
	}
	if (!arena->rig.file && !arena->rig.vma && !draining)
		arena->used = false;
}

static void do_work(void)
{
	u32 a;

	m.doing = "work";
	kshim_run(100);
	for (a = 0; a < ARENAS; a++)
		if (m.arenas[a].used)
			model_work(&m.arenas[a]);
}

static void do_read(void)
{
	struct arena *arena = any_arena(true, false);
	struct xentap_drained records[SLOTS];
	u32 room = 1 + any(SLOTS), nr = 0, s;
	ssize_t got;

	m.doing = "read";
	if (!arena)
		return;
	got = kshim_read(arena->rig.file, records, room * sizeof(*records));
	for (s = 0; s < arena->rig.nr_slots && nr < room; s++) {
		struct slot *slot = &arena->slots[s];

		if (!slot->record)
			continue;
		if (got <= (ssize_t)(nr * sizeof(*records)))
			differ("records", nr + 1, got);
		same("record's slot", s, records[nr].slot);
		same("record's status", slot->state == LOST ? -EIO : 0, records[nr].status);
		slot->record = false;
		if (slot->state == DRAINED)
			slot->state = FREE;
		nr++;
	}
	same("read", nr ? (long)(nr * sizeof(*records)) : -EAGAIN, got);
}

static void do_zap(void)
{
	struct arena *arena = any_arena(false, true);
	u32 first, nr;

	m.doing = "zap";
	if (!arena)
		return;
	if (chance(20)) {
		same("mremap", -EINVAL, kshim_mremap(arena->rig.vma));
		forget_addresses(arena, 0, arena->rig.nr_slots);
		return;
	}
	first = any(arena->rig.nr_slots);
	nr = 1 + any(arena->rig.nr_slots - first);
	same("zap", true, kshim_zap(arena->rig.vma, first, nr, chance(50)));
	forget_addresses(arena, first, first + nr);
}

static void do_inject(void)
{
	static const s16 statuses[] = {
		GNTST_general_error, GNTST_bad_page, GNTST_eagain, GNTST_no_space,
	};
	domid_t domid = 1 + any(2);
	u32 i = any(2), operation = any(3);
	s16 status = chance(40) ? statuses[any(ARRAY_SIZE(statuses))] : 0;

	m.doing = "inject";
	/* Lost pages take a share of every limit for good: few of them. */
	if (operation == 2 && m.lost[1] + m.lost[2] > 12)
		status = 0;
	m.inject[domid][i][operation] = status;
	xen_inject(injectable[operation], domid, INJECTED_GREF(i), status);
}

static void do_host(void)
{
	domid_t domid = 1 + any(2);

	m.doing = "host";
	if (chance(50)) {
		m.handles = chance(30) ? any(80) : 10000;
		xen_limit(m.handles);
		return;
	}
	m.gone[domid] = chance(30);
	if (m.gone[domid])
		xen_guest_remove(domid);
	else
		xen_guest_add(domid);
}

/* The views. */
static void check_counters(void)
{
	long counters[XENTAP_NR_STATS];
	u32 arenas = 0, slots = 0, a;

	kshim_counters(counters);
	for (a = 0; a < ARENAS; a++) {
		arenas += m.arenas[a].used;
		slots += m.arenas[a].used ? m.arenas[a].rig.nr_slots : 0;
	}
	same("arenas", arenas, counters[XENTAP_STAT_ARENAS]);
	same("slots", slots, counters[XENTAP_STAT_SLOTS]);
	same("mapped", count(LIVE, 0) + count(DRAINING, 0), counters[XENTAP_STAT_MAPPED]);
	same("draining", count(DRAINING, 0), counters[XENTAP_STAT_DRAINING]);
	same("user_ptes", count_addresses(), counters[XENTAP_STAT_USER_PTES]);
	same("quarantined", m.lost[1] + m.lost[2], counters[XENTAP_STAT_QUARANTINED]);
	same("quota of 1", quota(1), xentap_quota_used(1));
	same("quota of 2", quota(2), xentap_quota_used(2));
	same("Xen's kernel mappings", handles() - count_addresses(), xen_count(false));
	same("Xen's user mappings", count_addresses(), xen_count(true));
}

static void check_query(struct arena *arena)
{
	struct xentap_query_addr entries[SLOTS + 1];
	u32 nr = arena->rig.nr_slots, s;
	struct xentap_query query = { .entries = (uintptr_t)entries, .nr = nr + 1 };

	for (s = 0; s <= nr; s++)
		entries[s].addr = arena->rig.vma->vm_start + s * PAGE_SIZE + any(PAGE_SIZE);
	same("query", 0, kshim_ioctl(arena->rig.file, XENTAP_IOC_QUERY, &query));
	same("query beyond", -EINVAL, entries[nr].status);
	for (s = 0; s < nr; s++) {
		const struct slot *slot = &arena->slots[s];
		bool there = slot->state == LIVE || slot->state == DRAINING;

		same("query: status", there ? 0 : -ENOENT, entries[s].status);
		if (!there)
			continue;
		same("query: mfn", slot->mfn, entries[s].mfn);
		same("query: gref", slot->gref, entries[s].gref);
		same("query: domid", slot->domid, entries[s].domid);
		same("query: flags", (arena->rig.rdonly ? XENTAP_GRANT_F_RDONLY : 0) |
		     (slot->state == DRAINING ? XENTAP_GRANT_F_DRAINING : 0), entries[s].flags);
	}
}

static void check_slots(struct arena *arena)
{
	struct xen_mapping mapping;
	struct xentap_grant grant;
	bool record = false;
	u32 s;

	for (s = 0; s < arena->rig.nr_slots; s++) {
		const struct slot *slot = &arena->slots[s];
		bool mapped = slot->state == LIVE || slot->state == DRAINING ||
			      slot->state == LOST;

		record |= slot->record;
		same("Xen's page", mapped, xen_page(slot->page, &mapping));
		if (mapped) {
			same("Xen's domid", slot->domid, mapping.domid);
			same("Xen's gref", slot->gref, mapping.gref);
		}
		same("page to grant", slot->state == LIVE ? 0 : -ENOENT,
		     xentap_page_grant(slot->page, &grant));
		if (slot->state == LIVE)
			check_grant(&grant, slot);
	}
	if (arena->rig.file)
		same("poll", record ? EPOLLIN | EPOLLRDNORM : 0, kshim_poll(arena->rig.file));
}

/* As many answers as slots, each of them right, none twice: the same set. */
static void check_frame(u64 mfn)
{
	struct xentap_grant grants[ARENAS * SLOTS];
	u32 nr = 0, a, s, found;

	for (a = 0; a < ARENAS; a++)
		for (s = 0; m.arenas[a].used && s < m.arenas[a].rig.nr_slots; s++)
			nr += m.arenas[a].slots[s].state == LIVE && m.arenas[a].slots[s].mfn == mfn;
	found = xentap_mfn_grants(mfn, grants, ARRAY_SIZE(grants));
	same("grants of a frame", nr, found);
	for (a = 0; a < found; a++) {
		same("frame", mfn, grants[a].mfn);
		check_grant(&grants[a], slot_of(grants[a].page));
		for (s = 0; s < a; s++)
			if (grants[s].page == grants[a].page)
				differ("an answer given twice", s, a);
	}
}

static void check(void)
{
	u32 i;

	check_counters();
	for (i = 0; i < ARENAS; i++) {
		struct arena *arena = &m.arenas[i];

		if (!arena->used)
			continue;
		check_slots(arena);
		if (arena->rig.file && arena->rig.vma)
			check_query(arena);
	}
	/* All that any_gref() can give: 0 to 7, and read-only ones, of each guest. */
	for (i = 0; i < 8; i++) {
		check_frame(rig_mfn(1, i));
		check_frame(rig_mfn(2, i));
	}
	check_frame(XEN_MFN - 1);
}

static void step(void)
{
	static const struct { u32 weight; void (*act)(void); } acts[] = {
		{ 4, do_open }, { 1, do_munmap }, { 1, do_close }, { 1, do_restrict },
		{ 30, do_batch }, { 14, do_pin }, { 6, do_api_get }, { 16, do_put },
		{ 10, do_work }, { 8, do_read }, { 4, do_zap }, { 4, do_inject }, { 1, do_host },
	};
	u32 total = 0, choice, i;

	for (i = 0; i < ARRAY_SIZE(acts); i++)
		total += acts[i].weight;
	choice = any(total);
	for (i = 0; choice >= acts[i].weight; i++)
		choice -= acts[i].weight;
	acts[i].act();
	check();
}

/* Everything ends: only what Xen refused stays. */
static void end(void)
{
	u32 i;

	m.doing = "end";
	for (i = 0; i < ARENAS; i++) {
		struct arena *arena = &m.arenas[i];

		if (!arena->used)
			continue;
		rig_close(&arena->rig);
		arena->dead = true;
		forget_addresses(arena, 0, arena->rig.nr_slots);
	}
	for (i = 0; i < HOLDS; i++)
		if (m.holds[i].slot) {
			put_page(m.holds[i].page);
			m.holds[i].slot->holds--;
		}
	do_work();
	check();
	same("arenas at the end", 0, kshim_counter("arenas"));
	same("mappings that are lost", m.lost[1] + m.lost[2], kshim_forget_lost());
}

static void run(u64 seed)
{
	memset(&m, 0, sizeof(m));
	m.seed = seed;
	m.random = seed;
	m.handles = 10000;
	m.gone[3] = true;
	assert_int_equal(rig_setup(seed & 1), 0);
	for (m.step = 0; m.step < STEPS; m.step++)
		step();
	end();
	assert_int_equal(rig_teardown(), 0);
}

static void fixed_seeds(void **state)
{
	u64 seed;

	for (seed = 1; seed <= FIXED_SEEDS; seed++)
		run(seed);
}

static void new_seeds(void **state)
{
	const char *seconds = getenv("XENTAP_SECONDS");
	time_t end_time = time(NULL) + (seconds ? atoi(seconds) : 5);
	u64 seed = (u64)time(NULL) << 20;
	u64 first = seed;

	do {
		run(seed++);
	} while (time(NULL) < end_time);
	print_message("seeds %llu to %llu\n", (unsigned long long)first,
		      (unsigned long long)seed - 1);
}

static void one_seed(void **state)
{
	run(strtoull(getenv("XENTAP_SEED"), NULL, 0));
}

int main(void)
{
	const struct CMUnitTest one[] = {
		cmocka_unit_test(one_seed),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_seeds),
		cmocka_unit_test(new_seeds),
	};

	xentap_max_grants = LIMIT_TOTAL;
	xentap_max_grants_domid = LIMIT_DOMID;
	if (getenv("XENTAP_SEED"))
		return cmocka_run_group_tests(one, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
