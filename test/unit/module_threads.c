// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads that do everything at once on two arenas and on some that come and go,
 * under ThreadSanitizer. Whoever holds a page checks that Xen still has the grant
 * behind it; Xen checks that no page loses its frame while somebody holds it.
 *
 * XENTAP_SECONDS=N: how long for each kind of MMU.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define ARENAS	2u
#define SLOTS	12u
#define LIST	8u
#define GREFS	10u
#define PAGES	(ARENAS * SLOTS + 12)	/* that arenas use: the lowest ones */

static struct rig rigs[ARENAS];
static struct mm_struct *mm;
static bool stop;
static struct task_struct *waiting_task;

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:second_deadlock_stack=1";
}

struct worker {
	const char *name;
	void (*turn)(struct worker *worker);
	u32 arena;
	u64 random;
	pthread_t thread;
	unsigned long turns;
	unsigned long hits;	/* turns that had something to do */
};

static u32 any(struct worker *worker, u32 below)
{
	worker->random = worker->random * 6364136223846793005ull + 1442695040888963407ull;
	return (worker->random >> 33) % below;
}

static void hit(struct worker *worker, bool did)
{
	WRITE_ONCE(worker->hits, worker->hits + did);
}

static void batch(struct worker *worker)
{
	struct rig *rig = &rigs[worker->arena];
	struct xentap_unmap unmaps[LIST];
	struct xentap_map maps[LIST];
	u32 i;

	for (i = 0; i < LIST; i++) {
		unmaps[i] = (struct xentap_unmap){ .slot = any(worker, SLOTS) };
		maps[i] = (struct xentap_map){
			.slot = any(worker, SLOTS), .gref = any(worker, GREFS), .domid = 1,
		};
	}
	kshim_must(!rig_batch(rig, unmaps, any(worker, LIST), maps, any(worker, LIST)));
	hit(worker, true);
}

/* A page that is held stands for the same grant until it is put. */
static void check_held(struct page *page, u64 mfn)
{
	struct xen_mapping before, after;

	kshim_must(xen_page(page, &before));
	kshim_must(!mfn || before.mfn == mfn);
	sched_yield();
	kshim_must(xen_page(page, &after));
	kshim_must(!memcmp(&before, &after, sizeof(before)));
	put_page(page);
}

static void pin(struct worker *worker)
{
	struct page *page = kshim_pin(rigs[worker->arena].vma, any(worker, SLOTS));

	if (page) {
		check_held(page, 0);
		hit(worker, true);
	}
}

static void get(struct worker *worker)
{
	u64 mfn = rig_mfn(1, any(worker, GREFS));
	struct xentap_grant grants[ARENAS * SLOTS];
	struct xentap_grant grant;
	u32 nr, i;

	if (!xentap_mfn_get(mfn, &grant)) {
		kshim_must(grant.mfn == mfn);
		check_held(grant.page, mfn);
		hit(worker, true);
	}
	if (!xentap_page_get(rig_page(&rigs[worker->arena], any(worker, SLOTS)), &grant))
		check_held(grant.page, grant.mfn);
	/* Also those of arenas that come and go. */
	if (!xentap_page_get(&kshim_pages[any(worker, PAGES)], &grant))
		check_held(grant.page, grant.mfn);
	nr = xentap_mfn_grants(mfn, grants, ARRAY_SIZE(grants));
	for (i = 0; i < min(nr, (u32)ARRAY_SIZE(grants)); i++)
		kshim_must(grants[i].mfn == mfn && rig_mfn(1, grants[i].gref) == mfn);
	xentap_page_grant(rig_page(&rigs[worker->arena], any(worker, SLOTS)), &grant);
}

static void query(struct worker *worker)
{
	struct rig *rig = &rigs[worker->arena];
	struct xentap_query_addr entry = rig_query(rig, any(worker, SLOTS));
	struct xentap_mfn_grant grants[4];
	struct xentap_query_mfn by_mfn = {
		.mfn = entry.status ? XEN_MFN : entry.mfn, .grants = (uintptr_t)grants, .nr = 4,
	};
	long err;

	kshim_must(entry.status || rig_mfn(1, entry.gref) == entry.mfn);
	err = kshim_ioctl(rig->file, XENTAP_IOC_QUERY_MFN, &by_mfn);
	kshim_must(!err || (err == -EPERM && worker->arena == 1));
	hit(worker, !entry.status);
}

static void read_some(struct worker *worker)
{
	struct xentap_drained records[3];
	ssize_t got;

	kshim_poll(rigs[worker->arena].file);
	got = kshim_read(rigs[worker->arena].file, records, sizeof(records));
	kshim_must(got > 0 || got == (worker->arena == 1 ? -ERESTARTSYS : -EAGAIN));
	hit(worker, got > 0);
}

static void zap(struct worker *worker)
{
	u32 first = any(worker, SLOTS);

	hit(worker, kshim_zap(rigs[worker->arena].vma, first, 1 + any(worker, SLOTS - first),
				  any(worker, 2)));
	sched_yield();
}

static void look(struct worker *worker)
{
	char text[4096];

	kshim_debugfs("arenas", text, sizeof(text));
	kshim_debugfs("counters", text, sizeof(text));
	kshim_debugfs("domains", text, sizeof(text));
	hit(worker, true);
	sched_yield();
}

static void copy(struct worker *worker)
{
	struct xentap_pool_create create = { .nr_pages = 2 };
	struct xentap_restrict to = { .domid = 1 };
	struct xentap_copy entry = {
		.domid = 1, .gref = any(worker, GREFS), .len = 64,
		.flags = any(worker, 2) ? XENTAP_COPY_F_TO_GUEST : 0,
	};
	struct xentap_copy_list list = { .entries = (uintptr_t)&entry, .nr = 1 };
	struct rig *rig = &rigs[worker->arena];

	/* Only the first of these does something. */
	kshim_ioctl(rig->file, XENTAP_IOC_POOL_CREATE, &create);
	if (worker->arena == 1)
		kshim_must(!kshim_ioctl(rig->file, XENTAP_IOC_RESTRICT, &to));
	kshim_must(!kshim_ioctl(rig->file, XENTAP_IOC_COPY, &list));
	kshim_must(!entry.status);
	hit(worker, true);
}

/* An arena's whole life, its pages held beyond it, by both kinds of holds. */
static void come_and_go(struct worker *worker)
{
	struct xentap_grant grant;
	struct page *page;
	struct rig rig;

	/* They end by the one worker, which may be slow. */
	if (kshim_counter("arenas") > 40) {
		usleep(1000);
		return;
	}
	rig_open(&rig, 4, any(worker, 2));
	rig_mmap(&rig);
	kshim_must(!rig_map(&rig, 0, 1, any(worker, GREFS)));
	kshim_must(!rig_map(&rig, 3, 1, any(worker, GREFS)));
	page = any(worker, 2) ? kshim_pin(rig.vma, 0) : NULL;
	if (xentap_page_get(rig_page(&rig, 3), &grant))
		kshim_bug("a grant that is mapped is not found");
	rig_close(&rig);
	check_held(grant.page, grant.mfn);
	if (page)
		check_held(page, 0);
	hit(worker, true);
}

/* All on one slot, for the narrowest of races. */
static void one_batch(struct worker *worker)
{
	struct xentap_unmap unmap = { .slot = 0 };
	struct xentap_map map = { .slot = 0, .domid = 1, .gref = any(worker, 4) };
	struct xentap_drained record;

	rig_read(&rigs[0], &record);
	kshim_must(!rig_batch(&rigs[0], &unmap, 1, &map, 1));
	hit(worker, !map.status);
}

static void one_pin(struct worker *worker)
{
	struct page *page = kshim_pin(rigs[0].vma, 0);

	if (page)
		check_held(page, 0);
	hit(worker, page);
}

static void one_get(struct worker *worker)
{
	struct xentap_grant grant;
	bool found = !xentap_page_get(rig_page(&rigs[0], 0), &grant);

	if (found)
		check_held(grant.page, grant.mfn);
	hit(worker, found);
}

static void one_get_by_mfn(struct worker *worker)
{
	u64 mfn = rig_mfn(1, any(worker, 4));
	struct xentap_grant grant;
	bool found = !xentap_mfn_get(mfn, &grant);

	if (found)
		check_held(grant.page, mfn);
	hit(worker, found);
}

static void *work(void *data)
{
	struct worker *worker = data;

	*current = (struct task_struct){ .mm = mm, .tgid = 1, .cap_sys_admin = true };
	if (worker->turn == read_some && worker->arena == 1)
		smp_store_release(&waiting_task, current);
	while (!READ_ONCE(stop)) {
		worker->turn(worker);
		worker->turns++;
		sched_yield();
	}
	/* The task must be there for its signal. */
	while (READ_ONCE(waiting_task) == current && !READ_ONCE(current->signal))
		sched_yield();
	return NULL;
}

static struct worker workers[] = {
	{ .name = "batch 0", .turn = batch, .arena = 0 },
	{ .name = "batch 0 too", .turn = batch, .arena = 0 },
	{ .name = "batch 1", .turn = batch, .arena = 1 },
	{ .name = "pin 0", .turn = pin, .arena = 0 },
	{ .name = "pin 1", .turn = pin, .arena = 1 },
	{ .name = "get 0", .turn = get, .arena = 0 },
	{ .name = "get 1", .turn = get, .arena = 1 },
	{ .name = "query 0", .turn = query, .arena = 0 },
	{ .name = "query 1", .turn = query, .arena = 1 },
	{ .name = "read 0", .turn = read_some, .arena = 0 },
	{ .name = "read 1", .turn = read_some, .arena = 1 },
	{ .name = "zap 0", .turn = zap, .arena = 0 },
	{ .name = "look", .turn = look, .arena = 0 },
	{ .name = "copy 0", .turn = copy, .arena = 0 },
	{ .name = "copy 1", .turn = copy, .arena = 1 },
	{ .name = "come and go", .turn = come_and_go },
	{ .name = "come and go too", .turn = come_and_go },
};

static struct worker one_slot_workers[] = {
	{ .name = "one batch", .turn = one_batch },
	{ .name = "one pin", .turn = one_pin },
	{ .name = "one get", .turn = one_get },
	{ .name = "one get too", .turn = one_get },
	{ .name = "one get by mfn", .turn = one_get_by_mfn },
	{ .name = "read 1", .turn = read_some, .arena = 1 },
	{ .name = "batch 1", .turn = batch, .arena = 1 },
	{ .name = "pin 1", .turn = pin, .arena = 1 },
};

static void setup(bool pv)
{
	u32 i;

	assert_int_equal(rig_setup(pv), 0);
	mm = current->mm;
	for (i = 0; i < ARENAS; i++) {
		rig_open(&rigs[i], SLOTS, false);
		rig_mmap(&rigs[i]);
	}
	/* This one's reader waits. */
	rigs[1].file->f_flags = 0;
	stop = false;
	kshim_thread_start();
}

/* The reader of arena 1 may wait: a signal wakes it. */
static void join_all(struct worker *all, u32 nr)
{
	u32 i;

	WRITE_ONCE(stop, true);
	while (!smp_load_acquire(&waiting_task))
		sched_yield();
	WRITE_ONCE(waiting_task->signal, true);
	for (i = 0; i < nr; i++)
		pthread_join(all[i].thread, NULL);
	waiting_task = NULL;
}

/* For as long as asked, and on until each had something to do. */
static void let_them_work(struct worker *all, u32 nr)
{
	const char *seconds = getenv("XENTAP_SECONDS");
	time_t end = time(NULL) + (seconds ? atoi(seconds) : 3);
	time_t at_most = end + 8;
	u32 hits;
	u32 i;

	do {
		usleep(100000);
		for (i = 0, hits = 0; i < nr; i++)
			hits += READ_ONCE(all[i].hits) > 0;
	} while (time(NULL) < end || (hits < nr && time(NULL) < at_most));
}

static void run(struct worker *all, u32 nr, bool pv)
{
	u32 i;

	setup(pv);
	for (i = 0; i < nr; i++) {
		all[i].random = i + 1;
		all[i].turns = 0;
		all[i].hits = 0;
		assert_int_equal(pthread_create(&all[i].thread, NULL, work, &all[i]), 0);
	}
	let_them_work(all, nr);
	join_all(all, nr);
	for (i = 0; i < ARENAS; i++)
		rig_close(&rigs[i]);
	kshim_thread_stop();
	assert_int_equal(rig_teardown(), 0);
	for (i = 0; i < nr; i++) {
		print_message("%s: %lu turns, %lu hits\n", all[i].name, all[i].turns,
			      all[i].hits);
		assert_int_not_equal(all[i].hits, 0);
	}
}

static void everything_at_once_pv(void **state)
{
	run(workers, ARRAY_SIZE(workers), true);
}

static void everything_at_once_auto(void **state)
{
	run(workers, ARRAY_SIZE(workers), false);
}

static void one_slot_pv(void **state)
{
	kshim_perturb_every = 7;
	run(one_slot_workers, ARRAY_SIZE(one_slot_workers), true);
}

static void one_slot_auto(void **state)
{
	kshim_perturb_every = 7;
	run(one_slot_workers, ARRAY_SIZE(one_slot_workers), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_at_once_pv),
		cmocka_unit_test(everything_at_once_auto),
		cmocka_unit_test(one_slot_pv),
		cmocka_unit_test(one_slot_auto),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
