// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What hostile guests do in xenstore, and when. Numbers: test/hostile.md. What is
 * wrong with single numbers is in tapback_frontend.c.
 */
#include <ctype.h>
#include <errno.h>

#include "base/clock.h"
#include "fake/tapback_rig.h"
#include "tapback/frontend.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Every node of a frontend that means something to somebody. */
static const char *const frontend_nodes[] = {
	"ring-ref", "ring-ref0", "ring-ref1", "ring-page-order", "num-ring-pages", "event-channel",
	"multi-queue-num-queues", "queue-0/ring-ref", "queue-0/event-channel", "queue-1/ring-ref",
	"protocol", "feature-persistent", "feature-large-sector-size", "backend", "backend-id",
	"virtual-device", "device-type", "trusted", "target-id",
};

static void guest_starts_over(struct world *world)
{
	set_frontend("state", "5");
	settle(world);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("2");
}

/* ---- content ---- */

/* One text for all nodes but a few good ones; as long as it says. */
struct text {
	const char *name;
	const char *value;
};

static int read_text(void *context, const char *name, char **value)
{
	const struct text *text = context;

	if (!strcmp(name, text->name))
		*value = strdup(text->value);
	else if (!strcmp(name, "ring-ref"))
		*value = strdup("8");
	else if (!strcmp(name, "event-channel"))
		*value = strdup("9");
	else
		return -ENOENT;
	return 0;
}

static void texts_of_ten_kilobytes(void **state)
{
	static const char *const numbers[] = {
		"ring-ref", "event-channel", "ring-page-order", "num-ring-pages",
		"multi-queue-num-queues", "protocol",
	};
	static const char fillers[] = { '0', '1', '9', ' ', 'a', '\xff' };
	struct frontend_ring ring;
	char value[10241], why[256];
	unsigned int i, f;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (f = 0; f < ARRAY_SIZE(fillers); f++) {
			struct text text = { numbers[i], value };

			memset(value, fillers[f], sizeof(value) - 1);
			value[sizeof(value) - 1] = '\0';
			/* Zeros without end are a 0. */
			if (fillers[f] == '0')
				value[0] = '-';
			assert_int_equal(frontend_read_ring(read_text, &text, 4, &ring, why,
							    sizeof(why)), -EINVAL);
			assert_true(strlen(why) < 128);
		}
	}
}

/* What a guest writes comes nowhere into what we write: not into a log, nor into nodes. */
static void text_for_other_peoples_terminals(void **state)
{
	static const char *const texts[] = {
		"8\nall is well", "\033[2J\033]0;owned\007", "%s%n%n%n%s", "$(reboot)", "'; --",
		"../../../etc/shadow", "\xff\xfe\xc3\x28", "/local/domain/0/backend",
	};
	static const char *const nodes[] = {
		"ring-ref", "event-channel", "protocol", "ring-page-order", "num-ring-pages",
		"multi-queue-num-queues",
	};
	char path[128];
	struct world *world = *state;
	unsigned int i, n;

	toolstack_adds("w");
	script_adds();
	settle(world);
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		for (n = 0; n < ARRAY_SIZE(nodes); n++) {
			const char *error, *c;

			guest_offers_ring("1");
			set_frontend(nodes[n], texts[i]);
			set_frontend("state", "4");
			settle(world);
			error = fake_store_get(ERROR_NODE);
			assert_non_null(error);
			assert_null(strstr(error, texts[i]));
			for (c = error; *c; c++)
				assert_true(isprint(*c));
			assert_backend_state("5");
			guest_starts_over(world);
			snprintf(path, sizeof(path), FRONTEND "/%s", nodes[n]);
			fake_store_remove(path);
		}
	}
	assert_int_equal(world->tapdisk.connects, 0);
}

/* A frontend's directory is large, and nobody looks what is in it. */
static void thousands_of_nodes(void **state)
{
	char path[64];
	unsigned int i;

	for (i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "junk-%u", i);
		set_frontend(path, "x");
	}
	connect_disk(*state, "w");
	assert_int_equal(fake_store_guest_lists, 0);
}

static void a_node_that_cannot_be_read(void **state)
{
	static const char *const nodes[] = { FRONTEND "/ring-ref", FRONTEND "/event-channel" };
	struct world *world = *state;
	unsigned int i;

	toolstack_adds("w");
	script_adds();
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		fake_store_forbidden = nodes[i];
		guest_offers_ring("4");
		settle(world);
		assert_backend_state("5");
		assert_non_null(strstr(fake_store_get(ERROR_NODE), "does not say"));
		guest_starts_over(world);
	}
	/* Those that may be missing. */
	fake_store_forbidden = FRONTEND "/ring-page-order";
	set_frontend("ring-page-order", "3");
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("4");
	/* A state that is hidden is one that is gone. */
	fake_store_forbidden = FRONTEND "/state";
	set_frontend("state", "4");
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
}

/* ---- changes ---- */

static void nodes_that_change_in_use(void **state)
{
	static const char *const values[] = {
		"", "0", "1", "7", "32", "4294967295", "x86_32-abi", "/local/domain/1", "junk",
	};
	struct world *world = *state;
	unsigned int n, v;

	world->tapdisk.persistent = true;
	connect_disk(world, "w");
	for (n = 0; n < ARRAY_SIZE(frontend_nodes); n++) {
		for (v = 0; v < ARRAY_SIZE(values); v++) {
			set_frontend(frontend_nodes[n], values[v]);
			set_frontend("state", v % 2 ? "3" : "4");
			settle(world);
			assert_backend_state("4");
		}
		fake_store_remove("/local/domain/7/device/vbd/51712/ring-ref");
		settle(world);
	}
	assert_int_equal(world->tapdisk.connects, 1);
	assert_int_equal(world->tapdisk.disconnects, 0);
	assert_int_equal(world->tapdisk.grefs[0], 8);
	assert_false(world->tapdisk.connect_persistent);
	assert_node(BACKEND "/frontend", FRONTEND);
}

/* What is not the guest's word is never asked from the guest. */
static void lies_about_who_it_is(void **state)
{
	struct world *world = *state;

	toolstack_adds("r");
	script_adds();
	set_frontend("backend-id", "5");
	set_frontend("backend", "/local/domain/5/backend/vbd3/7/51712");
	set_frontend("virtual-device", "1");
	set_frontend("frontend-id", "0");
	set_frontend("mode", "w");
	set_frontend("online", "0");
	set_frontend("trusted", "-1");
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("4");
	assert_true(world->tapdisk.readonly);
	assert_node(BACKEND "/info", "4");
}

static unsigned int deletions;

static bool delete_at_commit(void)
{
	if (!deletions)
		return false;
	deletions--;
	fake_store_remove(FRONTEND "/event-channel");
	return true;
}

/* Half of it was read when the other half went away. */
static void a_node_deleted_between_reads(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	deletions = 1;
	fake_store_conflict = delete_at_commit;
	guest_offers_ring("3");
	settle(world);
	fake_store_conflict = NULL;
	assert_int_equal(deletions, 0);
	assert_backend_state("5");
	assert_int_equal(world->tapdisk.connects, 0);
	guest_starts_over(world);
	guest_offers_ring("3");
	settle(world);
	assert_backend_state("4");
}

static bool rewrite_at_commit(void)
{
	set_frontend("ring-ref", "77");
	return true;
}

/* It changes its nodes as fast as they are read: refused, after so many times. */
static void nodes_that_never_stand_still(void **state)
{
	struct world *world = *state;

	toolstack_adds("w");
	script_adds();
	settle(world);
	guest_offers_ring("3");
	fake_store_conflict = rewrite_at_commit;
	settle(world);
	fake_store_conflict = NULL;
	settle(world);
	assert_backend_state("5");
	assert_int_equal(world->tapdisk.connects, 0);
	assert_non_null(strstr(fake_store_get(ERROR_NODE), "all the time"));
}

/* Only the state is watched: whatever else a guest writes does not even wake us. */
static void a_flood_of_watches(void **state)
{
	struct world *world = *state;
	unsigned int i;

	connect_disk(world, "w");
	for (i = 0; i < 3000; i++)
		set_frontend(frontend_nodes[i % ARRAY_SIZE(frontend_nodes)], i % 2 ? "1" : "2");
	assert_int_equal(devices_read_watches(&world->devices), 0);
	assert_false(world->devices.first->dirty);
	/* Of the state: one look for all that came, and a bounded number at a time. */
	for (i = 0; i < 3000; i++)
		set_frontend("state", "4");
	assert_int_equal(devices_read_watches(&world->devices), 0);
	assert_true(world->devices.first->dirty);
	assert_int_equal(devices_run(&world->devices), -1);
	assert_false(world->devices.first->dirty);
	/* There are more of them. */
	assert_int_equal(devices_read_watches(&world->devices), 0);
	assert_true(world->devices.first->dirty);
	assert_backend_state("4");
	for (i = 0; i < 20; i++)
		assert_int_equal(devices_read_watches(&world->devices), 0);
	settle(world);
	assert_backend_state("4");
	assert_int_equal(world->tapdisk.connects, 1);
}

/* ---- the order of things ---- */

static void closed_to_connected_at_once(void **state)
{
	struct world *world = *state;
	unsigned int i;

	connect_disk(world, "w");
	for (i = 1; i <= 3; i++) {
		set_frontend("state", "6");
		settle(world);
		assert_backend_state("6");
		assert_false(world->tapdisk.connected);
		guest_offers_ring(i % 2 ? "4" : "3");
		settle(world);
		assert_backend_state("4");
		assert_true(world->tapdisk.connected);
		assert_int_equal(world->tapdisk.connects, 1 + i);
		assert_int_equal(world->tapdisk.disconnects, i);
	}
}

/* Gone after each step on the way: nothing stays connected, and nothing hangs. */
static void a_guest_that_goes_while_it_connects(void **state)
{
	struct world *world = *state;
	unsigned int steps, i;

	for (steps = 0; steps < 12; steps++) {
		world_teardown(state);
		assert_int_equal(world_setup(state), 0);
		world = *state;
		toolstack_adds("w");
		settle(world);
		script_adds();
		guest_offers_ring("3");
		for (i = 0; i < steps; i++) {
			assert_int_equal(devices_read_watches(&world->devices), 0);
			devices_run(&world->devices);
			if (i % 2)
				tapdisk_serve(&world->tapdisk);
			assert_int_equal(loop_once(&world->loop, 0), 0);
		}
		if (steps % 2)
			fake_store_remove("/local/domain/7");
		fake_store_dead_domain = 7;
		fake_store_fire("@releaseDomain");
		settle(world);
		settle(world);
		assert_false(world->tapdisk.connected);
		/* The toolstack clears up. */
		toolstack_unplugs();
		settle(world);
		assert_backend_state("6");
		fake_store_remove(BACKEND);
		settle(world);
		assert_null(world->devices.first);
	}
}

/* A new guest with the number of an old one, whose pages are still in use. */
static void a_number_that_is_used_again(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	world->tapdisk.holds_disconnect = true;
	fake_store_remove(BACKEND);
	fake_store_remove("/local/domain/7");
	settle(world);
	assert_true(world->tapdisk.connected);
	toolstack_adds("r");
	script_adds();
	guest_offers_ring("3");
	settle(world);
	settle(world);
	/* It waits until the old ring is gone. */
	assert_int_equal(world->tapdisk.connects, 1);
	assert_string_not_equal(fake_store_get(BACKEND "/state"), "4");
	tapdisk_die(world);
	tapdisk_start(world);
	settle(world);
	settle(world);
	assert_backend_state("4");
	assert_int_equal(world->tapdisk.connects, 1);
	assert_true(world->tapdisk.readonly);
}

/* "online" is the toolstack's, and by itself no reason to let anybody down. */
static void online_and_state_by_themselves(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	set_backend("online", "0");
	settle(world);
	assert_backend_state("4");
	assert_true(world->tapdisk.connected);
	set_backend("online", "junk");
	settle(world);
	assert_backend_state("4");
	set_backend("online", "1");
	settle(world);
	assert_backend_state("4");
	/* Closing while it is online: the guest may come back. */
	set_backend("state", "5");
	settle(world);
	set_frontend("state", "5");
	settle(world);
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	set_frontend("state", "1");
	settle(world);
	assert_backend_state("2");
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("4");
}

/* ---- xenstored ---- */

/* What cannot be written is written later; what is connected stays so. */
static void writes_that_fail(void **state)
{
	static const int errors[] = { E2BIG, EAGAIN, ENOSPC, EACCES, EIO };
	struct world *world = *state;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		world_teardown(state);
		assert_int_equal(world_setup(state), 0);
		world = *state;
		fake_store_rollback = true;
		fake_store_write_error = errors[i];
		toolstack_adds("w");
		script_adds();
		settle(world);
		assert_backend_state("1");
		assert_true(world->devices.first->dirty);
		fake_store_write_error = 0;
		settle(world);
		assert_backend_state("2");
		guest_offers_ring("3");
		fake_store_write_error = errors[i];
		settle(world);
		settle(world);
		assert_backend_state("2");
		assert_true(world->tapdisk.connected);
		assert_null(fake_store_get(BACKEND "/sectors"));
		fake_store_write_error = 0;
		settle(world);
		assert_backend_state("4");
		assert_int_equal(world->tapdisk.connects, 1);
	}
}

/* Many disks of one guest, each of its own; none of them is in the way of another. */
static void many_disks_of_one_guest(void **state)
{
	struct world *world = *state;
	char path[128], value[64];
	unsigned int i;

	for (i = 0; i < 50; i++) {
		snprintf(value, sizeof(value), "/local/domain/7/device/vbd/%u", i);
		snprintf(path, sizeof(path), "%s/state", value);
		fake_store_set(path, i % 3 ? "4" : "1");
		snprintf(path, sizeof(path), "/local/domain/0/backend/vbd3/7/%u/frontend", i);
		fake_store_set(path, value);
		snprintf(path, sizeof(path), "/local/domain/0/backend/vbd3/7/%u/frontend-id", i);
		fake_store_set(path, "7");
		snprintf(path, sizeof(path), "/local/domain/0/backend/vbd3/7/%u/state", i);
		fake_store_set(path, "1");
	}
	settle(world);
	connect_disk(world, "w");
	for (i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "/local/domain/0/backend/vbd3/7/%u/state", i);
		assert_node(path, "2");
	}
	assert_backend_state("4");
}

#define INPUT(numbers, function) \
	{ numbers " " #function, function, world_setup, world_teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT("101", texts_of_ten_kilobytes),
		INPUT("112 113 69", nodes_that_change_in_use),
		INPUT("114", a_node_deleted_between_reads),
		INPUT("114", nodes_that_never_stand_still),
		INPUT("120", closed_to_connected_at_once),
		INPUT("122", lies_about_who_it_is),
		INPUT("123", thousands_of_nodes),
		INPUT("124", a_flood_of_watches),
		INPUT("125", a_node_that_cannot_be_read),
		INPUT("126 127", text_for_other_peoples_terminals),
		INPUT("128", writes_that_fail),
		INPUT("133 121", a_guest_that_goes_while_it_connects),
		INPUT("134", a_number_that_is_used_again),
		INPUT("135", online_and_state_by_themselves),
		INPUT("137", many_disks_of_one_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
