// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/tapback_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/ctl_msg.h"
#include "ctl/record.h"
#include "tapback/fdstore.h"
#include "tapback/reviver.h"

int guest_fds_error;
int guest_fds_nr = GUEST_FDS_MAX;
struct fake_reviver reviver;

int reviver_start(uint32_t minor)
{
	assert_int_equal(minor, 3);
	if (reviver.error == EPERM)
		return -EPERM;
	assert_int_equal(reviver.fd, -1);
	reviver.starts++;
	reviver.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return reviver.fd;
}

int reviver_end(int fd)
{
	assert_int_equal(fd, reviver.fd);
	fd_close(&reviver.fd);
	return -reviver.error;
}

void reviver_stop(int fd)
{
	reviver_end(fd);
	reviver.stops++;
}

bool guest_fds_in_use(int fd, uint64_t base, uint32_t slots)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(base, 0x10000);
	assert_int_equal(slots, 352);
	reviver.queries++;
	return reviver.pages_in_use && reviver.pages_in_use--;
}

/* Instead of the real one, which needs Xen. */
int guest_fds_open(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size)
{
	int i;

	assert_int_equal(domid, 7);
	for (i = 0; i < GUEST_FDS_MAX; i++)
		fds[i] = guest_fds_error || i >= guest_fds_nr ?
			 -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
	if (guest_fds_error)
		snprintf(why, why_size, "/dev/xen/tap is missing");
	return guest_fds_error ? -guest_fds_error : guest_fds_nr;
}

/* systemd, as far as it keeps descriptors: what there is outlives tapback. */
static struct {
	char name[FDSTORE_NAME_MAX];
	int fd;
} fdstore[16];
unsigned int nr_fdstore;
unsigned int max_fdstore;

int fdstore_put(const char *name, int fd)
{
	assert_true(max_fdstore <= sizeof(fdstore) / sizeof(fdstore[0]));
	if (nr_fdstore >= max_fdstore)
		return -ENOSPC;
	strcpy(fdstore[nr_fdstore].name, name);
	fdstore[nr_fdstore++].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

void fdstore_remove(const char *name)
{
	unsigned int i = 0;

	while (i < nr_fdstore) {
		if (strcmp(fdstore[i].name, name)) {
			i++;
			continue;
		}
		close(fdstore[i].fd);
		fdstore[i] = fdstore[--nr_fdstore];
	}
}

void fdstore_clear(void)
{
	while (nr_fdstore)
		close(fdstore[--nr_fdstore].fd);
}

void fdstore_load(void (*take)(void *context, const char *name, int fd), void *context)
{
	char names[sizeof(fdstore) / sizeof(fdstore[0])][FDSTORE_NAME_MAX];
	unsigned int i, nr = nr_fdstore;
	int fds[sizeof(fdstore) / sizeof(fdstore[0])];

	/* It may remove some of them. */
	for (i = 0; i < nr; i++) {
		strcpy(names[i], fdstore[i].name);
		fds[i] = fcntl(fdstore[i].fd, F_DUPFD_CLOEXEC, 0);
	}
	for (i = 0; i < nr; i++)
		take(context, names[i], fds[i]);
}

static void socket_path(const struct world *world, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/ctl%d", world->dir, world->pid);
}

void tapdisk_start(struct world *world)
{
	struct sockaddr_un addr;

	socket_path(world, &addr);
	world->tapdisk = (struct fake_tapdisk){ .connection = -1, .journal = -1, .shown = -1 };
	world->tapdisk.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(world->tapdisk.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(world->tapdisk.listener, 4), 0);
}

void tapdisk_die(struct world *world)
{
	struct sockaddr_un addr;

	socket_path(world, &addr);
	fd_close(&world->tapdisk.listener);
	fd_close(&world->tapdisk.connection);
	fd_close(&world->tapdisk.journal);
	fd_close(&world->tapdisk.shown);
	world->tapdisk.connected = false;
	unlink(addr.sun_path);
}

/* The first word of its journal. */
static void set_journal(struct fake_tapdisk *tapdisk, uint32_t state)
{
	if (tapdisk->journal >= 0)
		assert_int_equal(pwrite(tapdisk->journal, &state, sizeof(state), 0), sizeof(state));
}

void tapdisk_end(struct world *world)
{
	struct ctl_msg said = CTL_MSG_INIT;

	set_journal(&world->tapdisk, CTL_JOURNAL_ENDED);
	ctl_reply_error(&said, ESHUTDOWN, "told to end");
	if (world->tapdisk.connection >= 0)
		assert_int_equal(ctl_msg_send(world->tapdisk.connection, &said), 0);
	ctl_msg_clear(&said);
	tapdisk_die(world);
}

static void take_journal(struct fake_tapdisk *tapdisk, const struct ctl_msg *request)
{
	uint32_t state = 0;

	if (!ctl_has(request, "journal"))
		return;
	fd_close(&tapdisk->journal);
	tapdisk->journal = fcntl(request->fds[request->nr_fds - 1], F_DUPFD_CLOEXEC, 0);
	assert_true(tapdisk->journal >= 0);
	if (pread(tapdisk->journal, &state, sizeof(state), 0) == sizeof(state) &&
	    state == CTL_JOURNAL_SERVING)
		tapdisk->resumed++;
	assert_int_not_equal(state, CTL_JOURNAL_ENDED);
	assert_int_equal(lseek(tapdisk->journal, 0, SEEK_END), CTL_JOURNAL_BYTES);
	assert_int_not_equal(ftruncate(tapdisk->journal, 0), 0);
	set_journal(tapdisk, CTL_JOURNAL_SERVING);
}

/* Its place is behind the descriptors of the queues. */
static void take_shown(struct fake_tapdisk *tapdisk, const struct ctl_msg *request)
{
	unsigned int nr = request->nr_fds - 1 - ctl_has(request, "journal");

	fd_close(&tapdisk->shown);
	if (!ctl_has(request, "xentop"))
		return;
	assert_true(tapdisk->shows);
	tapdisk->shown = fcntl(request->fds[nr], F_DUPFD_CLOEXEC, 0);
	assert_true(tapdisk->shown >= 0);
}

static void answer_connect(struct fake_tapdisk *tapdisk, const struct ctl_msg *request,
			   struct ctl_msg *reply)
{
	struct json_object *queues, *grefs;
	struct ctl_msg queue = { 0 };
	const char *protocol;
	size_t i;

	tapdisk->connects++;
	if (tapdisk->busy && tapdisk->busy--) {
		ctl_reply_error(reply, EBUSY, "I/O is under way");
		return;
	}
	if (tapdisk->connect_error || tapdisk->connected) {
		ctl_reply_error(reply, tapdisk->connected ? EALREADY : tapdisk->connect_error,
				"no ring today");
		return;
	}
	tapdisk->fds_got = request->nr_fds;
	assert_true(json_object_object_get_ex(request->json, "queues", &queues));
	tapdisk->nr_queues = json_object_array_length(queues);
	assert_int_equal(request->nr_fds, (ctl_has(request, "gntdev") ? 2 : 3) *
			 tapdisk->nr_queues + ctl_has(request, "journal") +
			 ctl_has(request, "xentop"));
	assert_int_equal(ctl_has(request, "journal"), tapdisk->journals);
	take_journal(tapdisk, request);
	take_shown(tapdisk, request);
	queue.json = json_object_array_get_idx(queues, 0);
	assert_true(json_object_object_get_ex(queue.json, "grefs", &grefs));
	tapdisk->nr_grefs = json_object_array_length(grefs);
	for (i = 0; i < tapdisk->nr_grefs; i++)
		tapdisk->grefs[i] = json_object_get_int64(json_object_array_get_idx(grefs, i));
	assert_int_equal(ctl_get_string(request, "protocol", &protocol), 0);
	snprintf(tapdisk->protocol, sizeof(tapdisk->protocol), "%s", protocol);
	assert_int_equal(ctl_get_int(&queue, "port", 1, UINT32_MAX, &tapdisk->port), 0);
	assert_int_equal(ctl_get_bool(request, "persistent", &tapdisk->connect_persistent), 0);
	assert_int_equal(ctl_get_bool(request, "discard", &tapdisk->connect_discard), 0);
	assert_int_equal(ctl_get_bool(request, "readonly", &tapdisk->readonly), 0);
	tapdisk->connected = true;
	tapdisk->left = false;
	ctl_reply_init(reply);
}

static void answer_journal(const struct fake_tapdisk *tapdisk, struct ctl_msg *reply)
{
	struct json_object *arena, *list;

	if (!tapdisk->connected && !tapdisk->left) {
		ctl_reply_error(reply, ENOTCONN, "not connected");
		return;
	}
	arena = json_object_new_object();
	list = json_object_new_array();
	json_object_object_add(arena, "base", json_object_new_int(0x10000));
	json_object_object_add(arena, "slots",
			       json_object_new_int64(tapdisk->slots ? tapdisk->slots : 352));
	if (tapdisk->connected)
		json_object_array_add(list, arena);
	else
		json_object_put(arena);
	json_object_object_add(reply->json, "arenas", list);
	reply->fds[reply->nr_fds++] = tapdisk->lies ? memfd_create("mine", MFD_CLOEXEC) :
				      fcntl(tapdisk->journal, F_DUPFD_CLOEXEC, 0);
	if (tapdisk->connected)
		reply->fds[reply->nr_fds++] = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void answer(struct fake_tapdisk *tapdisk, const struct ctl_msg *request,
		   struct ctl_msg *reply)
{
	struct json_object *list, *arena;
	const char *cmd;

	assert_int_equal(ctl_get_string(request, "cmd", &cmd), 0);
	if (tapdisk->paused && (!strcmp(cmd, "info") || !strcmp(cmd, "connect"))) {
		ctl_reply_error(reply, EBUSY, "it is paused");
		return;
	}
	if (!strcmp(cmd, "connect")) {
		answer_connect(tapdisk, request, reply);
		return;
	}
	ctl_reply_init(reply);
	if (!strcmp(cmd, "info")) {
		ctl_set_int(reply, "sectors", tapdisk->sectors ? tapdisk->sectors : 2048);
		ctl_set_int(reply, "sector_size", 512);
		ctl_set_int(reply, "physical_sector_size", 4096);
		ctl_set_bool(reply, "readonly", false);
		ctl_set_bool(reply, "flush", true);
		ctl_set_bool(reply, "barrier", true);
		ctl_set_bool(reply, "persistent", tapdisk->persistent);
		ctl_set_int(reply, "max_indirect_segments", 256);
		ctl_set_bool(reply, "discard", tapdisk->discard_granularity != 0);
		ctl_set_int(reply, "discard_granularity", tapdisk->discard_granularity);
		ctl_set_int(reply, "discard_alignment", 0);
		ctl_set_bool(reply, "discard_secure", true);
		if (tapdisk->journals)
			ctl_set_bool(reply, "journal", true);
		if (tapdisk->shows)
			ctl_set_bool(reply, "xentop", true);
	} else if (!strcmp(cmd, "journal")) {
		answer_journal(tapdisk, reply);
	} else if (!strcmp(cmd, "arena")) {
		list = json_object_new_array();
		if (tapdisk->connected || tapdisk->left) {
			arena = json_object_new_object();
			json_object_object_add(arena, "domid", json_object_new_int(7));
			json_object_object_add(arena, "devid", json_object_new_int(51712));
			json_object_array_add(list, arena);
		}
		json_object_object_add(reply->json, "frontends", list);
	} else {
		assert_string_equal(cmd, "disconnect");
		tapdisk->disconnects++;
		if (!tapdisk->connected)
			ctl_reply_error(reply, ENOTCONN, "not connected");
		set_journal(tapdisk, CTL_JOURNAL_ENDED);
		fd_close(&tapdisk->shown);
		tapdisk->connected = false;
	}
}

void tapdisk_pause(struct fake_tapdisk *tapdisk)
{
	tapdisk->paused = true;
	tapdisk->left = tapdisk->connected && tapdisk->journals;
	tapdisk->connected = false;
	fd_close(&tapdisk->shown);
	fd_close(&tapdisk->connection);
}

void tapdisk_unpause(struct fake_tapdisk *tapdisk)
{
	tapdisk->paused = false;
	fd_close(&tapdisk->connection);
}

void tapdisk_serve(struct fake_tapdisk *tapdisk)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	const char *cmd;
	int err;

	if (tapdisk->listener < 0 || tapdisk->hangs)
		return;
	if (tapdisk->connection < 0) {
		tapdisk->connection = accept4(tapdisk->listener, NULL, NULL,
					      SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (tapdisk->connection < 0)
			return;
	}
	err = ctl_msg_recv(tapdisk->connection, &request);
	if (err == -ECONNRESET)
		fd_close(&tapdisk->connection);
	if (err)
		return;
	assert_int_equal(ctl_get_string(&request, "cmd", &cmd), 0);
	if (strcmp(cmd, "disconnect") || !tapdisk->holds_disconnect) {
		answer(tapdisk, &request, &reply);
		/* It may have gone away meanwhile. */
		if (ctl_msg_send(tapdisk->connection, &reply))
			fd_close(&tapdisk->connection);
	}
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
}

void settle(struct world *world)
{
	struct device *device;
	int i;

	world->devices.domains_ms = 0;
	for (device = world->devices.first; device; device = device->next) {
		if (!world->looks_are_dear)
			device->looks_ms -= 1000;
		/* It is time. */
		if (device->retry_ms)
			device->retry_ms = 1;
	}
	for (i = 0; i < 30; i++) {
		assert_int_equal(devices_read_watches(&world->devices), 0);
		devices_run(&world->devices);
		tapdisk_serve(&world->tapdisk);
		assert_int_equal(loop_once(&world->loop, 0), 0);
	}
}

void start_tapback(struct world *world)
{
	assert_int_equal(store_open(&world->store), 0);
	assert_int_equal(loop_init(&world->loop), 0);
	world->tapback = (struct tapback){
		.loop = &world->loop, .store = &world->store, .run_dir = world->dir,
		.xentop_dir = world->dir, .max_queues = 4,
		.first = &world->devices.first,
	};
	assert_int_equal(devices_init(&world->devices, &world->tapback), 0);
}

void stop_tapback(struct world *world)
{
	devices_uninit(&world->devices);
	loop_uninit(&world->loop);
	store_close(&world->store);
}

int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	fake_store_reset();
	guest_fds_error = 0;
	guest_fds_nr = GUEST_FDS_MAX;
	max_fdstore = sizeof(fdstore) / sizeof(fdstore[0]);
	fake_store_set("/local/domain/0/domid", "0");
	memset(&reviver, 0, sizeof(reviver));
	reviver.fd = -1;
	world->pid = PID;
	strcpy(world->dir, "/tmp/tapback.XXXXXX");
	if (!mkdtemp(world->dir))
		return -1;
	tapdisk_start(world);
	start_tapback(world);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;

	stop_tapback(world);
	tapdisk_die(world);
	record_remove(world->dir, 3);
	while (nr_fdstore)
		fdstore_remove(fdstore[0].name);
	rmdir(world->dir);
	free(world);
	return 0;
}

void set_backend(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), BACKEND "/%s", name);
	fake_store_set(path, value);
}

void set_frontend(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), FRONTEND "/%s", name);
	fake_store_set(path, value);
}

void toolstack_adds(const char *mode)
{
	set_frontend("backend", BACKEND);
	set_frontend("backend-id", "0");
	set_frontend("state", "1");
	set_backend("frontend", FRONTEND);
	set_backend("frontend-id", "7");
	set_backend("online", "1");
	set_backend("mode", mode);
	set_backend("device-type", "disk");
	set_backend("params", "aio:/x.img");
	set_backend("state", "1");
}

void script_adds(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", PID);
	set_backend("pid", pid);
	set_backend("minor", "3");
	set_backend("physical-device-path", "/run/blktap-control/nbd4321.3");
	set_backend("hotplug-status", "connected");
}

void guest_offers_ring(const char *state)
{
	set_frontend("ring-ref", "8");
	set_frontend("event-channel", "15");
	set_frontend("protocol", "x86_64-abi");
	set_frontend("state", state);
}

void connect_disk(struct world *world, const char *mode)
{
	toolstack_adds(mode);
	settle(world);
	assert_backend_state("2");
	script_adds();
	settle(world);
	guest_offers_ring("3");
	settle(world);
	assert_backend_state("4");
	set_frontend("state", "4");
	settle(world);
	assert_backend_state("4");
	assert_true(world->tapdisk.connected);
}

void toolstack_unplugs(void)
{
	set_backend("online", "0");
	set_backend("state", "5");
}
