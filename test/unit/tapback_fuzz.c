// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes as what happens to tapback, for libFuzzer: a guest that writes
 * anything into any of its nodes, at any time, also between two reads of one
 * transaction; a toolstack that adds, unplugs and removes; a tapdisk that hangs, refuses or
 * dies; a xenstore that refuses writes; restarts. What must not happen ends the
 * program, in a sanitizer or here; in the end a disk can be attached as ever.
 */
#include <ctype.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "base/log.h"
#include "fake/bytes.h"
#include "fake/tapback_rig.h"
#include "tapback/frontend.h"

#define ACTS	200u		/* of one stream, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct world *world;
	unsigned int conflicts;		/* commits that will fail */
	bool restarted;
} f;

/* ---- the guest ---- */

static const char *any_name(void)
{
	static const char *const names[] = {
		"state", "ring-ref", "ring-ref0", "ring-ref1", "ring-ref2", "ring-ref3",
		"ring-page-order", "num-ring-pages", "event-channel", "multi-queue-num-queues",
		"queue-0/ring-ref", "queue-0/ring-ref0", "queue-0/ring-ref1",
		"queue-0/event-channel", "queue-1/ring-ref", "queue-1/ring-ref0",
		"queue-1/ring-ref1", "queue-1/event-channel", "queue-3/ring-ref", "protocol",
		"feature-persistent", "backend-id", "backend",
	};

	return names[below(sizeof(names) / sizeof(names[0]))];
}

/* A number, a word that means something, or any bytes but NUL. */
static const char *any_value(void)
{
	static const char *const words[] = {
		"", "x86_64-abi", "x86_32-abi", "arm-abi", "-1", "4294967295", "4294967296", "0x1",
		" 1", "1 ", "131071", "131072", "01", "99999999999999999999", "\n", "%n",
	};
	static char text[40];
	uint32_t how = byte(), n, i;

	if (how < 160) {
		snprintf(text, sizeof(text), "%u", how % 40);
		return text;
	}
	if (how < 240)
		return words[how % (sizeof(words) / sizeof(words[0]))];
	n = below(sizeof(text));
	for (i = 0; i < n; i++)
		text[i] = (char)(1 + below(255));
	text[n] = '\0';
	return text;
}

static void do_write(void)
{
	const char *name = any_name();

	set_frontend(name, any_value());
}

static void do_state(void)
{
	static const char *const states[] = { "1", "3", "4", "5", "6", "0", "2", "7" };

	set_frontend("state", states[below(8)]);
}

static void do_offer(void)
{
	guest_offers_ring(below(2) ? "4" : "3");
}

static void do_remove(void)
{
	char path[128];

	snprintf(path, sizeof(path), FRONTEND "/%s", any_name());
	fake_store_remove(path);
}

static void do_vanish(void)
{
	if (below(4))
		return;
	fake_store_remove(byte() & 1 ? "/local/domain/7" : FRONTEND);
}

static void do_die(void)
{
	fake_store_dead_domain = below(4) ? -1 : 7;
	fake_store_fire("@releaseDomain");
}

/* It hides one node, or none. */
static void do_hide(void)
{
	static char path[128];

	snprintf(path, sizeof(path), FRONTEND "/%s", any_name());
	fake_store_forbidden = below(2) ? path : NULL;
}

/* ---- the toolstack, and the script ---- */

static void do_toolstack(void)
{
	switch (below(6)) {
	case 0:
		toolstack_adds(byte() & 1 ? "r" : "w");
		break;
	case 1:
		script_adds();
		break;
	case 2:
		toolstack_unplugs();
		break;
	case 3:
		fake_store_remove(BACKEND);
		break;
	case 4:
		set_backend("online", byte() & 1 ? "1" : "0");
		break;
	default:
		set_backend("resize", any_value());
	}
}

/* ---- tapdisk and xenstored ---- */

static void do_tapdisk(void)
{
	struct fake_tapdisk *tapdisk = &f.world->tapdisk;

	switch (below(8)) {
	case 0:
		tapdisk_die(f.world);
		break;
	case 1:
		tapdisk_die(f.world);
		tapdisk_start(f.world);
		break;
	case 2:
		tapdisk->hangs = byte() & 1;
		break;
	case 3:
		tapdisk->connect_error = byte() & 1 ? EINVAL : 0;
		break;
	case 4:
		guest_fds_error = byte() & 1 ? ENOENT : 0;
		break;
	case 5:
		tapdisk->sectors = 2048 * (1 + byte());
		break;
	case 6:
		if (tapdisk->paused)
			tapdisk_unpause(tapdisk);
		else
			tapdisk_pause(tapdisk);
		break;
	default:
		tapdisk_serve(tapdisk);
	}
}

static bool conflict(void)
{
	if (!f.conflicts)
		return false;
	f.conflicts--;
	/* Somebody was faster. */
	if (f.conflicts % 2)
		do_write();
	else
		do_remove();
	return true;
}

static void do_xenstore(void)
{
	static const int errors[] = { 0, 0, E2BIG, EAGAIN, ENOSPC };

	if (below(2))
		f.conflicts = byte() % 20;
	else
		fake_store_write_error = errors[below(5)];
}

static void do_restart(void)
{
	if (below(8))
		return;
	f.restarted = true;
	stop_tapback(f.world);
	tapdisk_serve(&f.world->tapdisk);
	start_tapback(f.world);
}

static void do_step(void)
{
	must(!devices_read_watches(&f.world->devices));
	devices_run(&f.world->devices);
	if (byte() & 1)
		tapdisk_serve(&f.world->tapdisk);
	must(!loop_once(&f.world->loop, 0));
}

static void do_settle(void)
{
	settle(f.world);
}

/* ---- what must be ---- */

/* What tapdisk is told is what it may be told, whatever a guest has written. */
static void check_told(void)
{
	const struct fake_tapdisk *tapdisk = &f.world->tapdisk;

	if (!tapdisk->connected)
		return;
	must(tapdisk->nr_queues >= 1 && tapdisk->nr_queues <= f.world->tapback.max_queues);
	must(tapdisk->nr_grefs >= 1 && tapdisk->nr_grefs <= RING_PAGES_MAX);
	must(!(tapdisk->nr_grefs & (tapdisk->nr_grefs - 1)));
	must(tapdisk->port > 0 && tapdisk->port < 131072);
	must(!strcmp(tapdisk->protocol, "x86_32") || !strcmp(tapdisk->protocol, "x86_64") ||
	     !strcmp(tapdisk->protocol, "native"));
}

static void check(void)
{
	const char *c = fake_store_get(ERROR_NODE);

	check_told();
	while (c && *c)
		must(isprint((unsigned char)*c++));
	must(!fake_store_guest_lists);
}

static bool is_backend(const char *state)
{
	const char *node = fake_store_get(BACKEND "/state");

	return node && !strcmp(node, state);
}

/* When nothing hinders anybody any more, all comes to rest, and states are true. */
static void check_at_rest(void)
{
	const struct device *device;
	int i;

	f.conflicts = 0;
	fake_store_write_error = 0;
	f.world->tapdisk.hangs = false;
	if (f.world->tapdisk.paused)
		tapdisk_unpause(&f.world->tapdisk);
	for (i = 0; i < 4; i++) {
		/* Another tapdisk was asked for: there is none to be had. */
		reviver.error = EIO;
		if (reviver.fd >= 0)
			must(!eventfd_write(reviver.fd, 1));
		settle(f.world);
	}
	for (device = f.world->devices.first; device; device = device->next) {
		must(!device->dirty);
		must(device->view.link != VBD_LINK_BUSY);
		/* One that closes before it was told is waited for like any other. */
		must(device->view.link != VBD_LINK_FRESH ||
		     device->view.frontend == XENBUS_CLOSING);
	}
	if (f.restarted)
		return;
	must(!is_backend("4") || f.world->tapdisk.connected);
	must(!is_backend("6") || !f.world->tapdisk.connected);
}

/* ---- the world ---- */

static void begin(void)
{
	void *state;

	log_set_level(LOG_EMERG);
	must(!world_setup(&state));
	f.world = state;
	f.conflicts = 0;
	f.restarted = false;
	fake_store_conflict = conflict;
	fake_store_rollback = byte() & 1;
	if (byte() & 1)
		return;
	toolstack_adds("w");
	script_adds();
	settle(f.world);
}

/* All goes away, and a new disk takes its place. */
static void end(void)
{
	void *state = f.world;

	check_at_rest();
	fake_store_forbidden = NULL;
	guest_fds_error = 0;
	fake_store_remove(BACKEND);
	fake_store_remove(FRONTEND);
	check_at_rest();
	must(!f.world->devices.first);
	fake_store_dead_domain = -1;
	reviver.error = 0;
	tapdisk_die(f.world);
	tapdisk_start(f.world);
	connect_disk(f.world, "w");
	must(!world_teardown(&state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const acts[])(void) = {
		do_write, do_write, do_state, do_offer, do_remove, do_vanish, do_die, do_hide,
		do_toolstack, do_tapdisk, do_xenstore, do_restart, do_step, do_step, do_settle,
		check_at_rest,
	};
	uint32_t i;

	bytes_are(data, size);
	begin();
	for (i = 0; i < ACTS && bytes_left(); i++) {
		acts[below(sizeof(acts) / sizeof(acts[0]))]();
		check();
	}
	end();
	return 0;
}
