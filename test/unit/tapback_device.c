// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tapback's devices against a xenstore in memory and a tapdisk that this test
 * plays: the life of a disk as toolstack, guest and tapdisk see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl_msg.h"
#include "fake/xenstore.h"
#include "tapback/devices.h"
#include "tapback/guest_fds.h"

#define BACKEND		"/local/domain/0/backend/vbd3/7/51712"
#define FRONTEND	"/local/domain/7/device/vbd/51712"
#define ERROR_NODE	"/local/domain/0/error/backend/vbd3/7/51712/error"
#define PID		4321

/* The tapdisk of all disks of this test. */
struct fake_tapdisk {
	int listener;
	int connection;		/* -1: none */
	bool hangs;		/* reads nothing, answers nothing */
	bool connected;		/* a ring */
	int connect_error;	/* errno for "connect", or 0 */
	bool holds_disconnect;	/* answers it later */
	int connects, disconnects;
	unsigned int fds_got;
	int64_t grefs[16];
	size_t nr_grefs;
	char protocol[16];
	int64_t port;
	bool readonly;
};

struct world {
	char dir[32];
	struct loop loop;
	struct store store;
	struct tapback tapback;
	struct devices devices;
	struct fake_tapdisk tapdisk;
};

static int guest_fds_error;

/* Instead of the real one, which needs Xen. */
int guest_fds_open(uint32_t domid, int fds[NR_GUEST_FDS], char *why, size_t why_size)
{
	int i;

	assert_int_equal(domid, 7);
	for (i = 0; i < NR_GUEST_FDS; i++)
		fds[i] = guest_fds_error ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
	if (guest_fds_error)
		snprintf(why, why_size, "/dev/xen/tap is missing");
	return -guest_fds_error;
}

static void socket_path(const struct world *world, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/ctl%d", world->dir, PID);
}

static void tapdisk_start(struct world *world)
{
	struct sockaddr_un addr;

	socket_path(world, &addr);
	world->tapdisk = (struct fake_tapdisk){ .connection = -1 };
	world->tapdisk.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(world->tapdisk.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(world->tapdisk.listener, 4), 0);
}

static void tapdisk_die(struct world *world)
{
	struct sockaddr_un addr;

	socket_path(world, &addr);
	fd_close(&world->tapdisk.listener);
	fd_close(&world->tapdisk.connection);
	world->tapdisk.connected = false;
	unlink(addr.sun_path);
}

static void answer_connect(struct fake_tapdisk *tapdisk, const struct ctl_msg *request,
			   struct ctl_msg *reply)
{
	struct json_object *grefs;
	const char *protocol;
	size_t i;

	tapdisk->connects++;
	if (tapdisk->connect_error || tapdisk->connected) {
		ctl_reply_error(reply, tapdisk->connected ? EALREADY : tapdisk->connect_error,
				"no ring today");
		return;
	}
	tapdisk->fds_got = request->nr_fds;
	assert_true(json_object_object_get_ex(request->json, "grefs", &grefs));
	tapdisk->nr_grefs = json_object_array_length(grefs);
	for (i = 0; i < tapdisk->nr_grefs; i++)
		tapdisk->grefs[i] = json_object_get_int64(json_object_array_get_idx(grefs, i));
	assert_int_equal(ctl_get_string(request, "protocol", &protocol), 0);
	snprintf(tapdisk->protocol, sizeof(tapdisk->protocol), "%s", protocol);
	assert_int_equal(ctl_get_int(request, "port", 1, UINT32_MAX, &tapdisk->port), 0);
	assert_int_equal(ctl_get_bool(request, "readonly", &tapdisk->readonly), 0);
	tapdisk->connected = true;
	ctl_reply_init(reply);
}

static void answer(struct fake_tapdisk *tapdisk, const struct ctl_msg *request,
		   struct ctl_msg *reply)
{
	struct json_object *list, *arena;
	const char *cmd;

	assert_int_equal(ctl_get_string(request, "cmd", &cmd), 0);
	if (!strcmp(cmd, "connect")) {
		answer_connect(tapdisk, request, reply);
		return;
	}
	ctl_reply_init(reply);
	if (!strcmp(cmd, "info")) {
		ctl_set_int(reply, "sectors", 2048);
		ctl_set_int(reply, "sector_size", 512);
		ctl_set_int(reply, "physical_sector_size", 4096);
		ctl_set_bool(reply, "readonly", false);
		ctl_set_bool(reply, "flush", true);
	} else if (!strcmp(cmd, "arena")) {
		list = json_object_new_array();
		if (tapdisk->connected) {
			arena = json_object_new_object();
			json_object_object_add(arena, "domid", json_object_new_int(7));
			json_object_object_add(arena, "devid", json_object_new_int(51712));
			json_object_array_add(list, arena);
		}
		json_object_object_add(reply->json, "arenas", list);
	} else {
		assert_string_equal(cmd, "disconnect");
		tapdisk->disconnects++;
		if (!tapdisk->connected)
			ctl_reply_error(reply, ENOTCONN, "not connected");
		tapdisk->connected = false;
	}
}

static void tapdisk_serve(struct fake_tapdisk *tapdisk)
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
		assert_int_equal(ctl_msg_send(tapdisk->connection, &reply), 0);
	}
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
}

/* Let everybody do what they can, until nothing is left. Time passes. */
static void settle(struct world *world)
{
	struct device *device;
	int i;

	for (device = world->devices.first; device; device = device->next)
		device->looks_ms -= 1000;
	for (i = 0; i < 30; i++) {
		assert_int_equal(devices_read_watches(&world->devices), 0);
		devices_run(&world->devices);
		tapdisk_serve(&world->tapdisk);
		assert_int_equal(loop_once(&world->loop, 0), 0);
	}
}

static void start_tapback(struct world *world)
{
	assert_int_equal(store_open(&world->store), 0);
	assert_int_equal(loop_init(&world->loop), 0);
	world->tapback = (struct tapback){
		.loop = &world->loop, .store = &world->store, .run_dir = world->dir,
	};
	assert_int_equal(devices_init(&world->devices, &world->tapback), 0);
}

static void stop_tapback(struct world *world)
{
	devices_uninit(&world->devices);
	loop_uninit(&world->loop);
	store_close(&world->store);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	fake_store_reset();
	guest_fds_error = 0;
	fake_store_set("/local/domain/0/domid", "0");
	strcpy(world->dir, "/tmp/tapback.XXXXXX");
	if (!mkdtemp(world->dir))
		return -1;
	tapdisk_start(world);
	start_tapback(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	stop_tapback(world);
	tapdisk_die(world);
	rmdir(world->dir);
	free(world);
	return 0;
}

static void set_backend(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), BACKEND "/%s", name);
	fake_store_set(path, value);
}

static void set_frontend(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), FRONTEND "/%s", name);
	fake_store_set(path, value);
}

#define assert_node(path, value) do { \
	const char *node_ = fake_store_get(path); \
	assert_non_null(node_); \
	assert_string_equal(node_, value); \
} while (0)

#define assert_backend_state(value) assert_node(BACKEND "/state", value)

/* What the toolstack writes for a new disk. */
static void toolstack_adds(const char *mode)
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

static void script_adds(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", PID);
	set_backend("pid", pid);
	set_backend("minor", "3");
	set_backend("physical-device-path", "/run/blktap-control/nbd4321.3");
	set_backend("hotplug-status", "connected");
}

static void guest_offers_ring(const char *state)
{
	set_frontend("ring-ref", "8");
	set_frontend("event-channel", "15");
	set_frontend("protocol", "x86_64-abi");
	set_frontend("state", state);
}

static void connect_disk(struct world *world, const char *mode)
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

static void toolstack_unplugs(void)
{
	set_backend("online", "0");
	set_backend("state", "5");
}

static void init_wait_comes_before_the_script(void **state)
{
	toolstack_adds("w");
	settle(*state);
	assert_backend_state("2");
	assert_node(BACKEND "/max-ring-page-order", "4");
	assert_node(BACKEND "/feature-persistent", "0");
	assert_null(fake_store_get(BACKEND "/sectors"));
}

static void a_disk_connects(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->tapdisk.fds_got, 3);
	assert_int_equal(world->tapdisk.nr_grefs, 1);
	assert_int_equal(world->tapdisk.grefs[0], 8);
	assert_int_equal(world->tapdisk.port, 15);
	assert_string_equal(world->tapdisk.protocol, "x86_64");
	assert_false(world->tapdisk.readonly);
	assert_node(BACKEND "/sectors", "2048");
	assert_node(BACKEND "/sector-size", "512");
	assert_node(BACKEND "/physical-sector-size", "4096");
	assert_node(BACKEND "/info", "0");
	assert_node(BACKEND "/feature-flush-cache", "1");
	assert_node(BACKEND "/feature-barrier", "0");
	assert_node(BACKEND "/feature-discard", "0");
	assert_node(BACKEND "/kthread-pid", "4321");
}

static void a_read_only_disk_is_told_to_both(void **state)
{
	struct world *world = *state;

	connect_disk(world, "r");
	assert_true(world->tapdisk.readonly);
	assert_node(BACKEND "/info", "4");
}

static void a_cdrom_is_marked(void **state)
{
	struct world *world = *state;

	toolstack_adds("r");
	set_backend("device-type", "cdrom");
	settle(world);
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_node(BACKEND "/info", "5");
}

static void the_guest_may_be_faster_than_the_script(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("2");
	assert_int_equal(world->tapdisk.connects, 0);
	script_adds();
	settle(world);
	assert_backend_state("4");
}

static void a_live_guest_is_unplugged(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	toolstack_unplugs();
	settle(world);
	/* It still uses the disk. */
	assert_backend_state("5");
	assert_true(world->tapdisk.connected);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
	/* Nothing is left to be told when the script ends the tapdisk. */
	assert_int_equal(world->tapdisk.connection, -1);
	tapdisk_die(world);
	settle(world);
	assert_null(fake_store_get(ERROR_NODE));
	assert_non_null(fake_store_get(BACKEND "/pid"));
	fake_store_remove(BACKEND);
	settle(world);
	assert_null(world->devices.first);
	assert_null(fake_store_get(BACKEND "/state"));
}

static void a_guest_without_driver_is_unplugged(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	settle(world);
	script_adds();
	settle(world);
	toolstack_unplugs();
	settle(world);
	assert_backend_state("6");
}

static void a_forced_unplug_does_not_wait(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	fake_store_remove(FRONTEND);
	toolstack_unplugs();
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
}

static void a_vanished_guest_is_disconnected(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	fake_store_remove("/local/domain/7");
	settle(world);
	assert_false(world->tapdisk.connected);
	assert_backend_state("6");
}

static void a_dead_domain_is_disconnected(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	fake_store_fire("@releaseDomain");
	settle(world);
	assert_backend_state("4");
	fake_store_dead_domain = 7;
	fake_store_fire("@releaseDomain");
	settle(world);
	assert_false(world->tapdisk.connected);
	assert_backend_state("6");
}

static void a_removed_directory_never_comes_back(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	world->tapdisk.holds_disconnect = true;
	fake_store_remove(BACKEND);
	settle(world);
	assert_non_null(world->devices.first);
	/* It answers. */
	world->tapdisk.holds_disconnect = false;
	world->devices.first->view.link = VBD_LINK_CONNECTED;
	world->devices.first->dirty = true;
	settle(world);
	assert_null(world->devices.first);
	assert_null(fake_store_get(BACKEND "/state"));
}

static void a_guest_reconnects(void **state)
{
	struct world *world = *state;
	int i;

	connect_disk(world, "w");
	for (i = 0; i < 3; i++) {
		set_frontend("state", "5");
		settle(world);
		assert_backend_state("5");
		assert_true(world->tapdisk.connected);
		set_frontend("state", "6");
		settle(world);
		assert_backend_state("6");
		assert_false(world->tapdisk.connected);
		set_frontend("state", "1");
		settle(world);
		assert_backend_state("2");
		guest_offers_ring("3");
		settle(world);
		assert_backend_state("4");
	}
	assert_int_equal(world->tapdisk.connects, 4);
}

static void nodes_changed_while_connected_are_ignored(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	set_frontend("ring-ref", "99");
	set_frontend("state", "3");
	settle(world);
	set_frontend("state", "4");
	settle(world);
	set_frontend("state", "1");
	settle(world);
	set_frontend("state", "4");
	settle(world);
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->tapdisk.disconnects, 0);
	assert_backend_state("4");
}

static void an_unfit_ring_is_refused_once(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	set_frontend("ring-page-order", "32");
	guest_offers_ring("3");
	settle(world);
	assert_backend_state("5");
	assert_int_equal(world->tapdisk.connects, 0);
	assert_non_null(fake_store_get(ERROR_NODE));
	/* A clean restart is welcome. */
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	fake_store_remove(FRONTEND "/ring-page-order");
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("2");
	assert_null(fake_store_get(ERROR_NODE));
	guest_offers_ring("3");
	settle(world);
	assert_backend_state("4");
}

static void a_ring_that_tapdisk_refuses(void **state)
{
	struct world *world = *state;

	world->tapdisk.connect_error = EINVAL;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("5");
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "no ring today"));
	assert_int_equal(world->tapdisk.connects, 1);
}

static void a_missing_module_is_said(void **state)
{
	struct world *world = *state;

	guest_fds_error = ENOENT;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("5");
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "/dev/xen/tap is missing"));
}

static void a_tapdisk_that_dies_lets_the_guest_go(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	tapdisk_die(world);
	settle(world);
	assert_backend_state("5");
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "ended"));
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("6");
	toolstack_unplugs();
	settle(world);
	assert_backend_state("6");
}

static void a_dead_tapdisk_is_unplugged_from_a_guest_that_keeps_it(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	tapdisk_die(world);
	settle(world);
	assert_backend_state("5");
	toolstack_unplugs();
	settle(world);
	assert_backend_state("6");
}

static void a_tapdisk_that_dies_while_closed_is_said(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	tapdisk_die(world);
	settle(world);
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "ended"));
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("6");
}

static void a_tapdisk_that_is_not_there_is_said(void **state)
{
	struct world *world = *state;

	tapdisk_die(world);
	toolstack_adds("w");
	script_adds();
	settle(world);
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "is not running"));
}

static void a_hanging_tapdisk_harms_no_other_disk(void **state)
{
	struct world *world = *state;
	struct device *device;

	world->tapdisk.hangs = true;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("2");
	/* Another disk of another guest still gets its InitWait. */
	fake_store_set("/local/domain/8/device/vbd/1/state", "1");
	fake_store_set("/local/domain/0/backend/vbd3/8/1/frontend",
		       "/local/domain/8/device/vbd/1");
	fake_store_set("/local/domain/0/backend/vbd3/8/1/frontend-id", "8");
	fake_store_set("/local/domain/0/backend/vbd3/8/1/state", "1");
	settle(world);
	assert_node("/local/domain/0/backend/vbd3/8/1/state", "2");
	/* Half a minute later it is given up. */
	for (device = world->devices.first; device; device = device->next)
		device_check_time(device, clock_ms() + 30000);
	settle(world);
	assert_backend_state("5");
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "did not answer"));
}

static void a_slow_drain_is_never_called_closed(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	world->tapdisk.holds_disconnect = true;
	set_frontend("state", "5");
	settle(world);
	set_frontend("state", "6");
	settle(world);
	device_check_time(world->devices.first, clock_ms() + 600000);
	settle(world);
	assert_backend_state("5");
	/* Only its end tells that the guest's pages are free. */
	tapdisk_die(world);
	settle(world);
	assert_backend_state("6");
}

static void a_restarted_tapback_adopts_its_disks(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	stop_tapback(world);
	tapdisk_serve(&world->tapdisk);
	assert_true(world->tapdisk.connected);
	start_tapback(world);
	settle(world);
	assert_backend_state("4");
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->tapdisk.disconnects, 0);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_CONNECTED);
	/* And still knows how to end it. */
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
}

static void a_ring_lost_over_a_restart_is_not_taken_up(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	stop_tapback(world);
	tapdisk_serve(&world->tapdisk);
	world->tapdisk.connected = false;
	start_tapback(world);
	settle(world);
	assert_backend_state("5");
	assert_int_equal(world->tapdisk.connects, 1);
	stop_tapback(world);
	tapdisk_serve(&world->tapdisk);
	start_tapback(world);
	settle(world);
	assert_int_equal(world->tapdisk.connects, 1);
}

static void a_connection_left_from_a_crash_starts_clean(void **state)
{
	struct world *world = *state;

	/* tapback ended after "connect", before it could say so. */
	world->tapdisk.connected = true;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("3");
	settle(world);
	assert_backend_state("4");
	assert_int_equal(world->tapdisk.disconnects, 1);
	assert_int_equal(world->tapdisk.connects, 2);
}

static void junk_in_state_is_ignored(void **state)
{
	static const char *const junk[] = {
		"", "x", "-1", "2", "7", "8", "9", "4000000000", "99999999999", " 4", "6\n",
	};
	struct world *world = *state;
	size_t i;

	connect_disk(world, "w");
	for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		set_frontend("state", junk[i]);
		settle(world);
		assert_backend_state("4");
	}
	assert_true(world->tapdisk.connected);
	set_frontend("state", "0");
	settle(world);
	assert_backend_state("6");
}

static void a_flapping_guest_is_slowed_down(void **state)
{
	struct world *world = *state;
	int i, runs = 0, again = -1;

	toolstack_adds("w");
	settle(world);
	for (i = 0; i < 1000; i++) {
		set_frontend("state", i % 2 ? "6" : "1");
		assert_int_equal(devices_read_watches(&world->devices), 0);
		again = devices_run(&world->devices);
		runs += world->devices.first && !world->devices.first->dirty;
	}
	assert_in_range(runs, 1, 100);
	assert_int_equal(again, 100);
	/* The toolstack's word is heard a moment later. */
	toolstack_unplugs();
	settle(world);
	assert_backend_state("6");
}

static void a_frontend_outside_its_guest_is_not_touched(void **state)
{
	struct world *world = *state;

	fake_store_set("/local/domain/8/device/vbd/51712/state", "1");
	toolstack_adds("w");
	set_backend("frontend", "/local/domain/8/device/vbd/51712");
	settle(world);
	assert_backend_state("1");
	assert_non_null(fake_store_get(ERROR_NODE));
	set_backend("frontend", FRONTEND);
	set_backend("frontend-id", "8");
	settle(world);
	assert_backend_state("1");
}

static void names_that_are_no_numbers_are_ignored(void **state)
{
	struct world *world = *state;

	fake_store_set("/local/domain/0/backend/vbd3/x/1/state", "1");
	fake_store_set("/local/domain/0/backend/vbd3/7/xvda/state", "1");
	fake_store_set("/local/domain/0/backend/vbd3/99999/1/state", "1");
	fake_store_set("/local/domain/0/backend/vbd3/7/99999999999/state", "1");
	settle(world);
	assert_null(world->devices.first);
}

static int conflicts_left;

static bool conflict_some_times(void)
{
	return conflicts_left-- > 0;
}

static void conflicting_transactions_are_tried_again(void **state)
{
	struct world *world = *state;

	conflicts_left = 3;
	fake_store_conflict = conflict_some_times;
	connect_disk(world, "w");
}

static bool unplug_at_commit(void)
{
	/* The toolstack's word came between our read and our write. */
	fake_store_conflict = NULL;
	fake_store_set(BACKEND "/online", "0");
	fake_store_set(BACKEND "/state", "5");
	return true;
}

static void the_toolstacks_word_is_not_overwritten(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	settle(world);
	script_adds();
	settle(world);
	set_frontend("state", "5");
	fake_store_conflict = unplug_at_commit;
	settle(world);
	assert_backend_state("6");
	assert_int_equal(world->tapdisk.connects, 0);
}

static void the_end_of_xenstored_is_seen(void **state)
{
	struct world *world = *state;

	fake_store_ended = true;
	assert_true(devices_read_watches(&world->devices) < 0);
	fake_store_ended = false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(init_wait_comes_before_the_script),
		TEST(a_disk_connects),
		TEST(a_read_only_disk_is_told_to_both),
		TEST(a_cdrom_is_marked),
		TEST(the_guest_may_be_faster_than_the_script),
		TEST(a_live_guest_is_unplugged),
		TEST(a_guest_without_driver_is_unplugged),
		TEST(a_forced_unplug_does_not_wait),
		TEST(a_vanished_guest_is_disconnected),
		TEST(a_dead_domain_is_disconnected),
		TEST(a_removed_directory_never_comes_back),
		TEST(a_guest_reconnects),
		TEST(nodes_changed_while_connected_are_ignored),
		TEST(an_unfit_ring_is_refused_once),
		TEST(a_ring_that_tapdisk_refuses),
		TEST(a_missing_module_is_said),
		TEST(a_tapdisk_that_dies_lets_the_guest_go),
		TEST(a_dead_tapdisk_is_unplugged_from_a_guest_that_keeps_it),
		TEST(a_tapdisk_that_dies_while_closed_is_said),
		TEST(a_tapdisk_that_is_not_there_is_said),
		TEST(a_hanging_tapdisk_harms_no_other_disk),
		TEST(a_slow_drain_is_never_called_closed),
		TEST(a_restarted_tapback_adopts_its_disks),
		TEST(a_ring_lost_over_a_restart_is_not_taken_up),
		TEST(a_connection_left_from_a_crash_starts_clean),
		TEST(junk_in_state_is_ignored),
		TEST(a_flapping_guest_is_slowed_down),
		TEST(a_frontend_outside_its_guest_is_not_touched),
		TEST(names_that_are_no_numbers_are_ignored),
		TEST(conflicting_transactions_are_tried_again),
		TEST(the_toolstacks_word_is_not_overwritten),
		TEST(the_end_of_xenstored_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
