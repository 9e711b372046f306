// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a disk as toolstack, guest and tapdisk see it. */
#include <errno.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/record.h"
#include "fake/tapback_rig.h"
#include "tapback/fdstore.h"

static void init_wait_comes_before_the_script(void **state)
{
	toolstack_adds("w");
	settle(*state);
	assert_backend_state("2");
	assert_node(BACKEND "/max-ring-page-order", "4");
	assert_node(BACKEND "/feature-persistent", "0");
	/* A frontend makes its rings by these. */
	assert_node(BACKEND "/multi-queue-max-queues", "4");
	assert_node(BACKEND "/feature-max-indirect-segments", "256");
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
	assert_node(BACKEND "/feature-barrier", "1");
	assert_node(BACKEND "/feature-max-indirect-segments", "256");
	assert_node(BACKEND "/feature-persistent", "0");
	assert_node(BACKEND "/feature-discard", "0");
	assert_node(BACKEND "/kthread-pid", "4321");
	assert_int_equal(world->tapdisk.nr_queues, 1);
	assert_false(world->tapdisk.connect_persistent);
	assert_false(world->tapdisk.connect_discard);
}

static void discards_are_offered_where_everybody_agrees(void **state)
{
	static const struct {
		int granularity;
		const char *mode, *enable, *offered;
	} cases[] = {
		{ 4096, "w", NULL, "1" }, { 4096, "w", "1", "1" }, { 4096, "w", "0", "0" },
		{ 4096, "r", "1", "0" }, { 0, "w", "1", "0" },
	};
	struct world *world = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_teardown(state);
		assert_int_equal(world_setup(state), 0);
		world = *state;
		world->tapdisk.discard_granularity = cases[i].granularity;
		if (cases[i].enable)
			fake_store_set(BACKEND "/discard-enable", cases[i].enable);
		connect_disk(world, cases[i].mode);
		assert_node(BACKEND "/feature-discard", cases[i].offered);
		assert_int_equal(world->tapdisk.connect_discard, *cases[i].offered == '1');
		if (*cases[i].offered == '1') {
			assert_node(BACKEND "/discard-granularity", "4096");
			assert_node(BACKEND "/discard-secure", "1");
		}
	}
}

static void without_the_module_there_is_gntdev(void **state)
{
	struct world *world = *state;

	guest_fds_nr = 2;
	connect_disk(world, "w");
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->tapdisk.fds_got, 2);
}

static void a_grown_disk_is_announced_again(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	world->tapdisk.sectors = 4096;
	settle(world);
	assert_node(BACKEND "/sectors", "2048");
	fake_store_set(BACKEND "/resize", "4096");
	settle(world);
	assert_node(BACKEND "/sectors", "4096");
	assert_node(BACKEND "/state", "4");
	assert_int_equal(world->tapdisk.connects, 1);
	/* What is said twice is heard once; not so something else. */
	world->tapdisk.sectors = 8192;
	fake_store_set(BACKEND "/resize", "4096");
	settle(world);
	assert_node(BACKEND "/sectors", "4096");
	fake_store_set(BACKEND "/resize", "8192");
	settle(world);
	assert_node(BACKEND "/sectors", "8192");
	assert_int_equal(world->tapdisk.disconnects, 0);
	/* The toolstack's word counts more. */
	fake_store_set(BACKEND "/resize", "9000");
	fake_store_set(BACKEND "/online", "0");
	fake_store_set(BACKEND "/state", "5");
	settle(world);
	assert_node(BACKEND "/sectors", "8192");
}

static void several_queues_are_handed_over(void **state)
{
	struct world *world = *state;

	world->tapdisk.persistent = true;
	fake_store_set(FRONTEND "/multi-queue-num-queues", "2");
	fake_store_set(FRONTEND "/queue-0/ring-ref", "20");
	fake_store_set(FRONTEND "/queue-0/event-channel", "30");
	fake_store_set(FRONTEND "/queue-1/ring-ref", "21");
	fake_store_set(FRONTEND "/queue-1/event-channel", "31");
	fake_store_set(FRONTEND "/feature-persistent", "1");
	connect_disk(world, "w");
	assert_int_equal(world->tapdisk.nr_queues, 2);
	assert_int_equal(world->tapdisk.fds_got, 6);
	assert_int_equal(world->tapdisk.grefs[0], 20);
	assert_int_equal(world->tapdisk.port, 30);
	assert_true(world->tapdisk.connect_persistent);
	assert_node(BACKEND "/feature-persistent", "1");
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

static void domains_that_end_together_are_looked_for_together(void **state)
{
	struct world *world = *state;
	unsigned int before;
	int i, again = -1;

	connect_disk(world, "w");
	before = fake_store_domain_looks;
	for (i = 0; i < 1000; i++) {
		fake_store_fire("@releaseDomain");
		assert_int_equal(devices_read_watches(&world->devices), 0);
		again = devices_run(&world->devices);
	}
	assert_in_range(fake_store_domain_looks - before, 1, 100);
	assert_int_equal(again, 100);
	/* The last one is not forgotten. */
	fake_store_dead_domain = 7;
	settle(world);
	assert_backend_state("6");
}

static void a_domain_that_goes_leaves_others_alone(void **state)
{
	struct world *world = *state;
	struct device *device;

	connect_disk(world, "w");
	fake_store_set("/local/domain/0/backend/vbd3/8/51712/state", "1");
	fake_store_set("/local/domain/0/backend/vbd3/8/51728/state", "1");
	settle(world);
	assert_non_null(world->devices.first->next->next);
	fake_store_remove("/local/domain/0/backend/vbd3/8");
	assert_int_equal(devices_read_watches(&world->devices), 0);
	for (device = world->devices.first; device; device = device->next)
		assert_int_equal(device->dirty, device->domid == 8);
	settle(world);
	assert_int_equal(world->devices.first->domid, 7);
	assert_null(world->devices.first->next);
	assert_true(world->tapdisk.connected);
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

/* The image is still its own under its old number, as in a migration within the host. */
static void an_image_in_use_is_waited_for(void **state)
{
	struct world *world = *state;
	int i;

	world->tapdisk.busy = 3;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("2");
	assert_null(fake_store_get(ERROR_NODE));
	for (i = 0; i < 8 && !world->tapdisk.connected; i++)
		settle(world);
	assert_int_equal(world->tapdisk.connects, 4);
	assert_int_equal(world->tapdisk.resumed, 0);
	assert_backend_state("4");
}

/* Nor is the guest kept from leaving meanwhile. */
static void an_image_in_use_keeps_no_guest(void **state)
{
	struct world *world = *state;

	world->tapdisk.busy = 1000;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	set_frontend("state", "6");
	toolstack_unplugs();
	settle(world);
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
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
	reviver.error = EPERM;
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

/* Nor when it is only asked something, be it that tapback was started anew. */
static void a_hanging_tapdisk_that_serves_is_never_called_closed(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	stop_tapback(world);
	world->tapdisk.hangs = true;
	start_tapback(world);
	settle(world);
	device_check_time(world->devices.first, clock_ms() + 600000);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("4");
	world->tapdisk.hangs = false;
	settle(world);
	assert_false(world->tapdisk.connected);
	assert_backend_state("6");
}

/* It reads the question when it can, and then has the ring. */
static void a_ring_that_may_be_connected_later_is_waited_for(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	world->tapdisk.hangs = true;
	guest_offers_ring("4");
	settle(world);
	device_check_time(world->devices.first, clock_ms() + 600000);
	settle(world);
	assert_backend_state("2");
	assert_null(fake_store_get(ERROR_NODE));
	world->tapdisk.hangs = false;
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_backend_state("4");
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

/* ---- tapdisks that are killed ---- */

static void connect_journalled(struct world *world)
{
	world->tapdisk.journals = true;
	connect_disk(world, "w");
	assert_int_equal(world->tapdisk.fds_got, 4);
	assert_int_equal(world->tapdisk.resumed, 0);
}

/* It is gone, but for its journal, and tapback has asked for another one. */
static void tapdisk_is_killed(struct world *world)
{
	int starts = reviver.starts;

	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, starts + 1);
	assert_true(reviver.fd >= 0);
	assert_backend_state("4");
}

/* The other one is there, and so is its record. */
static void another_starts(struct world *world)
{
	struct ctl_msg record = CTL_MSG_INIT;

	world->pid++;
	tapdisk_start(world);
	world->tapdisk.journals = true;
	assert_int_equal(ctl_request_init(&record, "open"), 0);
	assert_int_equal(ctl_set_int(&record, "pid", world->pid), 0);
	assert_int_equal(record_write(world->dir, 3, &record), 0);
	ctl_msg_clear(&record);
	eventfd_write(reviver.fd, 1);
}

static void a_killed_tapdisk_has_a_successor(void **state)
{
	struct world *world = *state;
	char pid[16], path[48];
	int i;

	connect_journalled(world);
	for (i = 0; i < 3; i++) {
		tapdisk_is_killed(world);
		another_starts(world);
		settle(world);
		assert_true(world->tapdisk.connected);
		assert_int_equal(world->tapdisk.resumed, 1);
		assert_int_equal(world->tapdisk.grefs[0], 8);
		snprintf(pid, sizeof(pid), "%d", world->pid);
		assert_node(BACKEND "/pid", pid);
		assert_node(BACKEND "/kthread-pid", pid);
		snprintf(path, sizeof(path), "/run/blktap-control/nbd%s.3", pid);
		assert_node(BACKEND "/physical-device-path", path);
		assert_backend_state("4");
		assert_null(fake_store_get(ERROR_NODE));
	}
	/* In the end it is unplugged as any other. */
	toolstack_unplugs();
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
	assert_int_equal(world->devices.first->kept.journal, -1);
}

/* One that ended while it drained: its I/O may hold pages, as over a network. */
static void pages_of_a_dead_tapdisk_are_waited_for(void **state)
{
	struct world *world = *state;
	int i;

	connect_journalled(world);
	world->tapdisk.holds_disconnect = true;
	set_frontend("state", "5");
	settle(world);
	set_frontend("state", "6");
	settle(world);
	reviver.pages_in_use = 4;
	tapdisk_die(world);
	for (i = 0; i < 3; i++) {
		settle(world);
		assert_backend_state("5");
	}
	assert_int_equal(reviver.starts, 0);
	for (i = 0; i < 8 && reviver.pages_in_use; i++)
		settle(world);
	settle(world);
	assert_backend_state("6");
	assert_int_equal(world->devices.first->kept.journal, -1);
	assert_int_equal(reviver.starts, 0);
}

static struct world *dying;	/* its tapdisk takes no more questions, and is gone then */

int __real_ctl_msg_send(int fd, const struct ctl_msg *msg);
int __wrap_ctl_msg_send(int fd, const struct ctl_msg *msg);

int __wrap_ctl_msg_send(int fd, const struct ctl_msg *msg)
{
	if (!dying)
		return __real_ctl_msg_send(fd, msg);
	tapdisk_die(dying);
	dying = NULL;
	return -EPIPE;
}

/* Killed, it may still take a connection, as its sockets are closed one after the other. */
static void one_that_dies_while_it_is_asked_has_a_successor(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	fd_close(&world->tapdisk.connection);
	dying = world;
	settle(world);
	assert_null(dying);
	assert_int_equal(reviver.starts, 1);
	assert_backend_state("4");
	another_starts(world);
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
	assert_backend_state("4");
}

/* Until all pages are free, however often it is looked at. */
static void expect_closed_after_pages(struct world *world)
{
	int i;

	for (i = 0; reviver.pages_in_use; i++) {
		assert_string_not_equal(fake_store_get(BACKEND "/state"), "6");
		assert_true(i < 20);
		settle(world);
	}
	settle(world);
	assert_backend_state("6");
}

/* The guest lets go of its disk while nobody serves it. */
static void closed_is_not_said_while_a_dead_one_has_pages(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_is_killed(world);
	set_frontend("state", "6");
	reviver.pages_in_use = 5;
	another_starts(world);
	settle(world);
	expect_closed_after_pages(world);
	assert_int_equal(world->tapdisk.connects, 0);
}

/* It dies as it is to disconnect: nobody is needed in its place. */
static void one_that_dies_at_disconnect_has_no_successor(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	set_frontend("state", "5");
	settle(world);
	reviver.pages_in_use = 5;
	dying = world;
	set_frontend("state", "6");
	settle(world);
	assert_null(dying);
	assert_int_equal(reviver.starts, 0);
	expect_closed_after_pages(world);
}

/* The toolstack takes it by force: there is nobody to be told. */
static void a_disk_that_is_gone_waits_for_no_pages(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	world->tapdisk.holds_disconnect = true;
	set_frontend("state", "6");
	settle(world);
	reviver.pages_in_use = 1000;
	tapdisk_die(world);
	settle(world);
	assert_string_not_equal(fake_store_get(BACKEND "/state"), "6");
	fake_store_remove(BACKEND);
	settle(world);
	assert_null(world->devices.first);
	reviver.pages_in_use = 0;
}

static void nobody_goes_on_while_pages_are_in_use(void **state)
{
	struct world *world = *state;
	int i;

	connect_journalled(world);
	tapdisk_is_killed(world);
	reviver.pages_in_use = 3;
	world->tapdisk.busy = 0;
	another_starts(world);
	world->tapdisk.busy = 2;
	settle(world);
	assert_false(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.connects, 0);
	assert_in_range(device_busy_ms(world->devices.first), 1, 50);
	for (i = 0; i < 8 && !world->tapdisk.connected; i++)
		settle(world);
	/* Three times there were pages, twice I/O. */
	assert_int_equal(world->tapdisk.connects, 3);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
	assert_true(reviver.queries >= 4);
}

static void one_that_was_told_to_end_has_none(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_end(world);
	settle(world);
	assert_int_equal(reviver.starts, 0);
	assert_backend_state("5");
}

static void a_successor_that_does_not_start_is_said(void **state)
{
	static const int errors[] = { EIO, EPERM };
	struct world *world;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		world_teardown(state);
		assert_int_equal(world_setup(state), 0);
		world = *state;
		connect_journalled(world);
		reviver.error = errors[i];
		tapdisk_die(world);
		settle(world);
		if (reviver.fd >= 0) {
			eventfd_write(reviver.fd, 1);
			settle(world);
		}
		assert_backend_state("5");
		assert_non_null(fake_store_get(ERROR_NODE));
		assert_int_equal(world->devices.first->kept.journal, -1);
	}
}

static void successors_are_not_started_for_ever(void **state)
{
	struct world *world = *state;
	unsigned int i;

	connect_journalled(world);
	for (i = 0; i < DEVICE_RESTARTS_MAX; i++) {
		tapdisk_is_killed(world);
		another_starts(world);
		settle(world);
		assert_true(world->tapdisk.connected);
	}
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, (int)DEVICE_RESTARTS_MAX);
	assert_backend_state("5");
}

/* A minute later it may happen again. */
static void successors_of_long_ago_do_not_count(void **state)
{
	struct world *world = *state;
	unsigned int i, k;

	connect_journalled(world);
	for (i = 0; i < DEVICE_RESTARTS_MAX + 3; i++) {
		tapdisk_is_killed(world);
		another_starts(world);
		settle(world);
		for (k = 0; k < DEVICE_RESTARTS_MAX; k++)
			if (world->devices.first->restarts_ms[k])
				world->devices.first->restarts_ms[k] -= DEVICE_RESTARTS_MS / 5;
	}
	assert_true(world->tapdisk.connected);
}

static void a_successor_that_is_killed_has_one_too(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_is_killed(world);
	reviver.pages_in_use = 1000;
	another_starts(world);
	settle(world);
	/* Before it was connected. */
	tapdisk_die(world);
	settle(world);
	reviver.pages_in_use = 0;
	settle(world);
	assert_int_equal(reviver.starts, 2);
	/* Before it was even looked up. */
	another_starts(world);
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, 3);
	another_starts(world);
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
}

static void a_guest_that_unplugs_keeps_its_disk_till_the_end(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	toolstack_unplugs();
	set_frontend("state", "5");
	settle(world);
	assert_backend_state("5");
	tapdisk_die(world);
	settle(world);
	another_starts(world);
	settle(world);
	assert_backend_state("5");
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
}

static void a_guest_that_is_gone_meanwhile(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_is_killed(world);
	fake_store_remove("/local/domain/7");
	settle(world);
	another_starts(world);
	settle(world);
	assert_int_equal(world->tapdisk.connects, 0);
	assert_backend_state("6");
	assert_int_equal(world->devices.first->kept.journal, -1);
	/* And a new ring in the same place begins anew. */
	assert_false(world->devices.first->view.resume);
}

static void a_device_that_is_removed_meanwhile_stays_so(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_is_killed(world);
	fake_store_remove(BACKEND);
	settle(world);
	another_starts(world);
	settle(world);
	assert_null(world->devices.first);
	assert_null(fake_store_get(BACKEND "/pid"));
}

static void a_restarted_tapback_takes_up_as_well(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	stop_tapback(world);
	tapdisk_serve(&world->tapdisk);
	start_tapback(world);
	settle(world);
	assert_int_equal(world->tapdisk.connects, 1);
	tapdisk_is_killed(world);
	another_starts(world);
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
}

static void a_tapdisk_is_killed_while_tapback_is_started_anew(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	/* The journal and an arena. */
	assert_int_equal(nr_fdstore, 2);
	stop_tapback(world);
	tapdisk_die(world);
	assert_int_equal(nr_fdstore, 2);
	start_tapback(world);
	settle(world);
	assert_int_equal(reviver.starts, 1);
	reviver.pages_in_use = 1;
	another_starts(world);
	settle(world);
	assert_false(world->tapdisk.connected);
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
	assert_int_equal(nr_fdstore, 2);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_int_equal(nr_fdstore, 0);
}

/* Nothing of it, then: the disk works, but not longer than its tapdisk. */
static void systemd_has_no_room_for_all_of_a_disk(void **state)
{
	struct world *world = *state;

	max_fdstore = 1;
	connect_journalled(world);
	assert_int_equal(nr_fdstore, 0);
	assert_backend_state("4");
	stop_tapback(world);
	start_tapback(world);
	settle(world);
	assert_true(world->tapdisk.connected);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_int_equal(nr_fdstore, 0);
}

/* Its successor is there, but was not connected yet. */
static void tapback_is_started_anew_while_one_is_replaced(void **state)
{
	struct world *world = *state;
	char pid[16];

	connect_journalled(world);
	tapdisk_is_killed(world);
	another_starts(world);
	stop_tapback(world);
	snprintf(pid, sizeof(pid), "%d", world->pid);
	set_backend("pid", pid);
	start_tapback(world);
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 1);
	assert_backend_state("4");
	assert_int_equal(reviver.starts, 1);
}

static void what_is_kept_of_a_device_that_is_gone_is_dropped(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	fdstore_put("rubbish", world->tapdisk.journal);
	fdstore_put("a9-1-0-0", world->tapdisk.journal);
	stop_tapback(world);
	start_tapback(world);
	assert_int_equal(nr_fdstore, 2);
	stop_tapback(world);
	fake_store_remove(BACKEND);
	start_tapback(world);
	assert_int_equal(nr_fdstore, 0);
}

/* The connection ended, and nothing else. */
static void a_tapdisk_that_hangs_up_is_called_again(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	fd_close(&world->tapdisk.connection);
	settle(world);
	settle(world);
	assert_int_equal(reviver.starts, 0);
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_CONNECTED);
	assert_backend_state("4");
	tapdisk_is_killed(world);
}

/* The kernel closes a dying process's connection, and then its listening socket. */
static void a_tapdisk_that_dies_is_called_once_more(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	world->tapdisk.hangs = true;
	fd_close(&world->tapdisk.connection);
	settle(world);
	assert_int_equal(reviver.starts, 0);
	tapdisk_is_killed(world);
	another_starts(world);
	settle(world);
	assert_int_equal(world->tapdisk.resumed, 1);
}

/* ---- tapdisks that close their image for a while ---- */

static void pause_disk(struct world *world)
{
	tapdisk_pause(&world->tapdisk);
	settle(world);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_PAUSED);
	assert_false(world->tapdisk.connected);
	assert_int_equal(reviver.starts, 0);
}

/* The guest goes on; there was something to be taken up @resumed times by now. */
static void unpause_disk(struct world *world, int resumed)
{
	tapdisk_unpause(&world->tapdisk);
	settle(world);
	assert_int_equal(world->tapdisk.resumed, resumed);
	assert_backend_state("4");
}

static void a_guest_goes_on_after_a_pause(void **state)
{
	struct world *world = *state;
	int i;

	connect_journalled(world);
	for (i = 1; i < 4; i++) {
		pause_disk(world);
		settle(world);
		assert_backend_state("4");
		assert_int_equal(world->tapdisk.connects, i);
		unpause_disk(world, i);
		assert_int_equal(world->tapdisk.connects, i + 1);
		assert_int_equal(world->devices.first->view.link, VBD_LINK_CONNECTED);
	}
	assert_null(fake_store_get(ERROR_NODE));
	assert_int_equal(world->tapdisk.disconnects, 0);
}

/* More often than a guest may change its mind. */
static void a_disk_is_paused_again_and_again(void **state)
{
	struct world *world = *state;
	int i, tries;

	connect_journalled(world);
	world->looks_are_dear = true;
	for (i = 1; i <= 40; i++) {
		tapdisk_pause(&world->tapdisk);
		settle(world);
		tapdisk_unpause(&world->tapdisk);
		for (tries = 0; !world->tapdisk.connected && tries < 1000; tries++) {
			usleep(1000);
			settle(world);
		}
		assert_int_equal(world->tapdisk.resumed, i);
		assert_backend_state("4");
	}
	assert_int_equal(reviver.starts, 0);
	assert_null(fake_store_get(ERROR_NODE));
}

static void a_pause_outlives_tapback(void **state)
{
	struct world *world = *state;
	unsigned int i;

	connect_journalled(world);
	/* With and without systemd to keep its descriptors: tapdisk has the journal as well. */
	for (i = 1; i <= 2; i++) {
		pause_disk(world);
		if (i == 2)
			fdstore_clear();
		stop_tapback(world);
		tapdisk_serve(&world->tapdisk);
		start_tapback(world);
		settle(world);
		assert_backend_state("4");
		assert_int_equal(world->devices.first->view.link, VBD_LINK_PAUSED);
		unpause_disk(world, i);
	}
}

/* A question that is on its way when the disk is paused: taken by nobody. */
static void a_ring_is_offered_while_the_disk_is_paused(void **state)
{
	struct world *world = *state;

	world->tapdisk.journals = true;
	toolstack_adds("w");
	script_adds();
	settle(world);
	world->tapdisk.hangs = true;
	guest_offers_ring("4");
	settle(world);
	world->tapdisk.hangs = false;
	tapdisk_pause(&world->tapdisk);
	settle(world);
	assert_backend_state("2");
	unpause_disk(world, 0);
	assert_int_equal(world->tapdisk.connects, 1);
}

static void a_ring_is_offered_to_who_has_hung_up(void **state)
{
	struct world *world = *state;

	world->tapdisk.journals = true;
	toolstack_adds("w");
	script_adds();
	settle(world);
	tapdisk_pause(&world->tapdisk);
	guest_offers_ring("4");
	/* It sees that before the connection's end. */
	assert_int_equal(devices_read_watches(&world->devices), 0);
	devices_run(&world->devices);
	settle(world);
	assert_backend_state("2");
	unpause_disk(world, 0);
}

static void a_ring_is_taken_away_while_the_disk_is_paused(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	world->tapdisk.hangs = true;
	set_frontend("state", "6");
	settle(world);
	world->tapdisk.hangs = false;
	tapdisk_pause(&world->tapdisk);
	settle(world);
	assert_backend_state("6");
	/* It comes back to its disk. */
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("2");
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("2");
	unpause_disk(world, 0);
}

static void unpaused_disk_has(struct world *world, const char *sectors)
{
	settle(world);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_PAUSED);
	tapdisk_unpause(&world->tapdisk);
	settle(world);
	assert_node(BACKEND "/sectors", sectors);
	assert_backend_state("4");
}

/* The question for its size is read by nobody, answered too late, or cannot be put. */
static void a_disk_is_paused_while_it_grows(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	world->tapdisk.hangs = true;
	world->tapdisk.sectors = 4096;
	fake_store_set(BACKEND "/resize", "4096");
	settle(world);
	world->tapdisk.hangs = false;
	tapdisk_pause(&world->tapdisk);
	unpaused_disk_has(world, "4096");

	world->tapdisk.sectors = 8192;
	world->tapdisk.paused = world->tapdisk.left = true;
	world->tapdisk.connected = false;
	fake_store_set(BACKEND "/resize", "8192");
	unpaused_disk_has(world, "8192");

	world->tapdisk.sectors = 16384;
	tapdisk_pause(&world->tapdisk);
	fake_store_set(BACKEND "/resize", "16384");
	assert_int_equal(devices_read_watches(&world->devices), 0);
	devices_run(&world->devices);
	unpaused_disk_has(world, "16384");
	assert_int_equal(world->tapdisk.disconnects, 0);
}

/* A tapback that is started while the disk is about to be paused finds it in two minds. */
static void a_pause_begins_between_two_questions(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	fdstore_clear();
	stop_tapback(world);
	tapdisk_serve(&world->tapdisk);
	world->tapdisk.left = true;
	world->tapdisk.connected = false;
	start_tapback(world);
	settle(world);
	assert_backend_state("4");
	assert_int_equal(world->devices.first->view.link, VBD_LINK_CONNECTED);
	tapdisk_pause(&world->tapdisk);
	world->tapdisk.left = true;
	settle(world);
	unpause_disk(world, 1);
}

/* Who goes on with it has its image closed as well. */
static void a_paused_tapdisk_is_killed(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	pause_disk(world);
	tapdisk_is_killed(world);
	another_starts(world);
	world->tapdisk.paused = true;
	settle(world);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_PAUSED);
	assert_backend_state("4");
	unpause_disk(world, 1);
}

static void a_paused_disk_is_unplugged(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	pause_disk(world);
	toolstack_unplugs();
	settle(world);
	/* It may still wait for answers. */
	assert_backend_state("5");
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_int_equal(world->devices.first->kept.journal, -1);
	assert_int_equal(world->tapdisk.connection, -1);
}

static void a_guest_ends_while_its_disk_is_paused(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	pause_disk(world);
	fake_store_dead_domain = 7;
	fake_store_fire("@releaseDomain");
	settle(world);
	assert_backend_state("6");
	tapdisk_unpause(&world->tapdisk);
	settle(world);
	assert_int_equal(world->tapdisk.connects, 1);
}

static void a_new_ring_waits_for_the_image(void **state)
{
	struct world *world = *state;

	world->tapdisk.journals = world->tapdisk.paused = true;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("2");
	assert_int_equal(world->tapdisk.connects, 0);
	unpause_disk(world, 0);
	assert_int_equal(world->tapdisk.connects, 1);
}

/* Between two rings, or before the first, there is nothing to take up. */
static void an_idle_disk_has_a_successor_too(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	assert_backend_state("2");
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, 1);
	another_starts(world);
	settle(world);
	assert_backend_state("2");
	assert_int_equal(world->devices.first->view.link, VBD_LINK_READY);
	guest_offers_ring("4");
	settle(world);
	assert_true(world->tapdisk.connected);
	assert_int_equal(world->tapdisk.resumed, 0);
	assert_backend_state("4");
	/* But not one that the toolstack has taken away. */
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	toolstack_unplugs();
	settle(world);
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, 1);
}

static void an_idle_one_that_dies_while_it_is_asked_has_a_successor(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	fd_close(&world->tapdisk.connection);
	dying = world;
	settle(world);
	assert_int_equal(reviver.starts, 1);
	another_starts(world);
	settle(world);
	assert_int_equal(world->devices.first->view.link, VBD_LINK_READY);
	assert_backend_state("2");
}

static void an_idle_disk_whose_tapdisk_was_told_to_end_has_none(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	tapdisk_end(world);
	settle(world);
	assert_int_equal(reviver.starts, 0);
	assert_backend_state("6");
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "ended"));
}

/* The module would be asked about each. */
static void more_slots_than_a_tapdisk_makes_are_not_kept(void **state)
{
	struct world *world = *state;

	world->tapdisk.journals = true;
	world->tapdisk.slots = UINT32_MAX;
	connect_disk(world, "w");
	assert_int_equal(world->devices.first->kept.journal, -1);
	assert_int_equal(world->devices.first->kept.nr_arenas, 0);
	assert_int_equal(nr_fdstore, 0);
}

/* It says that a file of its own is the journal, of a size that it may change. */
static void what_is_no_journal_is_not_kept(void **state)
{
	struct world *world = *state;

	world->tapdisk.journals = world->tapdisk.lies = true;
	connect_disk(world, "w");
	assert_int_equal(world->devices.first->kept.journal, -1);
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, 0);
	assert_backend_state("5");
}

static void a_successor_is_not_waited_for_for_ever(void **state)
{
	struct world *world = *state;

	connect_journalled(world);
	tapdisk_is_killed(world);
	device_check_time(world->devices.first, clock_ms() + 60000);
	settle(world);
	assert_backend_state("4");
	device_check_time(world->devices.first, clock_ms() + 120000);
	settle(world);
	assert_int_equal(reviver.stops, 1);
	assert_backend_state("5");
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
	unsigned int woken;

	toolstack_adds("w");
	settle(world);
	woken = fake_store_events;
	for (i = 0; i < 1000; i++) {
		set_frontend("state", i % 2 ? "6" : "1");
		assert_int_equal(devices_read_watches(&world->devices), 0);
		again = devices_run(&world->devices);
		runs += world->devices.first && !world->devices.first->dirty;
	}
	assert_in_range(runs, 1, 100);
	assert_in_range(fake_store_events - woken, 1, 200);
	assert_int_equal(again, 100);
	/* What it wrote meanwhile is seen a moment later, and it is heard again. */
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("2");
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	for (i = 0; i < 100; i++) {
		set_frontend("state", i % 2 ? "6" : "1");
		assert_int_equal(devices_read_watches(&world->devices), 0);
		devices_run(&world->devices);
	}
	/* The toolstack's word, too. */
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(init_wait_comes_before_the_script),
		TEST(a_disk_connects),
		TEST(discards_are_offered_where_everybody_agrees),
		TEST(without_the_module_there_is_gntdev),
		TEST(a_grown_disk_is_announced_again),
		TEST(several_queues_are_handed_over),
		TEST(a_read_only_disk_is_told_to_both),
		TEST(a_cdrom_is_marked),
		TEST(the_guest_may_be_faster_than_the_script),
		TEST(a_live_guest_is_unplugged),
		TEST(a_guest_without_driver_is_unplugged),
		TEST(a_forced_unplug_does_not_wait),
		TEST(a_vanished_guest_is_disconnected),
		TEST(a_dead_domain_is_disconnected),
		TEST(domains_that_end_together_are_looked_for_together),
		TEST(a_domain_that_goes_leaves_others_alone),
		TEST(a_removed_directory_never_comes_back),
		TEST(a_guest_reconnects),
		TEST(nodes_changed_while_connected_are_ignored),
		TEST(an_unfit_ring_is_refused_once),
		TEST(a_ring_that_tapdisk_refuses),
		TEST(an_image_in_use_is_waited_for),
		TEST(an_image_in_use_keeps_no_guest),
		TEST(a_missing_module_is_said),
		TEST(a_tapdisk_that_dies_lets_the_guest_go),
		TEST(a_dead_tapdisk_is_unplugged_from_a_guest_that_keeps_it),
		TEST(a_tapdisk_that_dies_while_closed_is_said),
		TEST(a_tapdisk_that_is_not_there_is_said),
		TEST(a_hanging_tapdisk_harms_no_other_disk),
		TEST(a_hanging_tapdisk_that_serves_is_never_called_closed),
		TEST(a_ring_that_may_be_connected_later_is_waited_for),
		TEST(a_slow_drain_is_never_called_closed),
		TEST(a_restarted_tapback_adopts_its_disks),
		TEST(a_ring_lost_over_a_restart_is_not_taken_up),
		TEST(a_connection_left_from_a_crash_starts_clean),
		TEST(a_killed_tapdisk_has_a_successor),
		TEST(pages_of_a_dead_tapdisk_are_waited_for),
		TEST(one_that_dies_while_it_is_asked_has_a_successor),
		TEST(closed_is_not_said_while_a_dead_one_has_pages),
		TEST(one_that_dies_at_disconnect_has_no_successor),
		TEST(a_disk_that_is_gone_waits_for_no_pages),
		TEST(nobody_goes_on_while_pages_are_in_use),
		TEST(one_that_was_told_to_end_has_none),
		TEST(a_successor_that_does_not_start_is_said),
		TEST(successors_are_not_started_for_ever),
		TEST(successors_of_long_ago_do_not_count),
		TEST(a_successor_that_is_killed_has_one_too),
		TEST(a_guest_that_unplugs_keeps_its_disk_till_the_end),
		TEST(a_guest_that_is_gone_meanwhile),
		TEST(a_device_that_is_removed_meanwhile_stays_so),
		TEST(a_restarted_tapback_takes_up_as_well),
		TEST(a_tapdisk_is_killed_while_tapback_is_started_anew),
		TEST(systemd_has_no_room_for_all_of_a_disk),
		TEST(tapback_is_started_anew_while_one_is_replaced),
		TEST(what_is_kept_of_a_device_that_is_gone_is_dropped),
		TEST(a_tapdisk_that_hangs_up_is_called_again),
		TEST(a_tapdisk_that_dies_is_called_once_more),
		TEST(a_guest_goes_on_after_a_pause),
		TEST(a_disk_is_paused_again_and_again),
		TEST(a_pause_outlives_tapback),
		TEST(a_ring_is_offered_while_the_disk_is_paused),
		TEST(a_ring_is_offered_to_who_has_hung_up),
		TEST(a_ring_is_taken_away_while_the_disk_is_paused),
		TEST(a_disk_is_paused_while_it_grows),
		TEST(a_pause_begins_between_two_questions),
		TEST(a_paused_tapdisk_is_killed),
		TEST(a_paused_disk_is_unplugged),
		TEST(a_guest_ends_while_its_disk_is_paused),
		TEST(a_new_ring_waits_for_the_image),
		TEST(an_idle_disk_has_a_successor_too),
		TEST(an_idle_one_that_dies_while_it_is_asked_has_a_successor),
		TEST(an_idle_disk_whose_tapdisk_was_told_to_end_has_none),
		TEST(more_slots_than_a_tapdisk_makes_are_not_kept),
		TEST(what_is_no_journal_is_not_kept),
		TEST(a_successor_is_not_waited_for_for_ever),
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
