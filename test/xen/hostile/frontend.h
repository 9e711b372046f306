/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block frontend in a program, with no driver of the guest's kernel in between:
 * grants by /dev/xen/gntalloc, events by /dev/xen/evtchn, xenstore by
 * /dev/xen/xenbus. It does as it is told, sense or not. What cannot be done
 * ends the program with one sentence.
 */
#ifndef HOSTILE_FRONTEND_H
#define HOSTILE_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Of Xen's headers, so that they ask for nothing but these barriers. */
#define __XEN_INTERFACE_VERSION__ 0x00040d00
#define xen_mb() __sync_synchronize()
#define xen_rmb() __sync_synchronize()
#define xen_wmb() __sync_synchronize()
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/event_channel.h>
#include <xen/io/blkif.h>
#include <xen/io/xenbus.h>

#define PAGE_BYTES	4096u
#define SECTOR_BYTES	512u
#define PAGE_SECTORS	(PAGE_BYTES / SECTOR_BYTES)
#define DIRECT_MAX	BLKIF_MAX_SEGMENTS_PER_REQUEST
#define LIST_MAX	256u	/* segments of an indirect request, as offered */
#define DOM0		0

/*
 * The disk of hostile.sh, in sectors: what is written there, what nobody may
 * write to, and where a filter of tapdisk delays all I/O by a second.
 */
#define AREA_BASELINE	0u
#define AREA_SCENARIO	2048u
#define AREA_FORBIDDEN	8192u
#define AREA_SLOW	16384u

/* Pages of this process that another domain may use. */
struct pages {
	unsigned int nr;
	uint64_t index;		/* by which gntalloc knows them */
	uint8_t *mem;
	uint32_t gref[];
};

struct front {
	const char *dir;	/* of the frontend, in xenstore */
	char backend[128];	/* directory of the backend */
	int xenbus, gntalloc, evtchn;
	struct pages *page;	/* of the ring */
	blkif_front_ring_t ring;
	unsigned int port;
	uint64_t next_id;
	uint64_t sectors;	/* of the disk, once connected */
};

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void front_open(struct front *front, const char *dir);

/* ---- xenstore; names are relative to the frontend's directory ---- */

/* False: xenstored refused it. */
bool node_write(struct front *front, const char *name, const void *text, size_t len);
void node_print(struct front *front, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool node_exists(struct front *front, const char *name);
void node_remove(struct front *front, const char *name);
void set_state(struct front *front, unsigned int state);
/* Of the backend; 0: there is none. */
unsigned int backend_state(struct front *front);
void wait_backend(struct front *front, unsigned int state, const char *when);

/* ---- grants ---- */

struct pages *pages_grant(struct front *front, unsigned int domid, unsigned int nr, bool writable);
/* Ends the grants; if they are mapped, the kernel does it when they no longer are. */
void pages_revoke(struct front *front, struct pages *pages);
/* How many grants the kernel found mapped when they were to end, so far. */
unsigned int grants_found_in_use(void);

/* ---- events ---- */

void notify(struct front *front);
/* An event came within @ms. */
bool wait_event(struct front *front, int ms);

/* ---- connecting ---- */

/* From whatever state to one where the backend waits for a ring. */
void front_start(struct front *front);
/* Make a ring and publish it; the state is the caller's. */
void front_offer(struct front *front);
/* All of it. */
void front_connect(struct front *front);
/* As a driver does, with a word to the backend at each step. */
void front_close(struct front *front);
/* The ring that was offered must be refused; and the next start is in order. */
void front_must_be_refused(struct front *front, const char *what);

/* ---- requests ---- */

/* Whole pages. */
struct blkif_request request_of(uint8_t op, uint64_t sector, const struct pages *pages,
				unsigned int nr);
/*
 * Whole pages as well, by a list in @list, a granted page. At most what one page
 * of a list has room for.
 */
struct blkif_request_indirect request_by_list(uint8_t op, uint64_t sector,
					      const struct pages *pages, unsigned int nr,
					      struct pages *list);
struct blkif_request_segment *list_of(struct pages *list);

/* Put an entry on the ring, with an id of its own, which is returned. */
uint64_t ring_put(struct front *front, const void *entry, size_t size);
/* Let the backend see what was put. */
void ring_push(struct front *front);
/* The backend has taken all that it was shown. */
void ring_wait_taken(struct front *front);
/* The next response; false: none within @ms. */
bool ring_next(struct front *front, blkif_response_t *response, int ms);
/* One request and its answer: the status. */
int ring_do(struct front *front, const void *entry, size_t size);
/* The same; the status must be @status. @what names the request. */
void ring_expect(struct front *front, const void *entry, size_t size, int status,
		 const char *what);

/* Write something new, flush, read it back. */
void front_baseline(struct front *front, const char *when);

#endif /* HOSTILE_FRONTEND_H */
