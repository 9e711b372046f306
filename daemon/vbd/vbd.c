// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of requests, in passes. One pass takes what the frontend asked for
 * and what the store finished since the last one, and handles both together:
 *
 *	ring -> check -> [fresh] -> map -> kernel AIO -> [done] -> unmap
 *	     -> [finished] -> response
 *
 * so that a pass costs one call to the module for each arena, one io_submit()
 * and one notification, whatever the number of requests. A pass runs as a task
 * of the loop, after all events of a wake-up; it is bounded by the ring's size.
 *
 * A response is written only after the request's grants are unmapped: a
 * frontend that gave no persistent grants stops using the disk otherwise.
 */
#include "vbd/vbd.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vbd/request.h"

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

struct drain_source {
	struct loop_source source;
	struct vbd *vbd;
	enum xenio_arena arena;
};

/* What one pass asks of one arena; entry i belongs to request owner[i]. */
struct arena_batch {
	struct xenio_unmap *unmaps;
	struct xenio_map *maps;
	uint32_t nr_unmaps;
	uint32_t nr_maps;
};

struct vbd {
	struct vbd_config config;
	struct store *store;
	struct xenio *xenio;
	struct ring ring;
	uint32_t ring_slot;		/* first slot of the ring's pages */
	uint32_t ring_mapped;		/* pages of it that are mapped */

	struct loop_source event;
	struct drain_source drains[XENIO_NR_ARENAS];
	struct loop_task pass;
	bool unmask_due;		/* an event was taken */

	struct request *requests;	/* one for each entry of the ring */
	struct request_list free;
	struct request_list fresh;	/* checked, to be mapped */
	struct request_list done;	/* I/O ended, to be unmapped */
	struct request_list finished;	/* to be answered */
	uint32_t outstanding;		/* taken, not answered */
	uint32_t held;			/* failed flushes, never answered */
	struct arena_batch batches[XENIO_NR_ARENAS];

	bool closing;
	void (*closed)(void *context);
	void *closed_context;

	struct vbd_stats stats;
	struct log_limit log_limit;
};

/* A guest can cause these: never more than a few. */
#define vbd_complain(vbd, format, ...)						\
	do {									\
		if (log_limited(&(vbd)->log_limit))				\
			log_warning("domain %u, device %u: " format,		\
				    (vbd)->config.domid, (vbd)->config.devid,	\
				    __VA_ARGS__);				\
	} while (0)

/* ---- answers ---- */

static bool is_write(const struct request *request)
{
	return request->wire.op == BLKIF_WRITE;
}

static void count(struct vbd *vbd, const struct request *request)
{
	uint64_t sectors = request->bytes >> SECTOR_SHIFT;

	if (request->wire.op == BLKIF_READ && request->error) {
		vbd->stats.read_errors++;
	} else if (request->wire.op == BLKIF_READ) {
		vbd->stats.reads++;
		vbd->stats.read_sectors += sectors;
	} else if (request->error) {
		vbd->stats.write_errors++;
	} else {
		vbd->stats.flushes += request->wire.op == BLKIF_FLUSH;
		vbd->stats.writes += is_write(request) || sectors;
		vbd->stats.write_sectors += sectors;
	}
}

static void respond(struct vbd *vbd, struct request *request)
{
	ring_respond(&vbd->ring, request->wire.id, request->wire.op,
		     blkif_status(request->error));
	vbd->stats.responses++;
	vbd->outstanding--;
	request_list_add(&vbd->free, request);
}

static void respond_finished(struct vbd *vbd)
{
	struct request *request;

	while ((request = request_list_take(&vbd->finished)) != NULL) {
		count(vbd, request);
		respond(vbd, request);
	}
}

static void push_responses(struct vbd *vbd)
{
	if (!ring_push(&vbd->ring))
		return;
	vbd->stats.notifies++;
	/* A frontend that is gone is noticed elsewhere. */
	vbd->xenio->ops->event_send(vbd->xenio);
}

/* ---- store ---- */

static void start_io(struct vbd *vbd, struct request *request)
{
	int64_t offset = (int64_t)(request->wire.sector << SECTOR_SHIFT);
	struct aio *aio = vbd->store->aio;
	int fd = vbd->store->image->fd;

	request_gather(request, vbd->xenio);
	if (request->arena == XENIO_RW)
		aio_queue_read(aio, &request->aio, fd, request->iov, request->nr_iov, offset);
	else
		aio_queue_write(aio, &request->aio, fd, request->iov, request->nr_iov, offset);
}

static int io_error(const struct request *request, long result)
{
	if (result == (long)request->bytes)
		return 0;
	/* "Not supported" would mean the operation itself, to a frontend. */
	if (result < 0 && result != -EOPNOTSUPP)
		return (int)result;
	return -EIO;
}

static void io_done(struct aio_op *op, long result)
{
	struct request *request = container_of(op, struct request, aio);
	struct vbd *vbd = request->vbd;

	request->error = io_error(request, result);
	if (request->error)
		vbd_complain(vbd, "%s of %u bytes at sector %llu failed: %s",
			     request->arena == XENIO_RW ? "read" : "write", request->bytes,
			     (unsigned long long)request->wire.sector,
			     result >= 0 ? "short transfer" : strerror((int)-result));
	request_list_add(&vbd->done, request);
	loop_post(vbd->store->loop, &vbd->pass);
}

/*
 * Linux's blkfront takes an error on an empty flush for "flush is not
 * supported" and reports success to the file system. A failed flush is
 * therefore not answered at all, and writes fail from now on.
 */
static void hold_flush(struct vbd *vbd, long result)
{
	log_error("domain %u, device %u: flush failed: %s; acknowledged writes may be lost, "
		  "so that all further writes are refused: check the store and attach the disk anew",
		  vbd->config.domid, vbd->config.devid, strerror((int)-result));
	vbd->store->flush_failed = true;
	vbd->held++;
	vbd->outstanding--;
}

static void flush_done(struct aio_op *op, long result)
{
	struct request *request = container_of(op, struct request, aio);
	struct vbd *vbd = request->vbd;

	if (result < 0)
		hold_flush(vbd, result);
	else if (request->bytes)
		request_list_add(&vbd->fresh, request);
	else
		request_list_add(&vbd->finished, request);
	loop_post(vbd->store->loop, &vbd->pass);
}

/* ---- requests ---- */

static void start_request(struct vbd *vbd, struct request *request)
{
	request->arena = request->wire.op == BLKIF_READ ? XENIO_RW : XENIO_RO;
	request->mapped = 0;
	request->draining = 0;
	if (request->wire.op == BLKIF_FLUSH) {
		request->aio.done = flush_done;
		aio_queue_flush(vbd->store->aio, &request->aio, vbd->store->image->fd);
		return;
	}
	request->aio.done = io_done;
	request_list_add(&vbd->fresh, request);
}

static int check(const struct vbd *vbd, struct request *request)
{
	const struct image *image = vbd->store->image;
	int err = request_check(&request->wire, image,
				image->readonly || vbd->config.readonly, &request->bytes);

	if (!err && vbd->store->flush_failed && request->wire.op != BLKIF_READ)
		err = -EIO;
	return err;
}

static void take_request(struct vbd *vbd)
{
	struct request *request = request_list_take(&vbd->free);

	ring_take(&vbd->ring, &request->wire);
	vbd->stats.requests++;
	vbd->outstanding++;
	request->error = check(vbd, request);
	if (!request->error) {
		start_request(vbd, request);
		return;
	}
	vbd_complain(vbd, "request refused (operation %u, %u segments, sector %llu): %s",
		     request->wire.op, request->wire.nr_segments,
		     (unsigned long long)request->wire.sector, strerror(-request->error));
	vbd->stats.bad_requests++;
	respond(vbd, request);
}

static void take_requests(struct vbd *vbd)
{
	bool was_halted = vbd->ring.halted;
	int waiting = ring_waiting(&vbd->ring);

	if (waiting < 0 && !was_halted)
		log_error("domain %u, device %u: the frontend's ring index is out of range; "
			  "its ring is ignored until it reconnects",
			  vbd->config.domid, vbd->config.devid);
	while (waiting-- > 0 && vbd->free.first)
		take_request(vbd);
}

/* ---- grants ---- */

static struct request *slot_owner(const struct vbd *vbd, uint32_t slot)
{
	return &vbd->requests[slot / BLKIF_SEGMENTS_MAX];
}

static void want_unmap(struct vbd *vbd, const struct request *request)
{
	struct arena_batch *batch = &vbd->batches[request->arena];
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		if (request->mapped & (1u << i))
			batch->unmaps[batch->nr_unmaps++].slot = request->slot + i;
}

static void want_map(struct vbd *vbd, const struct request *request)
{
	struct arena_batch *batch = &vbd->batches[request->arena];
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		batch->maps[batch->nr_maps++] = (struct xenio_map){
			.slot = request->slot + i,
			.gref = request->wire.segments[i].gref,
			.domid = vbd->config.domid,
		};
}

static uint32_t at_most(uint32_t n, uint32_t max)
{
	return n < max ? n : max;
}

/* Both lists to the module, in as many calls as it needs. */
static int run_batch(struct vbd *vbd, enum xenio_arena arena)
{
	const struct arena_batch *batch = &vbd->batches[arena];
	uint32_t max = vbd->xenio->batch_max;
	uint32_t u = 0;
	uint32_t m = 0;

	while (u < batch->nr_unmaps || m < batch->nr_maps) {
		uint32_t nu = at_most(batch->nr_unmaps - u, max);
		uint32_t nm = at_most(batch->nr_maps - m, max);
		int err = vbd->xenio->ops->batch(vbd->xenio, arena, batch->unmaps + u, nu,
						 batch->maps + m, nm);

		if (err)
			return err;
		vbd->stats.batches++;
		u += nu;
		m += nm;
	}
	return 0;
}

/* The module took a whole call badly: no entry of it was looked at. */
static void fail_batch(struct vbd *vbd, enum xenio_arena arena, int err)
{
	struct arena_batch *batch = &vbd->batches[arena];
	uint32_t i;

	log_error("domain %u, device %u: /dev/xen/tap refused a batch: %s", vbd->config.domid,
		  vbd->config.devid, strerror(-err));
	for (i = 0; i < batch->nr_unmaps; i++)
		batch->unmaps[i].status = err;
	for (i = 0; i < batch->nr_maps; i++)
		batch->maps[i].status = err;
}

static void note_unmaps(struct vbd *vbd, const struct arena_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->nr_unmaps; i++) {
		const struct xenio_unmap *unmap = &batch->unmaps[i];
		struct request *request = slot_owner(vbd, unmap->slot);

		if (unmap->status == -EINPROGRESS) {
			request->draining++;
			vbd->stats.drains++;
		} else if (unmap->status) {
			request->error = unmap->status;
		}
	}
}

static void note_maps(struct vbd *vbd, const struct arena_batch *batch)
{
	uint32_t i;

	for (i = 0; i < batch->nr_maps; i++) {
		const struct xenio_map *map = &batch->maps[i];
		struct request *request = slot_owner(vbd, map->slot);

		if (!map->status) {
			request->mapped |= (uint16_t)(1u << (map->slot - request->slot));
			vbd->stats.grants++;
			continue;
		}
		request->error = map->status;
		vbd_complain(vbd, "cannot map grant %u: %s", map->gref, strerror(-map->status));
	}
}

static void run_batches(struct vbd *vbd)
{
	struct request *request;
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++)
		vbd->batches[i].nr_unmaps = vbd->batches[i].nr_maps = 0;
	for (request = vbd->done.first; request; request = request->next)
		want_unmap(vbd, request);
	for (request = vbd->fresh.first; request; request = request->next)
		want_map(vbd, request);
	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		int err = run_batch(vbd, (enum xenio_arena)i);

		if (err)
			fail_batch(vbd, (enum xenio_arena)i, err);
		note_unmaps(vbd, &vbd->batches[i]);
		note_maps(vbd, &vbd->batches[i]);
	}
}

/* Requests that were unmapped can be answered once no page drains. */
static void finish_unmapped(struct vbd *vbd)
{
	struct request *request;

	while ((request = request_list_take(&vbd->done)) != NULL)
		if (!request->draining)
			request_list_add(&vbd->finished, request);
}

/* Requests with all grants go to the store; others give back what they have. */
static void start_mapped(struct vbd *vbd)
{
	struct request *request;

	while ((request = request_list_take(&vbd->fresh)) != NULL) {
		if (!request->error) {
			request->aio.done = io_done;
			start_io(vbd, request);
		} else if (request->mapped) {
			request_list_add(&vbd->done, request);
			loop_post(vbd->store->loop, &vbd->pass);
		} else {
			request_list_add(&vbd->finished, request);
		}
	}
}

/* ---- events ---- */

static void drain_ready(struct loop_source *source)
{
	struct drain_source *drain = container_of(source, struct drain_source, source);
	struct vbd *vbd = drain->vbd;
	struct xenio_drained records[32];
	int nr = vbd->xenio->ops->drained(vbd->xenio, drain->arena, records, 32);
	int i;

	for (i = 0; i < nr; i++) {
		struct request *request = slot_owner(vbd, records[i].slot);

		if (records[i].status)
			request->error = records[i].status;
		if (--request->draining == 0)
			request_list_add(&vbd->finished, request);
	}
	loop_post(vbd->store->loop, &vbd->pass);
}

static void event_ready(struct loop_source *source)
{
	struct vbd *vbd = container_of(source, struct vbd, event);
	int err = vbd->xenio->ops->event_take(vbd->xenio);

	if (err) {
		/* Without events there is no disk; never spin on a bad one. */
		log_error("domain %u, device %u: cannot read the event channel: %s",
			  vbd->config.domid, vbd->config.devid, strerror(-err));
		loop_remove(vbd->store->loop, source);
		return;
	}
	vbd->stats.events++;
	vbd->unmask_due = true;
	loop_post(vbd->store->loop, &vbd->pass);
}

static void unmask(struct vbd *vbd)
{
	if (!vbd->unmask_due)
		return;
	vbd->unmask_due = false;
	vbd->xenio->ops->event_unmask(vbd->xenio);
}

static void vbd_finish_close(struct vbd *vbd);

static void run_pass(struct loop_task *task)
{
	struct vbd *vbd = container_of(task, struct vbd, pass);

	if (!vbd->closing)
		take_requests(vbd);
	run_batches(vbd);
	finish_unmapped(vbd);
	respond_finished(vbd);
	start_mapped(vbd);
	respond_finished(vbd);
	push_responses(vbd);
	aio_submit(vbd->store->aio);

	if (vbd->closing) {
		if (!vbd->outstanding)
			vbd_finish_close(vbd);
		return;
	}
	/*
	 * The event stays masked as long as the ring gives us work anyway, and
	 * for good once the frontend broke the ring's rules.
	 */
	if (ring_ask_event(&vbd->ring))
		loop_post(vbd->store->loop, &vbd->pass);
	else if (!vbd->ring.halted)
		unmask(vbd);
}

/* ---- life ---- */

void vbd_slots(const struct vbd_config *config, uint32_t nr_slots[XENIO_NR_ARENAS])
{
	uint32_t data = ring_entries(config->protocol, config->nr_pages) * BLKIF_SEGMENTS_MAX;

	nr_slots[XENIO_RW] = data + config->nr_pages;
	nr_slots[XENIO_RO] = data;
}

static int ring_map(struct vbd *vbd)
{
	struct xenio_map maps[BLKIF_RING_PAGES_MAX];
	uint32_t nr = vbd->config.nr_pages;
	int err;
	uint32_t i;

	for (i = 0; i < nr; i++)
		maps[i] = (struct xenio_map){
			.slot = vbd->ring_slot + i,
			.gref = vbd->config.grefs[i],
			.domid = vbd->config.domid,
		};
	err = vbd->xenio->ops->batch(vbd->xenio, XENIO_RW, NULL, 0, maps, nr);
	for (i = 0; i < nr && !err; i++)
		err = maps[i].status;
	if (err)
		log_error("domain %u, device %u: cannot map the ring: %s", vbd->config.domid,
			  vbd->config.devid, strerror(-err));
	return err;
}

static void ring_unmap(struct vbd *vbd)
{
	struct xenio_unmap unmaps[BLKIF_RING_PAGES_MAX];
	uint32_t i;

	for (i = 0; i < vbd->config.nr_pages; i++)
		unmaps[i].slot = vbd->ring_slot + i;
	vbd->xenio->ops->batch(vbd->xenio, XENIO_RW, unmaps, vbd->config.nr_pages, NULL, 0);
}

static int allocate(struct vbd *vbd, uint32_t entries)
{
	uint32_t slots = entries * BLKIF_SEGMENTS_MAX;
	uint32_t i;

	vbd->requests = calloc(entries, sizeof(*vbd->requests));
	if (!vbd->requests)
		return -ENOMEM;
	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		vbd->batches[i].unmaps = calloc(slots, sizeof(*vbd->batches[i].unmaps));
		vbd->batches[i].maps = calloc(slots, sizeof(*vbd->batches[i].maps));
		if (!vbd->batches[i].unmaps || !vbd->batches[i].maps)
			return -ENOMEM;
	}
	/* Each request has slots of its own: there is nothing to allocate. */
	for (i = 0; i < entries; i++) {
		vbd->requests[i].vbd = vbd;
		vbd->requests[i].slot = i * BLKIF_SEGMENTS_MAX;
		request_list_add(&vbd->free, &vbd->requests[i]);
	}
	vbd->ring_slot = slots;
	return 0;
}

static void vbd_free(struct vbd *vbd)
{
	int i;

	for (i = 0; i < XENIO_NR_ARENAS; i++) {
		loop_remove(vbd->store->loop, &vbd->drains[i].source);
		free(vbd->batches[i].unmaps);
		free(vbd->batches[i].maps);
	}
	loop_remove(vbd->store->loop, &vbd->event);
	loop_unpost(vbd->store->loop, &vbd->pass);
	vbd->xenio->ops->destroy(vbd->xenio);
	free(vbd->requests);
	free(vbd);
}

static void vbd_init(struct vbd *vbd, const struct vbd_config *config,
		     struct store *store, struct xenio *xenio)
{
	int i;

	*vbd = (struct vbd){
		.config = *config,
		.store = store,
		.xenio = xenio,
		.event = { .fd = xenio->event_fd, .ready = event_ready },
		.pass = { .run = run_pass },
		.log_limit = { .burst = 10 },
	};
	for (i = 0; i < XENIO_NR_ARENAS; i++)
		vbd->drains[i] = (struct drain_source){
			.source = { .fd = xenio->drain_fd[i], .ready = drain_ready },
			.vbd = vbd,
			.arena = (enum xenio_arena)i,
		};
	request_list_init(&vbd->free);
	request_list_init(&vbd->fresh);
	request_list_init(&vbd->done);
	request_list_init(&vbd->finished);
}

static int vbd_start(struct vbd *vbd)
{
	int err;
	int i;

	err = allocate(vbd, ring_entries(vbd->config.protocol, vbd->config.nr_pages));
	if (err)
		return err;
	err = ring_map(vbd);
	if (err)
		return err;
	err = ring_attach(&vbd->ring, vbd->config.protocol,
			  xenio_address(vbd->xenio, XENIO_RW, vbd->ring_slot),
			  vbd->config.nr_pages);
	if (err) {
		log_error("domain %u, device %u: the frontend's ring indices make no sense",
			  vbd->config.domid, vbd->config.devid);
		return err;
	}
	err = loop_add(vbd->store->loop, &vbd->event);
	for (i = 0; i < XENIO_NR_ARENAS && !err; i++)
		err = loop_add(vbd->store->loop, &vbd->drains[i].source);
	return err;
}

int vbd_create(const struct vbd_config *config, struct store *store,
	       struct xenio *xenio, struct vbd **out)
{
	struct vbd *vbd = malloc(sizeof(*vbd));
	int err;

	if (!vbd) {
		xenio->ops->destroy(xenio);
		return -ENOMEM;
	}
	vbd_init(vbd, config, store, xenio);
	err = vbd_start(vbd);
	if (err) {
		vbd_free(vbd);
		return err;
	}
	/* The frontend may have asked before we listened. */
	loop_post(store->loop, &vbd->pass);
	*out = vbd;
	return 0;
}

static void vbd_finish_close(struct vbd *vbd)
{
	void (*closed)(void *context) = vbd->closed;
	void *context = vbd->closed_context;

	ring_unmap(vbd);
	vbd_free(vbd);
	closed(context);
}

void vbd_close(struct vbd *vbd, void (*closed)(void *context), void *context)
{
	vbd->closing = true;
	vbd->closed = closed;
	vbd->closed_context = context;
	/* No more events; the pass comes when requests end. */
	loop_remove(vbd->store->loop, &vbd->event);
	loop_post(vbd->store->loop, &vbd->pass);
}

const struct vbd_config *vbd_config(const struct vbd *vbd)
{
	return &vbd->config;
}

const struct vbd_stats *vbd_stats(const struct vbd *vbd)
{
	return &vbd->stats;
}

const struct xenio *vbd_xenio(const struct vbd *vbd)
{
	return vbd->xenio;
}

uint32_t vbd_outstanding(const struct vbd *vbd)
{
	return vbd->outstanding;
}
