// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of requests, in passes. One pass takes what the frontend asked for
 * and what the store finished since the last one, and handles both together:
 *
 *	ring -> check -> [fetching] -> [waiting] -> [begun] -> store
 *	     -> [done] -> [finished] -> response [answered] -> published
 *
 * so that a pass costs one call to the module for each arena, one for copies,
 * one io_submit() and one notification, whatever the number of requests. A pass
 * runs as a task of the loop, after all events of a wake-up; it is bounded by the
 * ring's size.
 */
#include "vbd/queue.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

/* A guest can cause these: never more than a few. */
#define complain(queue, format, ...)						\
	do {									\
		if (log_limited((queue)->complaints))				\
			log_warning("domain %u, device %u: " format,		\
				    (queue)->config->domid, (queue)->config->devid, \
				    __VA_ARGS__);				\
	} while (0)

static void post(struct queue *queue)
{
	loop_post(queue->worker->loop, &queue->pass);
}

/* ---- answers ---- */

static void count_good(struct vbd_stats *stats, const struct request *request)
{
	uint64_t sectors = request->bytes >> SECTOR_SHIFT;

	stats_add(&stats->indirect, request->wire.indirect);
	switch (request->wire.op) {
	case BLKIF_READ:
		stats_add(&stats->reads, 1);
		stats_add(&stats->read_sectors, sectors);
		return;
	case BLKIF_DISCARD:
		stats_add(&stats->discards, 1);
		stats_add(&stats->discard_sectors, request->io.bytes >> SECTOR_SHIFT);
		return;
	default:
		stats_add(&stats->flushes, request->wire.op == BLKIF_FLUSH);
		stats_add(&stats->barriers, request->wire.op == BLKIF_BARRIER);
		stats_add(&stats->writes, sectors != 0);
		stats_add(&stats->write_sectors, sectors);
	}
}

static void count(struct vbd_stats *stats, const struct request *request)
{
	if (!request->error)
		count_good(stats, request);
	else if (request_is_read(request))
		stats_add(&stats->read_errors, 1);
	else
		stats_add(&stats->write_errors, 1);
}

/* It is no longer ours to do, answered or not. */
static void leave(struct queue *queue, struct request *request)
{
	queue->outstanding--;
	stats_add(&queue->stats.outstanding, -1ull);
	if (request != queue->barrier)
		return;
	queue->barrier = NULL;
	gate_over(&queue->member);
}

static uint32_t slot_of(const struct queue *queue, const struct request *request)
{
	return (uint32_t)(request - queue->requests);
}

/* The response overwrites a request, perhaps one that is in flight. */
static void respond(struct queue *queue, struct request *request)
{
	enum blkif_status status = blkif_status(request->error);

	journal_answer(queue->journal, slot_of(queue, request), queue->ring.rsp_prod, status);
	ring_respond(&queue->ring, request->wire.id, request->wire.op, status);
	kill_point();
	stats_add(&queue->stats.responses, 1);
	leave(queue, request);
	request_list_add(&queue->answered, request);
}

static void respond_finished(struct queue *queue)
{
	struct request *request;
	uint32_t good = 0;

	while ((request = request_list_take(&queue->finished)) != NULL) {
		good += !request->error;
		count(&queue->stats, request);
		respond(queue, request);
	}
	if (good)
		patience_earn(&queue->patience, good);
}

/* What the journal says of a request counts until its response is published. */
static void push_responses(struct queue *queue)
{
	bool notify = ring_push(&queue->ring) || queue->resuming;
	struct request *request;

	kill_point();
	if (notify) {
		stats_add(&queue->stats.notifies, 1);
		/* A frontend that is gone is noticed elsewhere. */
		queue->xenio->ops->event_send(queue->xenio);
	}
	queue->resuming = false;
	while ((request = request_list_take(&queue->answered)) != NULL) {
		journal_free(queue->journal, slot_of(queue, request));
		request_list_add(&queue->free, request);
	}
}

/* ---- store ---- */

/* Machine frames are nothing that an unprivileged process is told. */
static int grants_of(const struct io_source *source, const void *const *addresses,
		     unsigned int nr, struct io_grant *grants)
{
	const struct queue *queue = container_of(source, struct queue, source);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		grants[i] = (struct io_grant){ .domid = source->domid, .mfn = UINT64_MAX };
		grants[i].error = data_gref(&queue->data, addresses[i], &grants[i].gref);
	}
	return 0;
}

static const struct io_source_ops source_ops = { .grants = grants_of };

static void submit(struct request *request, enum io_op op, void (*done)(struct io *, int))
{
	struct queue *queue = request->queue;
	struct io *io = &request->io;

	io->op = op;
	io->worker = queue->worker;
	io->source = &queue->source;
	io->done = done;
	io->nr_hooks = 0;
	store_submit(queue->store, io);
}

/*
 * Linux's blkfront takes an error on an empty flush for "flush is not
 * supported" and reports success to the file system. A failed flush is
 * therefore not answered at all, and writes fail from now on. Nor is one that comes
 * after it: the store may say only once that it lost something.
 */
static void hold_flush(struct queue *queue, struct request *request, int error)
{
	if (store_fail(queue->store))
		log_error("domain %u, device %u: flush failed: %s; acknowledged writes may be "
			  "lost, so that all further writes are refused: check the store and "
			  "attach the disk anew",
			  queue->config->domid, queue->config->devid, strerror(-error));
	stats_add(&queue->stats.held, 1);
	leave(queue, request);
}

static void flush_done(struct io *io, int error)
{
	struct request *request = container_of(io, struct request, io);
	struct queue *queue = request->queue;

	if (error || atomic_load(&queue->store->flush_failed))
		hold_flush(queue, request, error);
	else if (request->bytes && !request->written)
		request_list_add(&queue->waiting, request);
	else
		request_list_add(&queue->finished, request);
	post(queue);
}

static void submit_flush(struct request *request)
{
	request->io.flags = 0;
	request->io.offset = 0;
	request->io.bytes = 0;
	request->io.nr_iov = 0;
	submit(request, IO_FLUSH, flush_done);
}

static void data_io_done(struct io *io, int error)
{
	struct request *request = container_of(io, struct request, io);
	struct queue *queue = request->queue;

	/* "Not supported" would mean the operation itself, to a frontend. */
	request->error = error == -EOPNOTSUPP ? -EIO : error;
	if (error)
		complain(queue, "%s of %u bytes at sector %llu failed: %s",
			 request_is_read(request) ? "read" : "write", request->bytes,
			 (unsigned long long)request->wire.sector, strerror(-error));
	request_list_add(&queue->done, request);
	post(queue);
}

static void submit_data(struct request *request)
{
	request->nr_iov = 0;
	request->mover->ops->gather(request->mover, request);
	stats_add(&request->queue->stats.merged,
		  request->wire.nr_segments - (unsigned int)request->nr_iov);
	request->io.flags = 0;
	request->io.offset = request->wire.sector << SECTOR_SHIFT;
	request->io.bytes = request->bytes;
	request->io.iov = request->iov;
	request->io.nr_iov = (unsigned int)request->nr_iov;
	submit(request, request_is_read(request) ? IO_READ : IO_WRITE, data_io_done);
}

static void discard_done(struct io *io, int error)
{
	struct request *request = container_of(io, struct request, io);

	/* Here "not supported" is what it says: the frontend will ask no more. */
	request->error = error;
	request_list_add(&request->queue->finished, request);
	post(request->queue);
}

/* ---- requests ---- */

static struct request_limits limits(const struct queue *queue)
{
	const struct image *image = queue->store->image;

	return (struct request_limits){
		.sectors = __atomic_load_n(&image->sectors, __ATOMIC_RELAXED),
		.block_sectors = image->sector_bytes >> SECTOR_SHIFT,
		.readonly = image->readonly || queue->config->readonly,
		.discard = queue->config->discard && image->can_discard,
		.discard_secure = image->discard_secure,
		.discard_sectors = image->discard_granularity >> SECTOR_SHIFT,
		.discard_offset = image->discard_alignment >> SECTOR_SHIFT,
	};
}

static void start_discard(struct queue *queue, struct request *request)
{
	const struct request_limits limit = limits(queue);
	uint64_t sector = 0, nr = 0;

	request->error = request_discard_range(request, &limit, &sector, &nr);
	request->io.flags = limit.discard_secure && request->wire.flags & BLKIF_DISCARD_SECURE ?
			    IO_SECURE : 0;
	request->io.offset = sector << SECTOR_SHIFT;
	request->io.bytes = nr << SECTOR_SHIFT;
	request->io.nr_iov = 0;
	/* Nothing whole is in it: done. */
	if (request->error || !nr)
		request_list_add(&queue->finished, request);
	else
		submit(request, IO_DISCARD, discard_done);
}

static void start_request(struct queue *queue, struct request *request)
{
	switch (request->wire.op) {
	case BLKIF_FLUSH:
		submit_flush(request);
		break;
	case BLKIF_BARRIER:
		queue->barrier = request;
		gate_ask(&queue->member);
		break;
	case BLKIF_DISCARD:
		start_discard(queue, request);
		break;
	default:
		request_list_add(&queue->waiting, request);
	}
}

static void refuse(struct queue *queue, struct request *request)
{
	complain(queue, "request refused (operation %u, %u segments, sector %llu): %s",
		 request->wire.op, request->wire.nr_segments,
		 (unsigned long long)request->wire.sector, strerror(-request->error));
	stats_add(&queue->stats.bad_requests, 1);
	patience_spend(&queue->patience);
	respond(queue, request);
}

/* All of it is known now. */
static void check_and_start(struct queue *queue, struct request *request,
			    const struct request_limits *limit)
{
	if (!request->error)
		request->error = request_check_segments(request, limit);
	if (request->error)
		refuse(queue, request);
	else
		start_request(queue, request);
}

static int check(const struct queue *queue, const struct request *request,
		 const struct request_limits *limit)
{
	int err = request_check(request, limit);

	if (!err && !request_is_read(request) && !request_is_flush(request) &&
	    atomic_load(&queue->store->flush_failed))
		err = -EIO;
	return err;
}

/* Our copy is in request->wire. */
static void begin_request(struct queue *queue, struct request *request)
{
	const struct request_limits limit = limits(queue);

	stats_add(&queue->stats.requests, 1);
	stats_add(&queue->stats.outstanding, 1);
	queue->outstanding++;
	request->bytes = 0;
	request->mover = NULL;
	request->avoid = 0;
	request->again = request->written = false;
	request->segments = request->wire.indirect ? request->indirect : request->wire.segments;
	request->error = check(queue, request, &limit);
	if (!request->error && request->wire.indirect)
		request_list_add(&queue->fetching, request);
	else
		check_and_start(queue, request, &limit);
}

static void take_request(struct queue *queue)
{
	struct request *request = request_list_take(&queue->free);
	uint32_t index = queue->ring.req_cons;
	struct blkif_entry copy;

	queue->asked = true;
	ring_take(&queue->ring, &copy);
	journal_take(queue->journal, slot_of(queue, request), index, &copy);
	ring_parse(&queue->ring, &copy, &request->wire);
	begin_request(queue, request);
}

/*
 * As if they were just taken, and before what is in the ring. No other queue's
 * barrier stops them: they were taken before it, or may have been.
 */
static void take_resumed(struct queue *queue)
{
	struct request *request;

	while (!queue->barrier && (request = request_list_take(&queue->resumed)) != NULL) {
		stats_add(&queue->stats.resumed, 1);
		/* A flush that failed is not answered, by whomever. */
		if (atomic_load(&queue->store->flush_failed) &&
		    (request->wire.op == BLKIF_FLUSH || request->wire.op == BLKIF_BARRIER))
			stats_add(&queue->stats.held, 1);
		else
			begin_request(queue, request);
	}
}

/* Nothing is taken after a barrier until it is over, nor while another one runs. */
static void take_requests(struct queue *queue)
{
	bool was_halted = queue->ring.halted;
	int waiting = ring_waiting(&queue->ring);

	if (waiting < 0 && !was_halted)
		log_error("domain %u, device %u: the frontend's ring index is out of range; "
			  "its ring is ignored until it reconnects",
			  queue->config->domid, queue->config->devid);
	take_resumed(queue);
	while (waiting-- > 0 && queue->free.first && !queue->member.paused && !queue->barrier)
		take_request(queue);
}

/* ---- data ---- */

/* The segments of indirect requests, all by one call; as many as have room. */
static void fetch_segments(struct queue *queue)
{
	const struct request_limits limit = limits(queue);
	struct request_list fetched;
	struct request *request;

	if (!queue->fetching.first)
		return;
	request_list_init(&fetched);
	while ((request = queue->fetching.first) != NULL) {
		if (!mover_copy_fetch(&queue->data.copy, request))
			break;
		request_list_add(&fetched, request_list_take(&queue->fetching));
	}
	mover_copy_run(&queue->data.copy);
	while ((request = request_list_take(&fetched)) != NULL) {
		mover_copy_fetched(&queue->data.copy, request);
		check_and_start(queue, request, &limit);
	}
}

/* In their order; who finds no room keeps those behind it waiting. */
static void begin_waiting(struct queue *queue)
{
	struct request *request;
	int err;

	while ((request = queue->waiting.first) != NULL) {
		err = data_begin(&queue->data, request);
		if (err == -EAGAIN) {
			stats_add(&queue->stats.waits, 1);
			return;
		}
		request_list_take(&queue->waiting);
		request->error = err;
		request_list_add(err ? &queue->finished : &queue->begun, request);
	}
}

static void move_data(struct queue *queue)
{
	struct request *request;
	int err;

	for (request = queue->done.first; request; request = request->next)
		data_end(&queue->data, request);
	err = data_run(&queue->data);
	if (err)
		log_error("domain %u, device %u: /dev/xen/tap refused a batch: %s",
			  queue->config->domid, queue->config->devid, strerror(-err));
}

/* Nothing holds the request's pages any more. */
static void finish(struct queue *queue, struct request *request)
{
	data_release(&queue->data, request);
	if (queue->waiting.first || queue->fetching.first)
		post(queue);
	if (request->again) {
		request->again = false;
		request->error = 0;
		request_list_add(&queue->waiting, request);
		post(queue);
	} else if (request->wire.op == BLKIF_BARRIER && !request->error) {
		request->written = true;
		submit_flush(request);
	} else {
		request_list_add(&queue->finished, request);
	}
}

static void finish_done(struct queue *queue)
{
	struct request *request;

	while ((request = request_list_take(&queue->done)) != NULL)
		if (!request->draining)
			finish(queue, request);
}

static void bad_grants(struct queue *queue, int err)
{
	complain(queue, "cannot get at a request's pages: %s", strerror(-err));
	patience_spend(&queue->patience);
}

/* Requests with all their data go to the store; others give back what they have. */
static void start_begun(struct queue *queue)
{
	struct request *request;
	int err;

	while ((request = request_list_take(&queue->begun)) != NULL) {
		err = data_ready(&queue->data, request);
		if (!err) {
			submit_data(request);
			continue;
		}
		if (!request->again)
			bad_grants(queue, err);
		request->error = err;
		request_list_add(&queue->done, request);
		post(queue);
	}
}

/* ---- barriers ---- */

static void take_turn(struct gate_member *member)
{
	struct queue *queue = container_of(member, struct queue, member);

	submit_flush(queue->barrier);
	post(queue);
}

static void tell_gate(struct queue *queue)
{
	gate_quiet(&queue->member, queue->outstanding == (queue->barrier ? 1 : 0));
}

static void gate_changed(struct gate_member *member)
{
	struct queue *queue = container_of(member, struct queue, member);

	if (queue->closed)
		tell_gate(queue);
	else
		post(queue);
}

/* ---- events ---- */

static void drain_ready(struct loop_source *source)
{
	struct drain_source *drain = container_of(source, struct drain_source, source);
	struct queue *queue = drain->queue;
	struct xenio_drained records[32];
	int nr = queue->xenio->ops->drained(queue->xenio, drain->arena, records, 32);
	int i;

	for (i = 0; i < nr; i++) {
		struct request *request = data_drained(&queue->data, drain->arena, &records[i]);

		if (request)
			finish(queue, request);
	}
	post(queue);
}

static void event_ready(struct loop_source *source)
{
	struct queue *queue = container_of(source, struct queue, event);
	int err = queue->xenio->ops->event_take(queue->xenio);

	if (err) {
		/* Without events there is no disk; never spin on a bad one. */
		log_error("domain %u, device %u: cannot read the event channel: %s",
			  queue->config->domid, queue->config->devid, strerror(-err));
		loop_remove(queue->worker->loop, source);
		return;
	}
	stats_add(&queue->stats.events, 1);
	queue->unmask_due = queue->event_new = true;
	post(queue);
}

/* An event may come after its requests were taken, but then there were some. */
static void judge_event(struct queue *queue)
{
	if (!queue->event_new)
		return;
	if (!queue->asked)
		patience_spend(&queue->patience);
	queue->event_new = queue->asked = false;
}

static void rested(struct timer *rest)
{
	post(container_of(rest, struct queue, patience.rest));
}

static void unmask(struct queue *queue)
{
	if (!queue->unmask_due)
		return;
	queue->unmask_due = false;
	queue->xenio->ops->event_unmask(queue->xenio);
}

/* Taken or answered, in all. */
static uint64_t steps(const struct queue *queue)
{
	return queue->stats.requests + queue->stats.responses;
}

/*
 * The event stays masked as long as the ring gives us work anyway, or is looked at again
 * and again, and for good once the frontend broke the ring's rules.
 */
static void wait_for_more(struct queue *queue, bool worked)
{
	if (queue->member.paused || queue->barrier)
		return;
	judge_event(queue);
	if (patience_is_over(&queue->patience, &queue->worker->timers))
		return;
	if (queue->poller.max_ns && !queue->ring.halted &&
	    poller_again(&queue->poller, worked, clock_ns())) {
		stats_add(&queue->stats.polls, 1);
		post(queue);
		return;
	}
	if (ring_ask_event(&queue->ring, 1))
		post(queue);
	else if (!queue->ring.halted)
		unmask(queue);
}

static void close_if_idle(struct queue *queue);

static void run_pass(struct loop_task *task)
{
	struct queue *queue = container_of(task, struct queue, pass);
	uint64_t before = steps(queue);

	if (!queue->running)
		return;
	stats_add(&queue->stats.passes, 1);
	news_note(&queue->news);
	if (!queue->closing && !patience_rests(&queue->patience))
		take_requests(queue);
	fetch_segments(queue);
	begin_waiting(queue);
	move_data(queue);
	finish_done(queue);
	respond_finished(queue);
	start_begun(queue);
	respond_finished(queue);
	push_responses(queue);
	kill_point();
	aio_submit(&queue->worker->aio);

	tell_gate(queue);
	if (queue->closing)
		close_if_idle(queue);
	else
		wait_for_more(queue, steps(queue) != before);
}

/* ---- life ---- */

int queue_listen(void *context)
{
	struct queue *queue = context;
	struct loop *loop = queue->worker->loop;
	int err = loop_add(loop, &queue->event);
	int i;

	for (i = 0; i < XENIO_NR_ARENAS && !err; i++)
		if (queue->drains[i].source.fd >= 0)
			err = loop_add(loop, &queue->drains[i].source);
	return err;
}

int queue_ignore(void *context)
{
	struct queue *queue = context;
	struct loop *loop = queue->worker->loop;
	int i;

	loop_remove(loop, &queue->event);
	for (i = 0; i < XENIO_NR_ARENAS; i++)
		loop_remove(loop, &queue->drains[i].source);
	loop_unpost(loop, &queue->pass);
	return 0;
}

int queue_run(void *context)
{
	struct queue *queue = context;

	queue->running = true;
	/* The frontend may have asked before we listened. */
	post(queue);
	return 0;
}

/* Kept grants may have pages that still drain. */
static void close_if_idle(struct queue *queue)
{
	if (queue->outstanding)
		return;
	data_close(&queue->data);
	data_run(&queue->data);
	if (!data_is_closed(&queue->data))
		return;
	queue->xenio->ops->ring_unmap(queue->xenio, queue->config->nr_pages);
	patience_stop(&queue->patience, &queue->worker->timers);
	news_stop(&queue->news);
	queue_ignore(queue);
	queue->closed = true;
	/* The last word of this thread: the memory is gone soon after. */
	worker_send(queue->home, &queue->closed_note);
}

static void on_close(struct note *note)
{
	struct queue *queue = container_of(note, struct queue, close);

	queue->closing = true;
	/* No more events; the pass comes when requests end. */
	loop_remove(queue->worker->loop, &queue->event);
	post(queue);
}

static void on_closed(struct note *note)
{
	struct queue *queue = container_of(note, struct queue, closed_note);

	queue->on_closed(queue);
}

void queue_close(struct queue *queue)
{
	worker_send(queue->worker, &queue->close);
}

static int make_requests(struct queue *queue, uint32_t entries)
{
	uint32_t i;

	queue->requests = calloc(entries, sizeof(*queue->requests));
	queue->segments = calloc((size_t)entries * BLKIF_INDIRECT_MAX, sizeof(*queue->segments));
	queue->iovs = calloc((size_t)entries * BLKIF_INDIRECT_MAX, sizeof(*queue->iovs));
	queue->kept = calloc((size_t)entries * BLKIF_INDIRECT_MAX, sizeof(*queue->kept));
	if (!queue->requests || !queue->segments || !queue->iovs || !queue->kept)
		return -ENOMEM;
	for (i = 0; i < entries; i++) {
		struct request *request = &queue->requests[i];

		request->queue = queue;
		request->indirect = queue->segments + (size_t)i * BLKIF_INDIRECT_MAX;
		request->iov = queue->iovs + (size_t)i * BLKIF_INDIRECT_MAX;
		request->kept = queue->kept + (size_t)i * BLKIF_INDIRECT_MAX;
		request_list_add(&queue->free, request);
	}
	return 0;
}

/* Put what the backend before us left where it belongs. */
static void sort_found(struct queue *queue, const struct journal_found *found)
{
	uint32_t i;

	request_list_init(&queue->free);
	for (i = 0; i < found->nr_free; i++)
		request_list_add(&queue->free, &queue->requests[found->free[i]]);
	for (i = 0; i < found->nr_answered; i++)
		request_list_add(&queue->answered, &queue->requests[found->answered[i]]);
	for (i = 0; i < found->nr; i++) {
		struct request *request = &queue->requests[found->slots[i]];
		struct blkif_entry copy = journal_wire(queue->journal, found->slots[i]);

		ring_parse(&queue->ring, &copy, &request->wire);
		request_list_add(&queue->resumed, request);
	}
	queue->nr_resumed = found->nr;
}

static int resume_ring(struct queue *queue)
{
	uint32_t entries = queue->ring.entries;
	uint16_t *slots = calloc(3 * (size_t)entries, sizeof(*slots));
	struct journal_found found = {
		.slots = slots,
		.answered = slots ? slots + entries : NULL,
		.free = slots ? slots + 2 * entries : NULL,
	};
	int err = slots ? journal_recover(queue->journal, &queue->ring, &found) : -ENOMEM;

	if (!err)
		sort_found(queue, &found);
	else
		log_error("domain %u, device %u: what its ring and the journal say of the requests "
			  "in flight does not fit together: %s", queue->config->domid,
			  queue->config->devid, strerror(-err));
	/* Ours died after it answered and before it said so, perhaps. */
	queue->resuming = true;
	free(slots);
	return err;
}

static int attach_ring(struct queue *queue, const struct vbd_queue *config)
{
	const struct vbd_config *vbd = queue->config;
	void *ring;
	int err;

	err = queue->xenio->ops->ring_map(queue->xenio, vbd->domid, config->grefs, vbd->nr_pages,
					  &ring);
	if (err) {
		log_error("domain %u, device %u: cannot map the ring: %s", vbd->domid, vbd->devid,
			  strerror(-err));
		return err;
	}
	err = ring_attach(&queue->ring, vbd->protocol, ring, vbd->nr_pages);
	if (err) {
		log_error("domain %u, device %u: the frontend's ring indices make no sense",
			  vbd->domid, vbd->devid);
		return err;
	}
	if (queue->journal && vbd->resume)
		return resume_ring(queue);
	journal_queue_init(queue->journal, queue->ring.req_cons);
	return 0;
}

static void set_up(struct queue *queue, const struct vbd_config *config,
		   const struct vbd_place *place)
{
	int i;

	*queue = (struct queue){
		.config = config,
		.worker = place->worker,
		.xenio = place->xenio,
		.source = { .ops = &source_ops, .domid = config->domid, .devid = config->devid },
		.member = { .worker = place->worker, .turn = take_turn, .changed = gate_changed },
		.event = { .fd = place->xenio->event_fd, .ready = event_ready },
		.pass = { .run = run_pass },
		.close = { .run = on_close },
		.closed_note = { .run = on_closed },
		.complaints = place->complaints,
	};
	patience_init(&queue->patience, rested);
	for (i = 0; i < XENIO_NR_ARENAS; i++)
		queue->drains[i] = (struct drain_source){
			.source = { .fd = place->xenio->drain_fd[i], .ready = drain_ready },
			.queue = queue,
			.arena = (enum xenio_arena)i,
		};
	request_list_init(&queue->free);
	request_list_init(&queue->resumed);
	request_list_init(&queue->answered);
	request_list_init(&queue->fetching);
	request_list_init(&queue->waiting);
	request_list_init(&queue->begun);
	request_list_init(&queue->done);
	request_list_init(&queue->finished);
}

int queue_init(struct queue *queue, const struct vbd_config *config, unsigned int index,
	       struct store *store, struct worker *home, const struct vbd_place *place)
{
	const struct data_config data = {
		.domid = config->domid, .way = config->way, .copy_max = config->copy_max,
		.persistent = config->persistent, .nr_queues = config->nr_queues,
	};
	uint32_t entries = ring_entries(config->protocol, config->nr_pages);
	int err;

	set_up(queue, config, place);
	poller_init(&queue->poller, config->poll_ns);
	news_init(&queue->news, config, place->worker, home);
	queue->store = store;
	queue->home = home;
	queue->journal = journal_queue(config->journal, index);
	err = data_init(&queue->data, &data, queue->xenio, entries, config->nr_pages,
			&queue->stats);
	if (!err)
		err = make_requests(queue, entries);
	if (!err)
		err = attach_ring(queue, &config->queues[index]);
	return err;
}

void queue_uninit(struct queue *queue)
{
	queue->xenio->ops->destroy(queue->xenio);
	data_uninit(&queue->data);
	free(queue->requests);
	free(queue->segments);
	free(queue->iovs);
	free(queue->kept);
}
