// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a disk: frontends come and go, and the last one's end may be its own. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <stdio.h>
#include <sys/socket.h>

#include "fake/nbd_client.h"
#include "fake/rig.h"
#include "image/lock.h"
#include "tapdisk/ctl_proto.h"
#include "tapdisk/disk.h"
#include "tapdisk/keep.h"
#include "vbd/journal.h"

static struct rig *the_rig;

/* Instead of the real ones, which need Xen. */
int xenio_xentap_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	(void)fds;
	assert_in_range(domid, DOMID, DOMID + 1);
	*out = fake_xenio_create(&the_rig->guest, shape, the_rig->kick_fds[port - 9]);
	return 0;
}

int xenio_gntdev_create(struct xenio_fds *fds, const struct xenio_shape *shape,
			uint32_t domid, uint32_t port, struct xenio **out)
{
	return xenio_xentap_create(fds, shape, domid, port, out);
}

static unsigned int slow_ms;		/* of each write; 0: none is */
static int xentop_fd = -1;		/* where the next frontend shows its numbers */

static int open_image_again(const struct rig *rig)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", rig->image.fd);
	return open(self, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static struct disk *make_disk_of(struct rig *rig, bool lock_later, int nbd_fd)
{
	char filter[64];
	const char *const filters[] = { filter };
	const struct disk_options options = {
		.type = "aio", .path = "image", .sector_bytes = 512, .way = DATA_AUTO,
		.copy_max = DATA_COPY_MAX_DEFAULT, .lock_later = lock_later,
		.nbd_fd = nbd_fd, .filters = filters, .nr_filters = slow_ms != 0,
	};
	char name[] = "marker.XXXXXX", why[512];
	int marker = mkstemp(name);
	struct disk *disk;

	snprintf(filter, sizeof(filter), "fault:op=write,delay_ms=%u", slow_ms);
	unlink(name);
	assert_int_equal(disk_attach(&rig->loop, 3, marker, &disk), 0);
	assert_int_equal(disk_open(disk, &options, open_image_again(rig), why, sizeof(why)), 0);
	return disk;
}

static struct disk *make_disk(struct rig *rig)
{
	return make_disk_of(rig, false, -1);
}

/* Queues from rig->fronts[@first] on are those of domain @domid, whose rings are there. */
static int take_rings(struct rig *rig, struct disk *disk, uint32_t domid, uint32_t first,
		      uint32_t nr_queues, int journal)
{
	struct vbd_config config = {
		.domid = domid, .devid = 1, .nr_pages = 1, .nr_queues = nr_queues,
	};
	struct xenio_fds fds[VBD_QUEUES_MAX];
	uint32_t i;

	the_rig = rig;
	for (i = 0; i < nr_queues; i++) {
		fds[i] = (struct xenio_fds){ { -1, -1 }, -1, -1 };
		config.queues[i].port = 9 + first + i;
		config.queues[i].grefs[0] = RING_GREF + (first + i) * BLKIF_RING_PAGES_MAX;
	}
	return disk_connect(disk, &config, fds, journal, xentop_fd);
}

/* The same with new rings. */
static int try_connect_domain(struct rig *rig, struct disk *disk, uint32_t domid, uint32_t first,
			      uint32_t nr_queues, int journal)
{
	uint32_t i;

	for (i = first; i < first + nr_queues; i++) {
		front_init(&rig->fronts[i], &rig->guest, BLKIF_NATIVE,
			   RING_GREF + i * BLKIF_RING_PAGES_MAX, 1);
		rig->fronts[i].kick_fd = rig->kick_fds[i];
	}
	return take_rings(rig, disk, domid, first, nr_queues, journal);
}

static int try_connect(struct rig *rig, struct disk *disk, uint32_t nr_queues, int journal)
{
	return try_connect_domain(rig, disk, DOMID, 0, nr_queues, journal);
}

static void connect_disk(struct rig *rig, struct disk *disk, uint32_t nr_queues)
{
	assert_int_equal(try_connect(rig, disk, nr_queues, -1), 0);
}

static void count_call(void *context)
{
	++*(int *)context;
}

static struct disk *ending;

/* As tapdisk does when it is told to stop. */
static void detach(void *context)
{
	disk_detach(ending);
	count_call(context);
}

static void wait_call(struct rig *rig, const int *calls)
{
	int turns = 0;

	while (!*calls && turns++ < PATIENCE_MS)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
	assert_int_equal(*calls, 1);
}

static void end_disk(struct rig *rig)
{
	int calls = 0;

	assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
	wait_call(rig, &calls);
}

static void frontends_come_and_go(void **state)
{
	struct rig *rig = *state;
	struct disk *disk;
	unsigned int round;

	rig_disconnect(rig);
	disk = make_disk(rig);
	for (round = 0; round < 6; round++) {
		struct blkif_request request = pages(BLKIF_READ, 1, 80, DATA_GREF, 11);
		struct front_response response;
		int calls = 0;

		connect_disk(rig, disk, round % 3 + 1);
		rig_send(rig, round % 3, &request);
		assert_true(rig_turn(rig, round % 3, &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_page(rig, DATA_GREF, 80);
		assert_int_equal(disk_disconnect(disk, DOMID, 1, count_call, &calls), 0);
		wait_call(rig, &calls);
		assert_int_equal(fake_guest_mapped(&rig->guest), 0);
		assert_int_equal(disk_disconnect(disk, DOMID, 1, count_call, &calls), -ENOTCONN);
	}
	round = 0;
	ending = disk;
	assert_int_equal(disk_close(disk, VBD_END, detach, &round), 0);
	assert_int_equal(round, 1);
}

/* Lines in a file that was stderr for a while. */
static unsigned int count_lines(int fd)
{
	unsigned int lines = 0;
	char byte;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	while (read(fd, &byte, 1) == 1)
		lines += byte == '\n';
	return lines;
}

/* One that connects again and again, and sends rubbish each time. */
static void what_a_guest_has_logged_outlives_its_ring(void **state)
{
	struct rig *rig = *state;
	int log = memfd_create("log", MFD_CLOEXEC), stderr_fd = dup(STDERR_FILENO);
	unsigned int round, i;
	int calls;

	rig_disconnect(rig);
	ending = make_disk(rig);
	assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
	for (round = 0; round < 50; round++) {
		connect_disk(rig, ending, 1);
		for (i = 0; i < 20; i++) {
			struct blkif_request request = { .op = BLKIF_READ, .id = i };
			struct front_response response;

			rig_send(rig, 0, &request);
			assert_true(rig_turn(rig, 0, &response));
			assert_int_equal(response.status, BLKIF_ERROR);
		}
		calls = 0;
		assert_int_equal(disk_disconnect(ending, DOMID, 1, count_call, &calls), 0);
		wait_call(rig, &calls);
	}
	assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
	close(stderr_fd);
	/* Of each kind more may be said when time has passed. */
	assert_in_range(count_lines(log), 2, 60);
	close(log);
	calls = 0;
	assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
}

/* Told to stop while guests are connected: what calls back is the last to go. */
static void the_end_of_a_disk_in_use(void **state)
{
	struct rig *rig = *state;
	unsigned int queues;

	rig_disconnect(rig);
	for (queues = 1; queues <= 4; queues++) {
		struct blkif_request request = pages(BLKIF_READ, 1, 80, DATA_GREF, 11);
		int calls = 0;

		ending = make_disk(rig);
		connect_disk(rig, ending, queues);
		rig_send(rig, queues - 1, &request);
		assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
		wait_call(rig, &calls);
		assert_int_equal(fake_guest_mapped(&rig->guest), 0);
	}
}

static void run_for(struct rig *rig, int turns)
{
	while (turns--)
		assert_int_equal(loop_once(&rig->loop, 1), 0);
}

/* A disk whose image is still another one's takes it as soon as that is gone. */
static void the_lock_of_a_disk_that_goes(void **state)
{
	struct rig *rig = *state;
	int old, other, calls = 0, turns = 0;
	struct disk *disk;

	rig_disconnect(rig);
	old = open_image_again(rig);
	other = open_image_again(rig);
	assert_int_equal(image_lock(old, false), 0);
	disk = make_disk_of(rig, true, -1);
	run_for(rig, 600);
	assert_false(disk->locked);
	/* Until then nobody is served: the other one's writes may be on their way. */
	assert_int_equal(try_connect(rig, disk, 1, -1), -EBUSY);
	close(old);
	while (!disk->locked && turns++ < PATIENCE_MS)
		run_for(rig, 1);
	assert_true(disk->locked);
	connect_disk(rig, disk, 1);
	assert_int_equal(image_lock(other, false), -EBUSY);
	ending = disk;
	assert_int_equal(disk_close(disk, VBD_END, detach, &calls), 0);
	wait_call(rig, &calls);
	assert_int_equal(image_lock(other, false), 0);
	close(other);
}

/*
 * A migration within the host, with one tapdisk for both domains: the old one runs no more,
 * but its write must not come after those of the new one.
 */
static void a_guest_under_a_new_number_comes_after_the_old_one(void **state)
{
	struct blkif_request write = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 1);
	struct blkif_request newer = pages(BLKIF_WRITE, 2, 80, DATA_GREF + 1, 1);
	struct blkif_request read = pages(BLKIF_READ, 3, 80, DATA_GREF + 2, 1);
	struct rig *rig = *state;
	struct front_response response;
	int calls = 0;

	rig_disconnect(rig);
	slow_ms = 200;
	ending = make_disk(rig);
	slow_ms = 0;
	connect_disk(rig, ending, 1);
	memset(fake_guest_page(&rig->guest, DATA_GREF), 0x01, XENIO_SLOT_BYTES);
	memset(fake_guest_page(&rig->guest, DATA_GREF + 1), 0x02, XENIO_SLOT_BYTES);
	/* It is in the ring, then it is taken. */
	rig_send(rig, 0, &write);
	assert_int_equal(try_connect_domain(rig, ending, DOMID + 1, 1, 1, -1), -EBUSY);
	run_for(rig, 20);
	assert_int_equal(try_connect_domain(rig, ending, DOMID + 1, 1, 1, -1), -EBUSY);
	assert_true(rig_turn(rig, 0, &response));
	rig->guest.domid = DOMID + 1;
	assert_int_equal(try_connect_domain(rig, ending, DOMID + 1, 1, 1, -1), 0);
	rig_send(rig, 1, &newer);
	assert_true(rig_turn(rig, 1, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	rig_send(rig, 1, &read);
	assert_true(rig_turn(rig, 1, &response));
	assert_memory_equal(fake_guest_page(&rig->guest, DATA_GREF + 2),
			    fake_guest_page(&rig->guest, DATA_GREF + 1), XENIO_SLOT_BYTES);
	/* Should the old one go on after all, it finds its disk. */
	rig->guest.domid = DOMID;
	rig_send(rig, 0, &read);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
	wait_call(rig, &calls);
}

/* It ends before it had the image for itself. */
static void the_lock_is_waited_for_to_the_end(void **state)
{
	struct rig *rig = *state;
	int old, calls = 0;

	rig_disconnect(rig);
	old = open_image_again(rig);
	assert_int_equal(image_lock(old, false), 0);
	ending = make_disk_of(rig, true, -1);
	assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
	assert_int_equal(calls, 1);
	run_for(rig, 300);
	close(old);
}

static int make_journal(void)
{
	int journal = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(journal, CTL_JOURNAL_BYTES), 0);
	assert_int_equal(fcntl(journal, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return journal;
}

/* What a tapdisk that was killed leaves behind, without it. */
static void a_journal_is_taken_up_when_no_io_is_left(void **state)
{
	struct rig *rig = *state;
	struct disk *disk = make_disk(rig);
	int journal = make_journal();
	int calls = 0, other;
	uint64_t byte;

	assert_int_equal(try_connect(rig, disk, 1, dup(journal)), 0);
	assert_int_equal(pread(journal, &byte, sizeof(byte),
			       offsetof(struct journal_head, io_lock)), sizeof(byte));
	assert_int_equal(byte, disk->io_lock);
	assert_non_null(disk_frontend(disk, DOMID, 1));
	assert_int_equal(disk_disconnect(disk, DOMID, 1, count_call, &calls), 0);
	wait_call(rig, &calls);
	/* It has ended, it was not killed. */
	other = dup(journal);
	assert_int_equal(try_connect(rig, disk, 1, other), -EINVAL);
	assert_int_equal(pwrite(journal, &(uint32_t){ JOURNAL_SERVING }, sizeof(uint32_t), 0),
			 sizeof(uint32_t));
	/* And not all of its I/O has: its open file is still there, locked. */
	byte = keep_lock(rig->image.fd);
	assert_true(byte);
	assert_int_equal(pwrite(journal, &byte, sizeof(byte),
				offsetof(struct journal_head, io_lock)), sizeof(byte));
	assert_int_equal(try_connect(rig, disk, 1, other), -EBUSY);
	assert_int_equal(fcntl(rig->image.fd, F_OFD_SETLK, &(struct flock){
			       .l_type = F_UNLCK, .l_whence = SEEK_SET }), 0);
	assert_int_equal(try_connect(rig, disk, 1, other), 0);
	/* What is too small is none of ours. */
	other = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(ftruncate(other, 100), 0);
	assert_int_equal(disk_disconnect(disk, DOMID, 1, count_call, &calls), 0);
	calls = 0;
	wait_call(rig, &calls);
	assert_int_equal(try_connect(rig, disk, 1, other), -EINVAL);
	close(other);
	close(journal);
	calls = 0;
	assert_int_equal(disk_close(disk, VBD_END, count_call, &calls), 0);
	wait_call(rig, &calls);
	disk_detach(disk);
}

/* ---- an image that is closed for a while ---- */

/* 0, or what disk_open() says; the image is then closed. */
static int open_again(struct rig *rig, struct disk *disk)
{
	const struct disk_options options = {
		.type = "aio", .path = "another", .sector_bytes = 512, .way = DATA_AUTO,
		.copy_max = DATA_COPY_MAX_DEFAULT, .nbd_fd = -1,
	};
	int fd = open_image_again(rig);
	char why[512];
	int err = disk_open(disk, &options, fd, why, sizeof(why));

	if (err) {
		assert_non_null(strchr(why, ' '));
		close(fd);
	}
	return err;
}

/* What was taken is answered before, what was not is after; and nothing is in use between. */
static void a_guest_goes_on_with_an_image_that_was_closed(void **state)
{
	struct blkif_request write = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 1);
	struct blkif_request read = pages(BLKIF_READ, 2, 80, DATA_GREF + 1, 1);
	struct rig *rig = *state;
	struct front_response response;
	unsigned int queues;

	rig_disconnect(rig);
	for (queues = 1; queues <= 3; queues++) {
		int journal = make_journal(), calls = 0, other;
		unsigned int last = queues - 1;

		slow_ms = 100;
		ending = make_disk(rig);
		slow_ms = 0;
		assert_int_equal(try_connect(rig, ending, queues, dup(journal)), 0);
		memset(fake_guest_page(&rig->guest, DATA_GREF), (int)queues, XENIO_SLOT_BYTES);
		rig_send(rig, last, &write);
		run_for(rig, 20);
		assert_int_equal(disk_pause(ending, count_call, &calls), 0);
		assert_int_equal(disk_pause(ending, count_call, &calls), -EALREADY);
		assert_int_equal(take_rings(rig, ending, DOMID + 1, 3, 1, -1), -EBUSY);
		wait_call(rig, &calls);
		assert_true(disk_is_paused(ending));
		assert_string_equal(disk_path(ending), "image");
		assert_null(ending->frontends);
		/* For a tapback that has lost it. */
		assert_non_null(disk_frontend(ending, DOMID, 1));
		assert_true(disk_frontend(ending, DOMID, 1)->journal_fd >= 0);
		assert_null(disk_frontend(ending, DOMID + 1, 1));
		assert_int_equal(fake_guest_mapped(&rig->guest), 0);
		other = open_image_again(rig);
		assert_int_equal(image_lock(other, false), 0);
		close(other);
		assert_true(front_response(&rig->fronts[last], &response));
		assert_int_equal(response.status, BLKIF_OKAY);
		rig_send(rig, last, &read);
		run_for(rig, 20);
		assert_false(front_response(&rig->fronts[last], &response));
		assert_int_equal(take_rings(rig, ending, DOMID, 0, queues, -1), -EBUSY);

		assert_int_equal(ending->paused.sectors, IMAGE_SECTORS);
		/* Another image may be smaller, or larger. */
		ending->paused.sectors = IMAGE_SECTORS + 1;
		assert_int_equal(open_again(rig, ending), -EINVAL);
		assert_true(disk_is_paused(ending));
		ending->paused.sectors = IMAGE_SECTORS - 8;
		assert_int_equal(open_again(rig, ending), 0);
		assert_false(disk_is_paused(ending));
		assert_int_equal(ending->image.sectors, IMAGE_SECTORS - 8);
		assert_int_equal(take_rings(rig, ending, DOMID, 0, queues, journal), 0);
		assert_null(ending->left);
		assert_true(rig_turn(rig, last, &response));
		assert_int_equal(response.id, 2);
		assert_int_equal(response.status, BLKIF_OKAY);
		assert_memory_equal(fake_guest_page(&rig->guest, DATA_GREF),
				    fake_guest_page(&rig->guest, DATA_GREF + 1), XENIO_SLOT_BYTES);
		/* Not as a pause has it. */
		calls = 0;
		assert_int_equal(disk_disconnect(ending, DOMID, 1, count_call, &calls), 0);
		wait_call(rig, &calls);
		end_disk(rig);
	}
}

static void a_pause_that_cannot_be(void **state)
{
	struct rig *rig = *state;
	int calls = 0;

	rig_disconnect(rig);
	ending = make_disk(rig);
	connect_disk(rig, ending, 1);
	assert_int_equal(disk_pause(ending, count_call, &calls), -EOPNOTSUPP);
	assert_int_equal(disk_disconnect(ending, DOMID, 1, count_call, &calls), 0);
	wait_call(rig, &calls);
	calls = 0;
	assert_int_equal(disk_set_paused(ending, "aio", "image", 8), -EALREADY);
	assert_int_equal(disk_pause(ending, count_call, &calls), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(disk_pause(ending, count_call, &calls), -ENODEV);
	assert_int_equal(disk_set_paused(ending, "aio", "image", 8), -EALREADY);
	/* It may be closed as well, and is then not paused any more. */
	assert_int_equal(disk_close(ending, VBD_END, count_call, &calls), 0);
	assert_int_equal(calls, 2);
	assert_false(disk_is_paused(ending));
	assert_int_equal(disk_set_paused(ending, "aio", "image", 8), 0);
	assert_int_equal(open_again(rig, ending), 0);
	assert_int_equal(ending->image.sectors, 8);
	assert_int_equal(disk_pause(ending, count_call, &calls), 0);
	disk_detach(ending);
}

static uint32_t journal_state(int journal)
{
	uint32_t word;

	assert_int_equal(pread(journal, &word, sizeof(word), 0), sizeof(word));
	return word;
}

/* Somebody wants it to end, who will not wait for what the other one waits for. */
static void a_pause_that_becomes_an_end(void **state)
{
	struct blkif_request write = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 1);
	struct rig *rig = *state;
	struct front_response response;
	int calls = 0, journal = make_journal();

	rig_disconnect(rig);
	slow_ms = 100;
	ending = make_disk(rig);
	slow_ms = 0;
	assert_int_equal(try_connect(rig, ending, 1, dup(journal)), 0);
	rig_send(rig, 0, &write);
	run_for(rig, 20);
	assert_int_equal(disk_pause(ending, count_call, &calls), 0);
	disk_pause_for_good(ending);
	wait_call(rig, &calls);
	assert_int_equal(journal_state(journal), JOURNAL_ENDED);
	assert_false(disk_is_paused(ending));
	assert_null(ending->left);
	assert_null(ending->type);
	assert_true(front_response(&rig->fronts[0], &response));
	assert_int_equal(response.status, BLKIF_OKAY);

	/* The same when it is over already, but for who says so. */
	assert_int_equal(open_again(rig, ending), 0);
	assert_int_equal(pwrite(journal, &(uint32_t){ JOURNAL_EMPTY }, sizeof(uint32_t), 0),
			 sizeof(uint32_t));
	assert_int_equal(try_connect(rig, ending, 1, dup(journal)), 0);
	calls = 0;
	assert_int_equal(disk_pause(ending, count_call, &calls), 0);
	wait_call(rig, &calls);
	assert_int_equal(journal_state(journal), JOURNAL_SERVING);
	disk_end_left(ending);
	assert_int_equal(journal_state(journal), JOURNAL_ENDED);
	close(journal);
	disk_detach(ending);
}

static int listen_somewhere(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, &(struct sockaddr){ .sa_family = AF_UNIX },
			      sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* A program of the host and a guest see each other's writes; both end with the disk. */
static void a_guest_and_an_nbd_client(void **state)
{
	struct blkif_request write = pages(BLKIF_WRITE, 1, 80, DATA_GREF, 4);
	struct blkif_request read = pages(BLKIF_READ, 2, 160, DATA_GREF + 8, 4);
	static uint8_t memory[4 * XENIO_SLOT_BYTES];
	struct rig *rig = *state;
	struct front_response response;
	struct client client;
	int calls = 0;

	rig_disconnect(rig);
	ending = make_disk_of(rig, false, listen_somewhere());
	assert_non_null(ending->nbd);
	connect_disk(rig, ending, 1);
	client_open(&client, ending->nbd, &rig->loop);
	client_go(&client, true);
	assert_true(client.size == IMAGE_SECTORS * 512ull);
	memset(fake_guest_page(&rig->guest, DATA_GREF), 0x5a, sizeof(memory) / 4);
	rig_send(rig, 0, &write);
	assert_true(rig_turn(rig, 0, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
	assert_int_equal(client_read(&client, 80 * 512, memory, sizeof(memory), 0), 0);
	assert_memory_equal(memory, fake_guest_page(&rig->guest, DATA_GREF), XENIO_SLOT_BYTES);
	memset(memory, 0xa5, sizeof(memory));
	assert_int_equal(client_write(&client, 160 * 512, memory, sizeof(memory), 0), 0);
	rig_send(rig, 0, &read);
	assert_true(rig_turn(rig, 0, &response));
	assert_memory_equal(memory, fake_guest_page(&rig->guest, DATA_GREF + 8), XENIO_SLOT_BYTES);

	client_request(&client, NBD_CMD_READ, 0, 1, 0, 4 << 20);
	rig_send(rig, 0, &read);
	assert_int_equal(disk_close(ending, VBD_END, detach, &calls), 0);
	wait_call(rig, &calls);
	client_expect_end(&client);
}

static void a_socket_that_does_not_listen(void **state)
{
	struct rig *rig = *state;
	struct disk_options options = {
		.type = "aio", .path = "image", .sector_bytes = 512, .way = DATA_AUTO,
		.copy_max = DATA_COPY_MAX_DEFAULT,
	};
	struct disk *disk = make_disk(rig);
	int calls = 0, image, socket_fd;
	char why[512];

	/* Without a disk_detach() it can be opened again. */
	assert_int_equal(disk_close(disk, VBD_END, count_call, &calls), 0);
	image = open_image_again(rig);
	socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	options.nbd_fd = socket_fd;
	assert_int_equal(disk_open(disk, &options, image, why, sizeof(why)), -EINVAL);
	assert_int_equal(fcntl(image, F_GETFD), 0 | FD_CLOEXEC);
	close(socket_fd);
	options.nbd_fd = -1;
	assert_int_equal(disk_open(disk, &options, image, why, sizeof(why)), 0);
	ending = disk;
	assert_int_equal(disk_close(disk, VBD_END, detach, &calls), 0);
	assert_int_equal(calls, 2);
}

/* ---- numbers for xentop ---- */

/* The whole of it, as libxenstat looks at it. */
struct shown {
	uint32_t version, pad;
	uint64_t outstanding, reads, reads_ended, read_sectors, read_us, writes, writes_ended;
	uint64_t write_sectors, write_us, errors, flags;
};

static struct shown shown(int fd)
{
	struct shown numbers;

	assert_int_equal(pread(fd, &numbers, sizeof(numbers), 0), 96);
	assert_int_equal(numbers.version, 1);
	return numbers;
}

/* A frontend that shows its numbers; where. */
static int connect_shown(struct rig *rig, uint32_t nr_queues)
{
	int fd = memfd_create("xentop", MFD_CLOEXEC);

	xentop_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	connect_disk(rig, ending, nr_queues);
	xentop_fd = -1;
	return fd;
}

static void expect_reads(struct rig *rig, int fd, uint64_t nr)
{
	int turns = 0;

	while (shown(fd).reads != nr && turns++ < PATIENCE_MS)
		run_for(rig, 1);
	assert_int_equal(shown(fd).reads, nr);
}

static void send_and_wait(struct rig *rig, unsigned int queue, const struct blkif_request *request)
{
	struct front_response response;

	rig_send(rig, queue, request);
	assert_true(rig_turn(rig, queue, &response));
	assert_int_equal(response.status, BLKIF_OKAY);
}

static void numbers_are_shown_and_nobody_is_woken_for_them(void **state)
{
	struct blkif_request read = pages(BLKIF_READ, 1, 80, DATA_GREF, 2);
	struct blkif_request write = pages(BLKIF_WRITE, 2, 160, DATA_GREF, 1);
	struct rig *rig = *state;
	struct shown numbers;
	unsigned int round;
	int fd;

	rig_disconnect(rig);
	ending = make_disk(rig);
	fd = connect_shown(rig, 1);
	/* At once, since a file without a version is none. */
	assert_int_equal(shown(fd).reads, 0);
	for (round = 1; round <= 2; round++) {
		struct pollfd loop = { .fd = rig->loop.epoll_fd, .events = POLLIN };

		send_and_wait(rig, 0, &write);
		send_and_wait(rig, 0, &read);
		expect_reads(rig, fd, round);
		/* Some of the last passes may be news, too. */
		run_for(rig, 700);
		assert_int_equal(poll(&loop, 1, 1200), 0);
	}
	numbers = shown(fd);
	assert_int_equal(numbers.outstanding, 0);
	assert_int_equal(numbers.reads_ended, 2);
	assert_int_equal(numbers.read_sectors, 2 * 16);
	assert_int_equal(numbers.writes, 2);
	assert_int_equal(numbers.writes_ended, 2);
	assert_int_equal(numbers.write_sectors, 2 * 8);
	assert_int_equal(numbers.errors | numbers.flags | numbers.pad, 0);
	end_disk(rig);
	close(fd);
}

/* Between the two looks nothing but the I/O's end wakes anybody. */
static void what_ends_late_is_shown_too(void **state)
{
	struct blkif_request write = pages(BLKIF_WRITE, 2, 160, DATA_GREF, 1);
	struct rig *rig = *state;
	int fd, turns = 0;

	rig_disconnect(rig);
	slow_ms = 1200;
	ending = make_disk(rig);
	slow_ms = 0;
	fd = connect_shown(rig, 1);
	rig_send(rig, 0, &write);
	while (!shown(fd).outstanding && turns++ < PATIENCE_MS)
		run_for(rig, 1);
	assert_int_equal(shown(fd).outstanding, 1);
	assert_int_equal(shown(fd).writes, 0);
	while (shown(fd).outstanding && turns++ < PATIENCE_MS)
		run_for(rig, 1);
	assert_int_equal(shown(fd).outstanding, 0);
	assert_int_equal(shown(fd).writes, 1);
	end_disk(rig);
	close(fd);
}

/* Each of them may have a thread, and end while its news is on its way. */
static void numbers_are_of_all_queues(void **state)
{
	struct rig *rig = *state;
	unsigned int round, queue;

	rig_disconnect(rig);
	for (round = 0; round < 4; round++) {
		int fd;

		ending = make_disk(rig);
		fd = connect_shown(rig, 3);
		for (queue = 0; queue < 3; queue++) {
			struct blkif_request read = pages(BLKIF_READ, queue, 80, DATA_GREF, 1);

			send_and_wait(rig, queue, &read);
		}
		if (round % 2)
			expect_reads(rig, fd, 3);
		else
			/* The threads' timers are due, and nobody here has listened. */
			usleep(round ? 600000 : 0);
		end_disk(rig);
		close(fd);
	}
}

static void what_cannot_be_written_is_not_missed(void **state)
{
	struct blkif_request read = pages(BLKIF_READ, 1, 80, DATA_GREF, 1);
	struct rig *rig = *state;

	rig_disconnect(rig);
	ending = make_disk(rig);
	xentop_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	connect_disk(rig, ending, 1);
	xentop_fd = -1;
	assert_int_equal(ending->frontends->xentop_fd, -1);
	send_and_wait(rig, 0, &read);
	run_for(rig, 700);
	end_disk(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frontends_come_and_go),
		TEST(what_a_guest_has_logged_outlives_its_ring),
		TEST(the_end_of_a_disk_in_use),
		TEST(a_guest_under_a_new_number_comes_after_the_old_one),
		TEST(the_lock_of_a_disk_that_goes),
		TEST(the_lock_is_waited_for_to_the_end),
		TEST(a_journal_is_taken_up_when_no_io_is_left),
		TEST(a_guest_goes_on_with_an_image_that_was_closed),
		TEST(a_pause_that_cannot_be),
		TEST(a_pause_that_becomes_an_end),
		TEST(a_guest_and_an_nbd_client),
		TEST(a_socket_that_does_not_listen),
		TEST(numbers_are_shown_and_nobody_is_woken_for_them),
		TEST(what_ends_late_is_shown_too),
		TEST(numbers_are_of_all_queues),
		TEST(what_cannot_be_written_is_not_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
