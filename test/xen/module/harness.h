/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the module share. A theme is one program: its file has a
 * list of checks, harness.c has main(). It runs
 *
 *	THEME FILE			with grants dom0 makes to itself
 *	THEME FILE DOMID GREF...	with 64 of a guest
 *
 * Both matter: in a PV dom0, Xen lets the kernel touch entries of its own pages
 * in ways that it refuses for those of a guest. FILE is on a file system with
 * O_DIRECT and may be overwritten. Prints "ok: NAME" for each check; the first
 * failure ends it. After each, nothing may be mapped any more. The names in
 * $CHECKS, if it is set, are the checks to run.
 */
#ifndef TEST_HARNESS_H
#define TEST_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "../../../include/uapi/xentap.h"

#define PAGE	XENTAP_SLOT_BYTES
#define GRANTS	64u
#define SLOTS	256u

struct check {
	const char *name;
	void (*run)(void);
	enum { OF_ALL, OF_OWN, OF_GUESTS } of;	/* whose grants it is for */
	bool loses;			/* leaves slots in quarantine, and accounts for them */
};

#define CHECK(function)		{ .name = #function, .run = function }
/* It looks at the pages from their owner's side. */
#define CHECK_OWN(function)	{ .name = #function, .run = function, .of = OF_OWN }
#define CHECK_GUEST(function)	{ .name = #function, .run = function, .of = OF_GUESTS }
#define CHECK_LOSING(function)	{ .name = #function, .run = function, .loses = true }

/* The theme's list; the last has no name. */
extern const struct check checks[];

extern const char *data_file;
extern uint8_t *granted;		/* page i is what gref[i] grants; NULL: a guest's */
extern uint32_t gref[GRANTS];
extern uint32_t owner;			/* domain that grants */
/* PVH and the like: entries of user mappings are the kernel's own, as any other. */
extern bool auto_translated;

__attribute__((noreturn, format(printf, 1, 2)))
void fail(const char *format, ...);

#define expect(condition) \
	do { \
		if (!(condition)) \
			fail("%s:%d: not so: %s", __FILE__, __LINE__, #condition); \
	} while (0)

#define expect_eq(a, b) \
	do { \
		long long a_ = (long long)(a), b_ = (long long)(b); \
		if (a_ != b_) \
			fail("%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, #a, a_, b_); \
	} while (0)

/* A call that must fail with this errno. */
#define expect_error(call, error) \
	do { \
		long long r_ = (long long)(call); \
		if (r_ != -1 || errno != (error)) \
			fail("%s:%d: %s gave %lld, not " #error, __FILE__, __LINE__, #call, r_); \
	} while (0)

/* ---- the granting side */

struct grants {
	int fd;
	unsigned int nr;
	uint8_t *mem;
	uint32_t ref[];
};

/* More of dom0's own, to domain @domid, besides gref[]. */
struct grants *grants_make(uint32_t domid, unsigned int nr, bool writable);
void grants_end(struct grants *grants);
/* Fills granted[] so that every page differs; painted() is byte @i. */
void paint(void);
uint8_t painted(size_t i);

/* ---- the arena */

struct arena {
	int fd;
	uint8_t *base;
	uint32_t slots;
};

int tap_open(void);
struct arena arena_make(uint32_t slots, uint32_t flags);
void arena_end(struct arena *arena);
size_t arena_bytes(const struct arena *arena);
uint8_t *slot_page(const struct arena *arena, uint32_t slot);
int batch(const struct arena *arena, struct xentap_unmap *unmaps, uint32_t nr_unmaps,
	  struct xentap_map *maps, uint32_t nr_maps);
/* The entry's status; that of the call if it failed. */
int map_one(const struct arena *arena, uint32_t slot, uint32_t ref);
int map_of(const struct arena *arena, uint32_t slot, uint32_t domid, uint32_t ref);
int unmap_one(const struct arena *arena, uint32_t slot);
/* All of gref[], the first in slot @first; the checks fail if one does. */
void map_all(const struct arena *arena, uint32_t first);
void unmap_all(const struct arena *arena, uint32_t first);
/* Unmaps as many, which may be held; how many are. */
unsigned int unmap_some(const struct arena *arena, uint32_t first, uint32_t nr);
/* Waits until read() has named @nr slots, each without an error. */
void wait_drained(const struct arena *arena, unsigned int nr);

/* ---- counters of the module */

long counter(const char *name);
void wait_counter(const char *name, long value);
void wait_nothing_mapped(void);
/* Entries of user mappings are counted where Xen makes them. */
void expect_user_ptes(long value);

/* ---- processes */

/* 0, or the signal that reading (writing to) @p raises. */
int touch(const volatile uint8_t *p);
int scribble(volatile uint8_t *p, uint8_t value);
/* fork(); the child's failures are those of the check that waits for it. */
pid_t child_start(void);
void child_end(pid_t child);		/* exits with 0 */
void child_kill(pid_t child);
void child_wait_killed(pid_t child);
/*
 * A process maps all of gref[], puts the page of slot 3 into a pipe, which holds it
 * by reference as a network card does, and is killed. Closing both ends lets it go.
 */
void child_leaves_page(int ends[2]);
/* One word each way between a check and its child. */
struct gate {
	int ends[2];
};

struct gate gate_make(void);
void gate_open(const struct gate *gate);
void gate_wait(const struct gate *gate);
/* Become a user without any right, for good. */
void drop_rights(void);
int open_direct(const char *path);
/*
 * Makes data_file @pages long, and open for direct I/O. There are blocks behind
 * all of it: a hole would be read without any device or reference to a page.
 */
int open_data(unsigned int pages);
double now(void);

#endif
