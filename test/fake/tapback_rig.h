/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tapback in a test: its devices, a xenstore in memory, a tapdisk that is played, and
 * what toolstack, hotplug script and guest write for one disk. Functions fail the
 * test (cmocka) when what they do fails.
 */
#ifndef FAKE_TAPBACK_RIG_H
#define FAKE_TAPBACK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake/xenstore.h"
#include "tapback/devices.h"
#include "tapback/guest_fds.h"

#define BACKEND		"/local/domain/0/backend/vbd3/7/51712"
#define FRONTEND	"/local/domain/7/device/vbd/51712"
#define ERROR_NODE	"/local/domain/0/error/backend/vbd3/7/51712/error"
#define PID		4321	/* of its first tapdisk */

/* The tapdisk of all disks of this test. */
struct fake_tapdisk {
	int listener;
	int connection;		/* -1: none */
	bool hangs;		/* reads nothing, answers nothing */
	bool connected;		/* a ring */
	bool paused;
	/* What was left by a pause: "journal" is answered. */
	bool left;
	int connect_error;	/* errno for "connect", or 0 */
	bool holds_disconnect;	/* answers it later */
	int connects, disconnects;
	unsigned int fds_got;
	int64_t grefs[16];
	size_t nr_grefs;
	char protocol[16];
	int64_t port;			/* of the first queue */
	size_t nr_queues;
	int64_t sectors;		/* what it says in "info"; 0: 2048 */
	bool readonly;
	bool persistent;		/* what it says in "info" */
	int discard_granularity;
	bool connect_persistent, connect_discard;
	/* What it says of, and was given for, the case that it is killed. */
	bool journals, lies;
	uint32_t slots;			/* of an arena; 0: 352 */
	int journal;			/* -1: none was given */
	int resumed;			/* times that there was something in it */
	int busy;			/* times that it answers "connect" with EBUSY first */
	bool shows;			/* it says that it writes a file for xentop, */
	int shown;			/* and was given this one; -1: none */
};

/* What another tapdisk would be started for. */
struct fake_reviver {
	int starts, stops;
	int fd;				/* an eventfd; -1: none was asked for */
	int error;			/* of starting it, or of its end */
	int pages_in_use;		/* times that the dead one's are found so */
	int queries;
};

struct world {
	char dir[32];
	struct loop loop;
	struct store store;
	struct tapback tapback;
	struct devices devices;
	struct fake_tapdisk tapdisk;
	int pid;			/* its */
	bool looks_are_dear;		/* settle() lets no time pass that would earn new ones */
};

/* What guest_fds_open() says: an errno, or how many there are. */
extern int guest_fds_error;
extern int guest_fds_nr;
extern struct fake_reviver reviver;
/* How many descriptors systemd keeps, and how many it can: 16 at the beginning. */
extern unsigned int nr_fdstore;
extern unsigned int max_fdstore;
/* It keeps nothing any more. */
void fdstore_clear(void);

/* For cmocka: a tapback that found nothing yet. */
int world_setup(void **state);
int world_teardown(void **state);
void start_tapback(struct world *world);
void stop_tapback(struct world *world);

void tapdisk_start(struct world *world);
void tapdisk_die(struct world *world);
/* Told to end, in order. */
void tapdisk_end(struct world *world);
/* Its image is closed, after all I/O, and opened again. */
void tapdisk_pause(struct fake_tapdisk *tapdisk);
void tapdisk_unpause(struct fake_tapdisk *tapdisk);
/* Answer one question, if there is one. */
void tapdisk_serve(struct fake_tapdisk *tapdisk);

/* Let everybody do what they can, until nothing is left. Time passes. */
void settle(struct world *world);

/* Nodes of the disk: the toolstack's or ours, the guest's. */
void set_backend(const char *name, const char *value);
void set_frontend(const char *name, const char *value);

/* What the toolstack writes for a new disk, and then the hotplug script. */
void toolstack_adds(const char *mode);
void script_adds(void);
void guest_offers_ring(const char *state);
/* All of it, until both sides are Connected. */
void connect_disk(struct world *world, const char *mode);
void toolstack_unplugs(void);

#define assert_node(path, value) do { \
	const char *node_ = fake_store_get(path); \
	assert_non_null(node_); \
	assert_string_equal(node_, value); \
} while (0)

#define assert_backend_state(value) assert_node(BACKEND "/state", value)

#endif /* FAKE_TAPBACK_RIG_H */
