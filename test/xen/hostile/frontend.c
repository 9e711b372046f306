// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/io/xs_wire.h>

/* For what takes the backend a moment; the lab is slow. */
#define BACKEND_SECONDS 60
#define ANSWER_MS 60000

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	exit(1);
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("cannot open %s: %s", path, strerror(errno));
	return fd;
}

/* ---- xenstore ---- */

/* One call; the length of the answer in @reply, or -1: refused. */
static int store_call(struct front *front, uint32_t type, const void *payload, size_t len,
		      char reply[XENSTORE_PAYLOAD_MAX + 1])
{
	struct xsd_sockmsg head = { .type = type, .len = (uint32_t)len };
	uint8_t message[sizeof(head) + XENSTORE_PAYLOAD_MAX];

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), payload, len);
	if (write(front->xenbus, message, sizeof(head) + len) < 0 ||
	    read(front->xenbus, &head, sizeof(head)) != sizeof(head))
		die("no word with xenstored: %s", strerror(errno));
	for (len = 0; len < head.len;) {
		ssize_t got = read(front->xenbus, reply + len, head.len - len);

		if (got <= 0)
			die("xenstored stopped in the middle of an answer");
		len += (size_t)got;
	}
	reply[len] = '\0';
	return head.type == XS_ERROR ? -1 : (int)len;
}

static int store_read(struct front *front, const char *path, char reply[XENSTORE_PAYLOAD_MAX + 1])
{
	return store_call(front, XS_READ, path, strlen(path) + 1, reply);
}

bool node_write(struct front *front, const char *name, const void *text, size_t len)
{
	char payload[XENSTORE_PAYLOAD_MAX], reply[XENSTORE_PAYLOAD_MAX + 1];
	int size = snprintf(payload, sizeof(payload), "%s/%s", front->dir, name) + 1;

	memcpy(payload + size, text, len);
	return store_call(front, XS_WRITE, payload, (size_t)size + len, reply) >= 0;
}

void node_print(struct front *front, const char *name, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!node_write(front, name, text, strlen(text)))
		die("xenstored refused to write %s", name);
}

void node_remove(struct front *front, const char *name)
{
	char path[256], reply[XENSTORE_PAYLOAD_MAX + 1];

	snprintf(path, sizeof(path), "%s/%s", front->dir, name);
	store_call(front, XS_RM, path, strlen(path) + 1, reply);
}

bool node_exists(struct front *front, const char *name)
{
	char path[256], reply[XENSTORE_PAYLOAD_MAX + 1];

	snprintf(path, sizeof(path), "%s/%s", front->dir, name);
	return store_read(front, path, reply) >= 0;
}

void set_state(struct front *front, unsigned int state)
{
	node_print(front, "state", "%u", state);
}

static unsigned long backend_number(struct front *front, const char *name)
{
	char path[256], reply[XENSTORE_PAYLOAD_MAX + 1];

	snprintf(path, sizeof(path), "%s/%s", front->backend, name);
	return store_read(front, path, reply) < 0 ? 0 : strtoul(reply, NULL, 10);
}

unsigned int backend_state(struct front *front)
{
	return (unsigned int)backend_number(front, "state");
}

void wait_backend(struct front *front, unsigned int state, const char *when)
{
	time_t deadline = time(NULL) + BACKEND_SECONDS;

	while (backend_state(front) != state) {
		if (time(NULL) > deadline)
			die("%s: the backend's state is %u, not %u", when, backend_state(front),
			    state);
		usleep(20000);
	}
}

/* ---- grants ---- */

struct pages *pages_grant(struct front *front, unsigned int domid, unsigned int nr, bool writable)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + nr * sizeof(uint32_t);
	struct pages *pages = calloc(1, sizeof(*pages) + nr * sizeof(pages->gref[0]));
	struct ioctl_gntalloc_alloc_gref *grefs = calloc(1, size);

	if (!pages || !grefs)
		die("no memory");
	grefs->domid = (uint16_t)domid;
	grefs->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	grefs->count = nr;
	if (ioctl(front->gntalloc, IOCTL_GNTALLOC_ALLOC_GREF, grefs) < 0)
		die("cannot grant %u pages: %s", nr, strerror(errno));
	pages->nr = nr;
	pages->index = grefs->index;
	memcpy(pages->gref, grefs->gref_ids, nr * sizeof(pages->gref[0]));
	free(grefs);
	pages->mem = mmap(NULL, (size_t)nr * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  front->gntalloc, (off_t)pages->index);
	if (pages->mem == MAP_FAILED)
		die("cannot map %u granted pages: %s", nr, strerror(errno));
	memset(pages->mem, 0, (size_t)nr * PAGE_BYTES);
	return pages;
}

void pages_revoke(struct front *front, struct pages *pages)
{
	struct ioctl_gntalloc_dealloc_gref grefs = { .index = pages->index, .count = pages->nr };

	munmap(pages->mem, (size_t)pages->nr * PAGE_BYTES);
	if (ioctl(front->gntalloc, IOCTL_GNTALLOC_DEALLOC_GREF, &grefs) < 0)
		die("cannot end grants: %s", strerror(errno));
	free(pages);
}

/* The kernel says "deferring" of each, if it is asked to. */
unsigned int grants_found_in_use(void)
{
	static const char say[] = "func gnttab_add_deferred +p";
	int control = open_device("/proc/dynamic_debug/control");
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned int found = 0;
	char line[2048];
	ssize_t len;

	if (log < 0 || write(control, say, strlen(say)) < 0)
		die("cannot ask the kernel which grants were in use: %s", strerror(errno));
	/* EPIPE: lines were overwritten before they were read. */
	while ((len = read(log, line, sizeof(line) - 1)) > 0 || (len < 0 && errno == EPIPE)) {
		line[len > 0 ? len : 0] = '\0';
		found += strstr(line, "deferring g.e.") != NULL;
	}
	close(log);
	close(control);
	return found;
}

/* ---- events ---- */

static unsigned int port_new(struct front *front)
{
	struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = DOM0 };
	int port = ioctl(front->evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);

	if (port < 0)
		die("cannot make an event channel: %s", strerror(errno));
	return (unsigned int)port;
}

static void port_close(struct front *front, unsigned int port)
{
	struct ioctl_evtchn_unbind unbind = { .port = port };

	ioctl(front->evtchn, IOCTL_EVTCHN_UNBIND, &unbind);
}

void notify(struct front *front)
{
	struct ioctl_evtchn_notify to = { .port = front->port };

	if (ioctl(front->evtchn, IOCTL_EVTCHN_NOTIFY, &to) < 0)
		die("cannot notify the backend: %s", strerror(errno));
}

bool wait_event(struct front *front, int ms)
{
	struct pollfd poll_fd = { .fd = front->evtchn, .events = POLLIN };
	uint32_t port;

	if (poll(&poll_fd, 1, ms) <= 0)
		return false;
	/* The same number written unmasks it. */
	if (read(front->evtchn, &port, sizeof(port)) != sizeof(port) ||
	    write(front->evtchn, &port, sizeof(port)) != sizeof(port))
		die("cannot read the event channel: %s", strerror(errno));
	return true;
}

/* ---- connecting ---- */

void front_open(struct front *front, const char *dir)
{
	char path[256], reply[XENSTORE_PAYLOAD_MAX + 1];

	*front = (struct front){
		.dir = dir,
		.xenbus = open_device("/dev/xen/xenbus"),
		.gntalloc = open_device("/dev/xen/gntalloc"),
		.evtchn = open_device("/dev/xen/evtchn"),
	};
	snprintf(path, sizeof(path), "%s/backend", dir);
	if (store_read(front, path, reply) < 0)
		die("there is no disk %s", dir);
	snprintf(front->backend, sizeof(front->backend), "%.127s", reply);
}

static void drop_ring(struct front *front)
{
	if (!front->page)
		return;
	pages_revoke(front, front->page);
	port_close(front, front->port);
	front->page = NULL;
}

void front_start(struct front *front)
{
	static const char *const stale[] = {
		"ring-page-order", "num-ring-pages", "multi-queue-num-queues", "ring-ref0",
		"feature-persistent", "queue-0",
	};

	set_state(front, XenbusStateClosed);
	wait_backend(front, XenbusStateClosed, "after Closed");
	drop_ring(front);
	for (size_t i = 0; i < sizeof(stale) / sizeof(stale[0]); i++)
		node_remove(front, stale[i]);
	set_state(front, XenbusStateInitialising);
	wait_backend(front, XenbusStateInitWait, "after Initialising");
}

void front_offer(struct front *front)
{
	front->page = pages_grant(front, DOM0, 1, true);
	front->port = port_new(front);
	XEN_FRONT_RING_INIT(&front->ring, (blkif_sring_t *)front->page->mem, PAGE_BYTES);
	node_print(front, "ring-ref", "%u", front->page->gref[0]);
	node_print(front, "event-channel", "%u", front->port);
	node_print(front, "protocol", "x86_64-abi");
}

void front_connect(struct front *front)
{
	front_start(front);
	front_offer(front);
	set_state(front, XenbusStateInitialised);
	wait_backend(front, XenbusStateConnected, "after Initialised");
	front->sectors = backend_number(front, "sectors");
	set_state(front, XenbusStateConnected);
}

void front_close(struct front *front)
{
	set_state(front, XenbusStateClosing);
	wait_backend(front, XenbusStateClosing, "after Closing");
	set_state(front, XenbusStateClosed);
	wait_backend(front, XenbusStateClosed, "after Closed");
	drop_ring(front);
}

void front_must_be_refused(struct front *front, const char *what)
{
	set_state(front, XenbusStateInitialised);
	wait_backend(front, XenbusStateClosing, what);
	front_start(front);
}

/* ---- requests ---- */

struct blkif_request request_of(uint8_t op, uint64_t sector, const struct pages *pages,
				unsigned int nr)
{
	struct blkif_request request = {
		.operation = op,
		.nr_segments = (uint8_t)nr,
		.sector_number = sector,
	};

	for (unsigned int i = 0; i < nr && i < DIRECT_MAX; i++)
		request.seg[i] = (struct blkif_request_segment){
			.gref = pages->gref[i % pages->nr],
			.last_sect = PAGE_SECTORS - 1,
		};
	return request;
}

struct blkif_request_segment *list_of(struct pages *list)
{
	return (struct blkif_request_segment *)list->mem;
}

struct blkif_request_indirect request_by_list(uint8_t op, uint64_t sector,
					      const struct pages *pages, unsigned int nr,
					      struct pages *list)
{
	struct blkif_request_indirect request = {
		.operation = BLKIF_OP_INDIRECT,
		.indirect_op = op,
		.nr_segments = (uint16_t)nr,
		.sector_number = sector,
		.indirect_grefs = { list->gref[0] },
	};

	for (unsigned int i = 0; i < nr && i < LIST_MAX; i++)
		list_of(list)[i] = (struct blkif_request_segment){
			.gref = pages->gref[i % pages->nr],
			.last_sect = PAGE_SECTORS - 1,
		};
	return request;
}

/* All kinds of requests have their id at the same place in this layout. */
_Static_assert(offsetof(struct blkif_request, id) == offsetof(struct blkif_request_indirect, id) &&
	       offsetof(struct blkif_request, id) == offsetof(struct blkif_request_discard, id),
	       "id");

uint64_t ring_put(struct front *front, const void *entry, size_t size)
{
	struct blkif_request *slot = RING_GET_REQUEST(&front->ring, front->ring.req_prod_pvt);

	memcpy(slot, entry, size);
	slot->id = ++front->next_id;
	front->ring.req_prod_pvt++;
	return slot->id;
}

void ring_push(struct front *front)
{
	int wanted;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&front->ring, wanted);
	if (wanted)
		notify(front);
}

void ring_wait_taken(struct front *front)
{
	volatile RING_IDX *event = &front->ring.sring->req_event;
	time_t deadline = time(NULL) + BACKEND_SECONDS;

	while ((int32_t)(*event - front->ring.req_prod_pvt) <= 0) {
		if (time(NULL) > deadline)
			die("the backend does not take what is in the ring");
		usleep(10000);
	}
}

bool ring_next(struct front *front, blkif_response_t *response, int ms)
{
	int more;

	for (;;) {
		RING_FINAL_CHECK_FOR_RESPONSES(&front->ring, more);
		if (more)
			break;
		if (!wait_event(front, ms))
			return false;
	}
	*response = *RING_GET_RESPONSE(&front->ring, front->ring.rsp_cons);
	front->ring.rsp_cons++;
	return true;
}

int ring_do(struct front *front, const void *entry, size_t size)
{
	const struct blkif_request_indirect *head = entry;
	uint8_t op = head->operation == BLKIF_OP_INDIRECT ? head->indirect_op : head->operation;
	uint64_t id = ring_put(front, entry, size);
	blkif_response_t response;

	ring_push(front);
	if (!ring_next(front, &response, ANSWER_MS))
		die("operation %u: no answer", op);
	if (response.id != id || response.operation != op)
		die("operation %u: the answer is of another request", op);
	return response.status;
}

void ring_expect(struct front *front, const void *entry, size_t size, int status,
		 const char *what)
{
	int got = ring_do(front, entry, size);

	if (got != status)
		die("%s: answered %d, not %d", what, got, status);
}

void front_baseline(struct front *front, const char *when)
{
	struct pages *out = pages_grant(front, DOM0, DIRECT_MAX, false);
	struct pages *in = pages_grant(front, DOM0, DIRECT_MAX, true);
	struct blkif_request request;
	size_t i, size = DIRECT_MAX * PAGE_BYTES;

	for (i = 0; i < size; i++)
		out->mem[i] = (uint8_t)random();
	request = request_of(BLKIF_OP_WRITE, AREA_BASELINE, out, DIRECT_MAX);
	ring_expect(front, &request, sizeof(request), BLKIF_RSP_OKAY, when);
	request = request_of(BLKIF_OP_FLUSH_DISKCACHE, 0, out, 0);
	ring_expect(front, &request, sizeof(request), BLKIF_RSP_OKAY, when);
	request = request_of(BLKIF_OP_READ, AREA_BASELINE, in, DIRECT_MAX);
	ring_expect(front, &request, sizeof(request), BLKIF_RSP_OKAY, when);
	if (memcmp(in->mem, out->mem, size))
		die("%s: what is read is not what was written", when);
	pages_revoke(front, out);
	pages_revoke(front, in);
}
