// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace: a line of JSON for each I/O when it ends, with the grants behind its
 * buffers. Lines go into a ring of bytes, and a thread writes them out, so that
 * no guest waits for who reads them; a line for which there is no room is
 * dropped and counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "filter/trace.h"

#define RING_BYTES	(1u << 20)	/* a power of two */
#define LINE_BYTES	65536u
#define GRANT_BYTES	4096u		/* a grant stands for one page */
#define GRANTS_AT_ONCE	32u
#define STOP_MS		1000		/* for a reader that does not read */
#define MAX_BYTES	(256u << 20)	/* of a file, if not told otherwise */

struct trace {
	struct layer layer;
	bool watch;			/* trace_watch() */
	_Atomic bool off;		/* nobody reads: I/O passes by */
	int fd;
	uint64_t max_bytes;		/* written at most; 0: no limit */
	pthread_t thread;

	pthread_mutex_t mutex;		/* of all below */
	pthread_cond_t more;
	char line[LINE_BYTES];		/* the one being made */
	size_t line_used;
	char *ring;
	uint64_t head, tail;		/* written, and read, of all time */
	uint64_t lines, dropped;
	bool stop;
};

#define trace_of(layer_) ((struct trace *)((char *)(layer_) - offsetof(struct trace, layer)))

static const char *const op_names[IO_NR_OPS] = {
	[IO_READ] = "read", [IO_WRITE] = "write", [IO_FLUSH] = "flush", [IO_DISCARD] = "discard",
};

/* ---- a line; with the mutex held ---- */

__attribute__((format(printf, 2, 3)))
static void put(struct trace *trace, const char *format, ...)
{
	size_t room = LINE_BYTES - trace->line_used;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(trace->line + trace->line_used, room, format, args);
	va_end(args);
	/* Too long: full from here on, and dropped at the end. */
	trace->line_used += length < 0 || (size_t)length >= room ? room : (size_t)length;
}

static void put_piece(struct trace *trace, uint64_t bytes, const struct io_grant *grant, bool first)
{
	put(trace, "%s{\"bytes\":%" PRIu64, first ? "" : ",", bytes);
	if (!grant->error) {
		put(trace, ",\"domid\":%u,\"gref\":%u", grant->domid, grant->gref);
		if (grant->mfn == ~0ull)
			put(trace, ",\"mfn\":null");
		else
			put(trace, ",\"mfn\":%" PRIu64, grant->mfn);
	}
	put(trace, "}");
}

/* Pages of the vectors, a few at a time. */
struct pieces {
	const void *addresses[GRANTS_AT_ONCE];
	uint64_t bytes[GRANTS_AT_ONCE];
	struct io_grant grants[GRANTS_AT_ONCE];
	unsigned int nr;
	bool first;
};

static void put_pieces(struct trace *trace, const struct io *io, struct pieces *pieces)
{
	const struct io_source *source = io->source;
	int err = -ENOENT;
	unsigned int i;

	if (source && source->ops && source->ops->grants)
		err = source->ops->grants(source, pieces->addresses, pieces->nr, pieces->grants);
	for (i = 0; i < pieces->nr; i++) {
		if (err)
			pieces->grants[i].error = err;
		put_piece(trace, pieces->bytes[i], &pieces->grants[i], pieces->first);
		pieces->first = false;
	}
	pieces->nr = 0;
}

static void put_vectors(struct trace *trace, const struct io *io)
{
	struct pieces pieces = { .first = true };
	unsigned int i;

	for (i = 0; i < io->nr_iov; i++) {
		const uint8_t *at = io->iov[i].iov_base;
		uint64_t left = io->iov[i].iov_len;

		while (left) {
			uint64_t length = GRANT_BYTES - (uintptr_t)at % GRANT_BYTES;

			if (length > left)
				length = left;
			pieces.addresses[pieces.nr] = at;
			pieces.bytes[pieces.nr++] = length;
			at += length;
			left -= length;
			if (pieces.nr == GRANTS_AT_ONCE)
				put_pieces(trace, io, &pieces);
		}
	}
	if (pieces.nr)
		put_pieces(trace, io, &pieces);
}

static void put_io(struct trace *trace, const struct io *io, uint64_t start_ns, int error)
{
	trace->line_used = 0;
	put(trace, "{\"ns\":%" PRIu64 ",\"took_ns\":%" PRIu64, start_ns, clock_ns() - start_ns);
	if (io->source)
		put(trace, ",\"domid\":%u,\"devid\":%u", io->source->domid, io->source->devid);
	put(trace, ",\"op\":\"%s\",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"error\":%d",
	    op_names[io->op], io->offset, io->bytes, -error);
	put(trace, ",\"vectors\":[");
	put_vectors(trace, io);
	put(trace, "]}\n");
}

/* ---- the ring; with the mutex held ---- */

static void ring_put(struct trace *trace)
{
	size_t place = trace->head % RING_BYTES;
	size_t first = RING_BYTES - place;

	if (trace->line_used >= LINE_BYTES ||
	    trace->line_used > RING_BYTES - (trace->head - trace->tail) ||
	    (trace->max_bytes && trace->head + trace->line_used > trace->max_bytes)) {
		trace->dropped++;
		return;
	}
	if (first > trace->line_used)
		first = trace->line_used;
	memcpy(trace->ring + place, trace->line, first);
	memcpy(trace->ring, trace->line + first, trace->line_used - first);
	/* Who waits, waits for an empty ring to change. */
	if (trace->head == trace->tail)
		pthread_cond_signal(&trace->more);
	trace->head += trace->line_used;
	trace->lines++;
}

/* ---- the thread that writes ---- */

/*
 * Some of the @size bytes at @data: how many, 0 if the reader is slow, or
 * -errno.
 */
static ssize_t write_some(int fd, const char *data, size_t size)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t done = write(fd, data, size);

	if (done >= 0)
		return done;
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	poll(&pfd, 1, STOP_MS / 10);
	return 0;
}

/* Nobody takes lines any more: all that come are dropped. */
static void give_up(struct trace *trace, int err)
{
	if (err != -EPIPE)
		log_error("trace: cannot write: %s; it ends here", strerror(-err));
	trace->off = trace->watch;
	trace->max_bytes = 1;
	trace->tail = trace->head;
}

static void *write_lines(void *context)
{
	struct trace *trace = context;
	uint64_t give_up_ms = 0;

	pthread_mutex_lock(&trace->mutex);
	for (;;) {
		size_t place = trace->tail % RING_BYTES;
		size_t size = (size_t)(trace->head - trace->tail);
		ssize_t done;

		if (trace->stop && !give_up_ms)
			give_up_ms = clock_ms() + STOP_MS;
		if (trace->stop && (!size || clock_ms() > give_up_ms))
			break;
		if (!size) {
			pthread_cond_wait(&trace->more, &trace->mutex);
			continue;
		}
		if (size > RING_BYTES - place)
			size = RING_BYTES - place;
		/* What is before head is not touched until tail has passed it. */
		pthread_mutex_unlock(&trace->mutex);
		done = write_some(trace->fd, trace->ring + place, size);
		pthread_mutex_lock(&trace->mutex);
		if (done < 0)
			give_up(trace, (int)done);
		else
			trace->tail += (uint64_t)done;
	}
	pthread_mutex_unlock(&trace->mutex);
	return NULL;
}

/* ---- the layer ---- */

static void trace_submit(struct layer *layer, struct io *io)
{
	if (!atomic_load_explicit(&trace_of(layer)->off, memory_order_relaxed))
		io_hook(io, layer, clock_ns());
	layer_submit(layer->below, io);
}

static void trace_done(struct layer *layer, struct io *io, uint64_t data, int error)
{
	struct trace *trace = trace_of(layer);

	/* Before its end is told: then the grants are there still. */
	pthread_mutex_lock(&trace->mutex);
	put_io(trace, io, data, error);
	ring_put(trace);
	pthread_mutex_unlock(&trace->mutex);
	io_done(io, error);
}

static struct json_object *trace_stats(struct layer *layer)
{
	struct trace *trace = trace_of(layer);
	struct json_object *object = json_object_new_object();

	pthread_mutex_lock(&trace->mutex);
	json_object_object_add(object, "lines", json_object_new_int64((int64_t)trace->lines));
	json_object_object_add(object, "dropped", json_object_new_int64((int64_t)trace->dropped));
	pthread_mutex_unlock(&trace->mutex);
	return object;
}

static void trace_free(struct trace *trace)
{
	pthread_cond_destroy(&trace->more);
	pthread_mutex_destroy(&trace->mutex);
	fd_close(&trace->fd);
	free(trace->ring);
	free(trace);
}

static void stop_thread(struct trace *trace)
{
	pthread_mutex_lock(&trace->mutex);
	trace->stop = true;
	pthread_cond_signal(&trace->more);
	pthread_mutex_unlock(&trace->mutex);
	pthread_join(trace->thread, NULL);
}

static void trace_destroy(struct layer *layer)
{
	struct trace *trace = trace_of(layer);

	stop_thread(trace);
	trace_free(trace);
}

static const struct layer_ops trace_ops = {
	.name = "trace",
	.submit = trace_submit,
	.done = trace_done,
	.stats = trace_stats,
	.destroy = trace_destroy,
};

/* ---- options ---- */

/* Our own descriptor for what "fd=N" names, which never blocks a write; or -errno. */
static int get_fd(const struct filter_context *context, uint64_t number, char *why,
		  size_t why_size)
{
	int fd = -1;

	if (!context->fds)
		fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
	else if (number < context->nr_fds)
		fd = fcntl(context->fds[number], F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) {
		snprintf(why, why_size, "trace: fd=%" PRIu64 " is no descriptor that can be used",
			 number);
		fd_close(&fd);
		return -EBADF;
	}
	return fd;
}

static int start_thread(struct trace *trace)
{
	sigset_t all, before;
	int err;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&trace->thread, NULL, write_lines, trace);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static int trace_start(int fd, uint64_t max_bytes, bool watch, struct layer **out)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	int err;

	if (!trace)
		return -ENOMEM;
	trace->layer.ops = &trace_ops;
	trace->watch = watch;
	trace->fd = fd;
	trace->max_bytes = max_bytes;
	pthread_mutex_init(&trace->mutex, NULL);
	pthread_cond_init(&trace->more, NULL);
	trace->ring = malloc(RING_BYTES);
	err = trace->ring ? start_thread(trace) : -ENOMEM;
	if (err) {
		trace->fd = -1;
		trace_free(trace);
		return err;
	}
	*out = &trace->layer;
	return 0;
}

static int trace_create(const struct spec *spec, const struct filter_context *context,
			struct layer **out, char *why, size_t why_size)
{
	uint64_t number = 0, max_bytes = MAX_BYTES;
	const struct spec_key keys[] = {
		{ "fd", SPEC_NUMBER, &number, INT32_MAX },
		{ "max", SPEC_SIZE, &max_bytes, UINT64_MAX >> 1 },
	};
	int err, fd;

	err = spec_read(spec, keys, sizeof(keys) / sizeof(keys[0]), why, why_size);
	if (err)
		return err;
	if (!spec_value(spec, "fd")) {
		snprintf(why, why_size, "trace: file=PATH or fd=N must say where to write");
		return -EINVAL;
	}
	fd = get_fd(context, number, why, why_size);
	if (fd < 0)
		return fd;
	err = trace_start(fd, max_bytes, false, out);
	if (err) {
		snprintf(why, why_size, "trace: cannot start: %s", strerror(-err));
		close(fd);
	}
	return err;
}

const struct filter trace_filter = { "trace", trace_create };

/* ---- for a while ---- */

/* The other end of a pipe or socket is closed. */
static bool has_no_reader(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLERR | POLLHUP | POLLNVAL);
}

/* The layer stays once it is there: I/O that it has hooked may be on its way. */
static int watch_again(struct trace *trace, int fd)
{
	if (!trace->off && !has_no_reader(trace->fd))
		return -EBUSY;
	trace->off = true;
	stop_thread(trace);
	close(trace->fd);
	trace->fd = fd;
	/* Lines of I/O from before may come: they are the new reader's. */
	pthread_mutex_lock(&trace->mutex);
	trace->head = trace->tail = 0;
	trace->max_bytes = 0;
	trace->stop = false;
	pthread_mutex_unlock(&trace->mutex);
	if (start_thread(trace)) {
		trace->fd = -1;
		return -ENOMEM;
	}
	trace->off = false;
	return 0;
}

static int watch_first(struct store *store, int fd)
{
	struct layer *layer;
	int err;

	if (!filters_have_room(store, 1))
		return -E2BIG;
	err = trace_start(fd, 0, true, &layer);
	if (err)
		return err;
	layer->below = store->top;
	store->top = layer;
	return 0;
}

int trace_watch(struct store *store, int fd, char *why, size_t why_size)
{
	/* Nothing comes above it later. */
	struct layer *top = store->top;
	bool again = top->ops == &trace_ops && trace_of(top)->watch;
	struct stat st;
	int err = -EINVAL;

	/* A file or device would be another way for writing to it. */
	if (fstat(fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		snprintf(why, why_size, "trace: that is no pipe or socket");
	else
		err = again ? watch_again(trace_of(top), fd) : watch_first(store, fd);
	if (err == -EBUSY)
		snprintf(why, why_size, "trace: somebody else has one of this disk");
	else if (err == -E2BIG)
		snprintf(why, why_size, "trace: the disk has too many filters for one more");
	else if (err && err != -EINVAL)
		snprintf(why, why_size, "trace: cannot start: %s", strerror(-err));
	return err;
}
