/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One disk of one guest: looks at xenstore, asks decide.h, acts. Runs in the
 * loop of tapback and never waits for a guest or a tapdisk.
 */
#ifndef TAPBACK_DEVICE_H
#define TAPBACK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "loop/loop.h"
#include "tapback/decide.h"
#include "tapback/kept.h"
#include "tapback/store.h"
#include "tapback/tapdisk_client.h"

#define DEVICE_WHY_MAX	512

/* What all devices share; outlives them. */
struct tapback {
	struct loop *loop;
	struct store *store;
	const char *run_dir;		/* XENTAP_RUN_DIR but in tests */
	const char *xentop_dir;		/* XENTOP_DIR (xentop.h) but in tests */
	unsigned int max_queues;	/* offered to each guest's disk */
	struct device *const *first;	/* of all devices */
};

/* What tapdisk says about its image ("info" in ctl_proto.h). */
struct geometry {
	uint64_t sectors;		/* of 512 bytes */
	uint32_t sector_size;		/* bytes */
	uint32_t physical_sector_size;	/* bytes */
	bool readonly;
	bool flush;
	bool barrier;
	bool persistent;
	uint32_t indirect_segments;	/* 0: no indirect requests */
	bool discard;
	uint32_t discard_granularity;	/* bytes */
	uint32_t discard_alignment;	/* bytes */
	bool discard_secure;
	bool journal;			/* it can keep one */
	bool xentop;			/* it can write a file for it (xentop.h) */
};

/* Those of which it matters to the guest's pages what becomes of them, and all others. */
enum device_question { ASKED_OTHER, ASKED_CONNECT, ASKED_DISCONNECT };

/* So often in so many ms another tapdisk is started for a disk; then it is given up. */
#define DEVICE_RESTARTS_MAX	10u
#define DEVICE_RESTARTS_MS	60000u

struct device {
	struct device *next;
	const struct tapback *tapback;
	uint32_t domid;
	uint32_t devid;
	char backend[STORE_PATH_MAX];	/* our directory in xenstore */
	char frontend[STORE_PATH_MAX];	/* the guest's; "": not known yet */
	bool readonly;			/* the toolstack says mode=r */
	bool cdrom;
	bool discard;			/* the toolstack allows it */

	struct vbd_view view;
	struct tapdisk_client client;
	uint32_t minor;			/* tapdisk's name for its disk */
	struct geometry geometry;
	char resize_seen[24];		/* node "resize" as we last followed it */
	enum device_question asked;	/* which is open */

	int xentop_pid;			/* whose directory may have our file; 0: there is none */
	bool xentop_said;		/* that there cannot be one */

	struct kept kept;
	struct loop_source reviver;	/* fd -1: none is at work */
	uint64_t restarts_ms[DEVICE_RESTARTS_MAX];	/* the last ones; 0: none */
	unsigned int next_restart;	/* in that ring */
	uint64_t retry_ms;		/* when to try again to go on; 0: not */
	uint64_t unserved_ms;		/* since when that is waited for; 0: it is not */
	bool unserved_said;
	enum vbd_link then;		/* the link once its tapdisk said what is kept, or no pages are in use */

	bool overdue_said;

	char why[DEVICE_WHY_MAX];	/* what last went wrong */
	bool unreported;		/* nobody was told yet */
	bool error_published;
	struct log_limit guest_log;	/* for lines that a guest can cause */
	bool guest_was_alive;		/* only then can it be found dead */

	bool dirty;			/* something changed: look again */
	unsigned int looks_left;	/* before it must wait */
	bool deaf;			/* changes of its frontend are not heard; only while dirty */
	uint64_t looks_ms;		/* when that was last filled up */
};

/* A device for backend directory @dir/@domid/@devid; 0 or -ENOMEM. */
int device_create(const struct tapback *tapback, const char *dir, uint32_t domid,
		  uint32_t devid, struct device **device);
/* Disks that are connected stay so. NULL is harmless. */
void device_destroy(struct device *device);

/* Act until there is nothing to do. False: it is gone, to be destroyed. */
bool device_run(struct device *device);

/*
 * Whether a dirty device may be run now, or has had too many changes lately. One that had
 * is not woken by its frontend until it may look again a few times.
 */
bool device_may_look(struct device *device, uint64_t now_ms);

/* In how many ms device_check_time() is due; -1: not at all. */
int device_busy_ms(const struct device *device);

/* Give up answers that are overdue, and try again what is to be tried again. */
void device_check_time(struct device *device, uint64_t now_ms);

/* The set of running domains changed. */
void device_check_domain(struct device *device);

#endif /* TAPBACK_DEVICE_H */
