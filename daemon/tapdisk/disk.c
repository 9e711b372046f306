// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/disk.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "filter/filter.h"
#include "image/lock.h"
#include "tapdisk/ctl_proto.h"
#include "tapdisk/keep.h"
#include "tapdisk/xentop.h"
#include "vbd/journal.h"

/* Operations the kernel holds for a disk: a few full rings of one page. */
#define AIO_DEPTH 256

/* A migration within the host: how soon the old domain's disk may be gone. */
#define LOCK_RETRY_NS	250000000ull
#define LOCK_TRIES	240		/* a minute, then somebody should look */

static void reap_frontends(struct loop_task *task);

/* Lines in ten seconds. Most guests have one queue, and none has much to say of others. */
static void limit_log(struct disk *disk)
{
	unsigned int i;

	disk->connects.burst = 5;
	for (i = 0; i < VBD_QUEUES_MAX; i++)
		disk->complaints[i].burst = i ? 2 : 10;
}

int disk_attach(struct loop *loop, int minor, int marker_fd, struct disk **out)
{
	struct disk *disk;

	if (flock(marker_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	disk->loop = loop;
	disk->minor = minor;
	disk->marker_fd = marker_fd;
	disk->image.fd = -1;
	disk->reap.run = reap_frontends;
	limit_log(disk);
	*out = disk;
	return 0;
}

static void frontend_free(struct frontend *frontend)
{
	keep_unmap(frontend->journal, frontend->journal_bytes);
	fd_close(&frontend->journal_fd);
	fd_close(&frontend->xentop_fd);
	free(frontend);
}

/* It was closed as for another tapdisk, and there will be none. */
static void end_journal(const struct frontend *frontend)
{
	if (frontend->journal && frontend->journal->state == JOURNAL_SERVING)
		journal_end(frontend->journal);
}

void disk_end_left(struct disk *disk)
{
	const struct frontend *frontend;

	for (frontend = disk->left; frontend; frontend = frontend->next)
		end_journal(frontend);
}

static void forget_left(struct disk *disk)
{
	while (disk->left) {
		struct frontend *frontend = disk->left;

		disk->left = frontend->next;
		frontend_free(frontend);
	}
}

static void forget_left_of(struct disk *disk, uint32_t domid, uint32_t devid)
{
	struct frontend **p = &disk->left;

	while (*p) {
		struct frontend *frontend = *p;

		if (frontend->domid != domid || frontend->devid != devid) {
			p = &frontend->next;
			continue;
		}
		*p = frontend->next;
		frontend_free(frontend);
	}
}

/* Its guest will go on; tapback asks for the journal if it is started anew meanwhile. */
static void leave(struct frontend *frontend)
{
	struct disk *disk = frontend->disk;

	forget_left_of(disk, frontend->domid, frontend->devid);
	fd_close(&frontend->xentop_fd);
	frontend->vbd = NULL;
	frontend->closed = NULL;
	frontend->next = disk->left;
	disk->left = frontend;
}

/* Whether it was closed for a while, and not for good. */
static bool is_left(const struct frontend *frontend)
{
	return frontend->disk->pausing && frontend->journal &&
	       frontend->journal->state == JOURNAL_SERVING;
}

static void clear_paused(struct disk *disk)
{
	free(disk->paused.type);
	free(disk->paused.path);
	disk->paused.type = disk->paused.path = NULL;
	disk->paused.sectors = 0;
}

void disk_detach(struct disk *disk)
{
	loop_unpost(disk->loop, &disk->reap);
	clear_paused(disk);
	forget_left(disk);
	fd_close(&disk->marker_fd);
	free(disk);
}

/* The command line's are above: they see what the others make of it. */
static int push_filters(struct disk *disk, const struct disk_options *options, char *why,
			size_t why_size)
{
	const int no_fds[1] = { -1 };
	const struct filter_context inner = {
		.home = &disk->worker,
		.fds = options->nr_filter_fds ? options->filter_fds : no_fds,
		.nr_fds = options->nr_filter_fds,
	};
	const struct filter_context outer = { .home = &disk->worker };
	int err = filters_push(&disk->store, options->filters, options->nr_filters, &inner, why,
			       why_size);

	if (err)
		return err;
	return filters_push(&disk->store, options->outer_filters, options->nr_outer_filters,
			    &outer, why, why_size);
}

/* What is larger than guests know stays so until "resize". */
static int keep_size(struct disk *disk, const char *path, char *why, size_t why_size)
{
	if (!disk_is_paused(disk))
		return 0;
	if (disk->image.sectors < disk->paused.sectors) {
		snprintf(why, why_size, "%s has %llu sectors of 512 bytes, and guests were told "
			 "%llu: a disk cannot shrink", path,
			 (unsigned long long)disk->image.sectors,
			 (unsigned long long)disk->paused.sectors);
		return -EINVAL;
	}
	disk->image.sectors = disk->paused.sectors;
	return 0;
}

static int open_store(struct disk *disk, const struct disk_options *options, int fd,
		      char *why, size_t why_size)
{
	int err = image_open(&disk->image, fd, options->readonly, options->path, why, why_size);

	if (err)
		return err;
	err = keep_size(disk, options->path, why, why_size);
	if (!err)
		err = image_set_sector_bytes(&disk->image, options->sector_bytes, options->path, why,
				     why_size);
	if (!err) {
		err = store_open(&disk->store, &disk->image);
		if (err)
			snprintf(why, why_size, "cannot open the store: %s", strerror(-err));
	}
	if (!err) {
		err = push_filters(disk, options, why, why_size);
		if (err)
			store_close(&disk->store);
	}
	if (err)
		/* The descriptor stays the caller's. */
		disk->image.fd = -1;
	return err;
}

static int set_names(struct disk *disk, const struct disk_options *options)
{
	disk->type = strdup(options->type);
	disk->path = strdup(options->path);
	return disk->type && disk->path ? 0 : -ENOMEM;
}

static void clear_names(struct disk *disk)
{
	free(disk->type);
	free(disk->path);
	disk->type = disk->path = NULL;
}

/* ---- the lock of an image that another disk still has ---- */

static void try_lock(struct timer *timer)
{
	struct disk *disk = (struct disk *)((char *)timer - offsetof(struct disk, lock));

	if (image_lock(disk->image.fd, disk->image.readonly) != -EBUSY) {
		disk->locked = true;
		log_info("%s is no longer in use by another disk", disk->path);
		return;
	}
	if (++disk->lock_tries == LOCK_TRIES)
		log_error("%s is still in use by another disk, a minute after this one was "
			  "attached for a migration; its guest waits until that is detached",
			  disk->path);
	timer_start(&disk->worker.timers, timer, clock_ns() + LOCK_RETRY_NS);
}

static void begin_lock(struct disk *disk, bool later)
{
	disk->locked = !later;
	disk->lock = (struct timer){ .run = try_lock };
	disk->lock_tries = 0;
	if (later)
		timer_start(&disk->worker.timers, &disk->lock, clock_ns() + LOCK_RETRY_NS);
}

/* ---- local programs ---- */

/* For a warning: any of them will do. */
static int64_t any_domain(void *context)
{
	const struct disk *disk = context;

	return disk->frontends ? (int64_t)vbd_config(disk->frontends->vbd)->domid : -1;
}

static bool listens(int fd)
{
	socklen_t size = sizeof(int);
	int yes = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) && yes;
}

static int begin_nbd(struct disk *disk, int fd)
{
	const struct nbd_config config = {
		.store = &disk->store, .loop = disk->loop, .path = disk->path,
		.peer_uid = 0, .user = any_domain, .context = disk,
	};

	if (fd < 0)
		return 0;
	return listens(fd) ? nbd_server_create(&config, fd, &disk->nbd) : -EINVAL;
}

static void nbd_closed(void *context)
{
	struct disk *disk = context;

	disk->nbd = NULL;
	loop_post(disk->loop, &disk->reap);
}

/* ---- open and close ---- */

/* What disk_open() has begun. @fd stays the caller's. */
static void undo_open(struct disk *disk)
{
	store_close(&disk->store);
	clear_names(disk);
	worker_uninit(&disk->worker);
	disk->image.fd = -1;
}

int disk_open(struct disk *disk, const struct disk_options *options, int fd,
	      char *why, size_t why_size)
{
	int err;

	if (disk->type) {
		snprintf(why, why_size, "minor %d has an image open: %s", disk->minor, disk->path);
		return -EALREADY;
	}
	err = worker_init(&disk->worker, disk->loop, AIO_DEPTH);
	if (err) {
		snprintf(why, why_size, "cannot set up asynchronous I/O: %s%s", strerror(-err),
			 err == -EAGAIN ? "; raise the sysctl fs.aio-max-nr" : "");
		return err;
	}
	err = set_names(disk, options);
	if (err)
		snprintf(why, why_size, "no memory");
	else
		err = open_store(disk, options, fd, why, why_size);
	/* Before anybody is served. */
	if (!err && options->flush_failed && store_fail(&disk->store))
		log_warning("%s: a flush failed before this tapdisk took over, so that all writes "
			    "are refused: check the store and attach the disk anew", options->path);
	if (!err) {
		err = begin_nbd(disk, options->nbd_fd);
		if (err)
			snprintf(why, why_size, "cannot serve NBD: %s", strerror(-err));
	}
	if (err) {
		undo_open(disk);
		return err;
	}
	clear_paused(disk);
	disk->way = options->way;
	disk->copy_max = options->copy_max;
	disk->poll_ns = options->poll_ns;
	begin_lock(disk, options->lock_later);
	disk->io_lock = keep_lock(disk->image.fd);
	log_info("serving %s:%s, %llu sectors of 512 bytes%s", disk->type, disk->path,
		 (unsigned long long)disk->image.sectors, options->readonly ? ", read-only" : "");
	return 0;
}

static void stop_threads(struct disk *disk)
{
	while (disk->nr_threads) {
		struct thread *thread = disk->threads[--disk->nr_threads];

		thread_stop(thread);
		free(thread);
	}
}

static void leave_names(struct disk *disk)
{
	if (!disk->pausing) {
		clear_names(disk);
		return;
	}
	log_info("%s:%s is closed for a while; its guests wait", disk->type, disk->path);
	disk->paused.type = disk->type;
	disk->paused.path = disk->path;
	disk->paused.sectors = disk->image.sectors;
	disk->type = disk->path = NULL;
}

/* disk_close() goes on once the last frontend and the last client are gone. */
static void close_if_idle(struct disk *disk)
{
	void (*idle)(void *context) = disk->idle;

	if (!idle || disk->frontends || disk->gone || disk->nbd)
		return;
	if (disk->type) {
		timer_stop(&disk->worker.timers, &disk->lock);
		stop_threads(disk);
		store_close(&disk->store);
		worker_uninit(&disk->worker);
		leave_names(disk);
		image_close(&disk->image);
	}
	if (!disk->pausing) {
		if (disk->how == VBD_END)
			disk_end_left(disk);
		forget_left(disk);
	}
	disk->pausing = false;
	disk->how = VBD_END;
	disk->idle = NULL;
	idle(disk->idle_context);
}

/* The last one may take the disk with it. */
static void reap_frontends(struct loop_task *task)
{
	struct disk *disk = (struct disk *)((char *)task - offsetof(struct disk, reap));

	while (disk->gone) {
		struct frontend *frontend = disk->gone;

		disk->gone = frontend->next;
		if (frontend->closed)
			frontend->closed(frontend->closed_context);
		if (is_left(frontend)) {
			leave(frontend);
			continue;
		}
		if (disk->how == VBD_END)
			end_journal(frontend);
		frontend_free(frontend);
	}
	close_if_idle(disk);
}

/* Called by the worker, which has to be there when this returns. */
static void frontend_closed(void *context)
{
	struct frontend *frontend = context;
	struct disk *disk = frontend->disk;
	struct frontend **p;

	for (p = &disk->frontends; *p != frontend; p = &(*p)->next)
		;
	*p = frontend->next;
	frontend->next = disk->gone;
	disk->gone = frontend;
	loop_post(disk->loop, &disk->reap);
}

static void frontend_close(struct frontend *frontend)
{
	if (frontend->closing)
		return;
	frontend->closing = true;
	vbd_close(frontend->vbd, frontend->disk->how, frontend_closed, frontend);
}

int disk_close(struct disk *disk, enum vbd_end how, void (*idle)(void *context), void *context)
{
	struct frontend *frontend;

	if (disk->idle)
		return -EALREADY;
	clear_paused(disk);
	disk->how = how;
	disk->idle = idle;
	disk->idle_context = context;
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		frontend_close(frontend);
	if (disk->nbd)
		nbd_server_close(disk->nbd, nbd_closed, disk);
	close_if_idle(disk);
	return 0;
}

int disk_pause(struct disk *disk, void (*idle)(void *context), void *context)
{
	const struct frontend *frontend;

	if (disk->idle)
		return -EALREADY;
	if (!disk->type)
		return -ENODEV;
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		if (!frontend->journal && !frontend->closing)
			return -EOPNOTSUPP;
	disk->pausing = true;
	return disk_close(disk, VBD_LEAVE, idle, context);
}

void disk_pause_for_good(struct disk *disk)
{
	disk->pausing = false;
	disk->how = VBD_END;
}

int disk_set_paused(struct disk *disk, const char *type, const char *path, uint64_t sectors)
{
	if (disk->type || disk_is_paused(disk))
		return -EALREADY;
	disk->paused.type = strdup(type);
	disk->paused.path = strdup(path);
	disk->paused.sectors = sectors;
	if (disk->paused.type && disk->paused.path)
		return 0;
	clear_paused(disk);
	return -ENOMEM;
}

static struct frontend *find(struct frontend *list, uint32_t domid, uint32_t devid)
{
	while (list && (list->domid != domid || list->devid != devid))
		list = list->next;
	return list;
}

const struct frontend *disk_frontend(const struct disk *disk, uint32_t domid, uint32_t devid)
{
	const struct frontend *frontend = find(disk->frontends, domid, devid);

	return frontend ? frontend : find(disk->left, domid, devid);
}

/* What its guest has asked for is done; of one that closes, what was taken. */
static bool frontend_is_quiet(const struct frontend *frontend)
{
	if (frontend->closing)
		return !vbd_stats(frontend->vbd).outstanding;
	return vbd_is_quiet(frontend->vbd);
}

/*
 * A migration within the host: the old domain runs no more, but what it asked for may
 * still be on its way, here or in the tapdisk that has the image locked, and would
 * overwrite what the new one writes. What is resumed was there before, and is not
 * kept waiting.
 */
static bool others_use_it(const struct disk *disk, const struct vbd_config *config)
{
	const struct frontend *frontend;

	if (disk->image.readonly || config->readonly ||
	    (config->journal && config->journal->state == JOURNAL_SERVING))
		return false;
	if (!disk->locked)
		return true;
	for (frontend = disk->frontends; frontend; frontend = frontend->next)
		if (frontend->domid != config->domid && !frontend_is_quiet(frontend))
			return true;
	return false;
}

static int connect_check(const struct disk *disk, const struct vbd_config *config)
{
	if (disk->pausing || disk_is_paused(disk))
		return -EBUSY;
	if (!disk->type || disk->idle)
		return -ENODEV;
	return find(disk->frontends, config->domid, config->devid) ? -EALREADY : 0;
}

/* ---- connect ---- */

/* One more thread. 0 or -errno. */
static int add_thread(struct disk *disk)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	int err = thread ? thread_start(thread, AIO_DEPTH) : -ENOMEM;

	if (err) {
		free(thread);
		return err;
	}
	disk->threads[disk->nr_threads++] = thread;
	return 0;
}

/*
 * The worker of queue @nr: another one for each, as long as there are
 * processors for them. The first is the main thread's.
 */
static struct worker *worker_for(struct disk *disk, unsigned int nr)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int which = nr % (cpus > 0 ? (unsigned int)cpus : 1);
	int err = 0;

	while (!err && disk->nr_threads < which)
		err = add_thread(disk);
	if (err)
		log_warning("cannot start a thread for queue %u, it shares one: %s", nr,
			    strerror(-err));
	if (!which || !disk->nr_threads)
		return &disk->worker;
	return &disk->threads[(err ? 1 : which) - 1]->worker;
}

static void close_fds(struct xenio_fds *fds, unsigned int nr)
{
	while (nr--) {
		fd_close(&fds[nr].tap[XENIO_RW]);
		fd_close(&fds[nr].tap[XENIO_RO]);
		fd_close(&fds[nr].gntdev);
		fd_close(&fds[nr].evtchn);
	}
}

/* A place for each queue. Takes over @fds. 0 or -errno. */
static int make_places(struct disk *disk, const struct vbd_config *config,
		       struct xenio_fds *fds, struct vbd_place *places)
{
	struct xenio_shape shape;
	unsigned int i;
	int err = 0;

	vbd_shape(config, &shape);
	for (i = 0; i < config->nr_queues && !err; i++) {
		bool copies = fds[i].gntdev >= 0;

		places[i].worker = worker_for(disk, i);
		places[i].complaints = &disk->complaints[i];
		err = (copies ? xenio_gntdev_create : xenio_xentap_create)
			(&fds[i], &shape, config->domid, config->queues[i].port,
			 &places[i].xenio);
	}
	if (!err)
		return 0;
	for (i--; i--;)
		places[i].xenio->ops->destroy(places[i].xenio);
	close_fds(fds, config->nr_queues);
	return err;
}

static int map_journal(struct disk *disk, struct vbd_config *config, int fd,
		       struct frontend *frontend)
{
	size_t bytes = vbd_journal_bytes(config);
	void *memory = NULL;
	int err;

	_Static_assert((uint32_t)JOURNAL_EMPTY == CTL_JOURNAL_EMPTY &&
		       (uint32_t)JOURNAL_SERVING == CTL_JOURNAL_SERVING &&
		       (uint32_t)JOURNAL_ENDED == CTL_JOURNAL_ENDED, "tapback reads it");
	if (fd < 0)
		return 0;
	err = keep_map(fd, bytes, &memory);
	if (err) {
		log_error("domain %u, device %u: cannot use the journal: %s", config->domid,
			  config->devid, strerror(-err));
		return err;
	}
	frontend->journal_bytes = bytes;
	frontend->journal = config->journal = memory;
	if (config->journal->state == JOURNAL_SERVING &&
	    keep_is_locked(disk->image.fd, config->journal->io_lock))
		return -EBUSY;
	config->journal->io_lock = disk->io_lock;
	return 0;
}

static int connect_frontend(struct disk *disk, const struct vbd_config *config,
			    struct xenio_fds *fds, struct frontend *frontend)
{
	struct vbd_place places[VBD_QUEUES_MAX];
	int err = make_places(disk, config, fds, places);

	return err ? err : vbd_create(config, &disk->store, &disk->worker, places,
				      &frontend->vbd);
}

static void say_connected(const struct frontend *frontend)
{
	const struct vbd_config *config = vbd_config(frontend->vbd);

	if (config->resume)
		log_warning("domain %u, device %u: goes on where another tapdisk ended; "
			    "requests taken up again: %u", config->domid, config->devid,
			    vbd_nr_resumed(frontend->vbd));
	if (!log_limited(&frontend->disk->connects))
		return;
	if (!xenio_maps(vbd_xenio(frontend->vbd, 0)))
		log_warning("domain %u, device %u: without the module xentap all data is copied, "
			    "by /dev/xen/gntdev", config->domid, config->devid);
	log_info("domain %u, device %u: connected, queues: %u, each of %u requests in %u pages; "
		 "data: %s", config->domid, config->devid, config->nr_queues,
		 ring_entries(config->protocol, config->nr_pages), config->nr_pages,
		 data_way_name(config->way));
}

/* It is for people only: whatever fails, the disk works. */
static void show_numbers(void *context)
{
	struct frontend *frontend = context;
	const struct vbd_stats stats = vbd_stats(frontend->vbd);
	int err;

	if (frontend->xentop_fd < 0)
		return;
	err = xentop_write(frontend->xentop_fd, &stats);
	if (!err)
		return;
	log_debug("domain %u, device %u: cannot write numbers for xentop: %s",
		  vbd_config(frontend->vbd)->domid, vbd_config(frontend->vbd)->devid,
		  strerror(-err));
	fd_close(&frontend->xentop_fd);
}

int disk_connect(struct disk *disk, struct vbd_config *config, struct xenio_fds *fds,
		 int journal, int xentop)
{
	struct frontend *frontend = NULL;
	int err;

	err = connect_check(disk, config);
	if (!err) {
		frontend = calloc(1, sizeof(*frontend));
		err = frontend ? 0 : -ENOMEM;
	}
	if (!err) {
		frontend->journal_fd = frontend->xentop_fd = -1;
		err = map_journal(disk, config, journal, frontend);
	}
	if (!err && others_use_it(disk, config))
		err = -EBUSY;
	if (err) {
		close_fds(fds, config->nr_queues);
		goto err_free;
	}
	config->way = disk->way;
	config->copy_max = disk->copy_max;
	config->poll_ns = disk->poll_ns;
	config->persistent &= config->way == DATA_PERSISTENT;
	config->changed = xentop < 0 ? NULL : show_numbers;
	config->changed_context = frontend;
	err = connect_frontend(disk, config, fds, frontend);
	if (err)
		goto err_free;
	frontend->journal_fd = journal;
	frontend->xentop_fd = xentop;
	forget_left_of(disk, config->domid, config->devid);
	frontend->disk = disk;
	frontend->domid = config->domid;
	frontend->devid = config->devid;
	frontend->next = disk->frontends;
	disk->frontends = frontend;
	say_connected(frontend);
	show_numbers(frontend);
	return 0;

err_free:
	if (frontend)
		frontend_free(frontend);
	return err;
}

int disk_disconnect(struct disk *disk, uint32_t domid, uint32_t devid,
		    void (*closed)(void *context), void *context)
{
	struct frontend *frontend = find(disk->frontends, domid, devid);

	if (!frontend) {
		forget_left_of(disk, domid, devid);
		return -ENOTCONN;
	}
	if (frontend->closed)
		return -EALREADY;
	frontend->closed = closed;
	frontend->closed_context = context;
	frontend_close(frontend);
	return 0;
}
