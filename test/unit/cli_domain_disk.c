// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl attach-domain, detach-domain, with a xenstore, a tapback and a guest in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xenstore.h>

#include "base/clock.h"
#include "cli/domain_disk.h"
#include "fake/xenstore.h"

#define BACK	"/local/domain/0/backend/vbd3/5/51728"
#define FRONT	"/local/domain/5/device/vbd/51728"
/* Of the domain that comes after. */
#define NEXT_BACK	"/local/domain/0/backend/vbd3/6/51728"
#define NEXT_FRONT	"/local/domain/6/device/vbd/51728"

/* What the others do. */
static struct {
	bool tapback;		/* it runs */
	bool guest;		/* it connects, and lets go */
	int serve_error;
	int served, ended, pauses;
	int conflicts;
	const char *image;
} host;

static struct xs_handle *xs;

static int serve(void *context, const struct domain_disk *disk, int *pid, int *minor)
{
	assert_ptr_equal(context, &host);
	host.served++;
	host.image = disk->image;
	if (host.serve_error)
		return host.serve_error;
	*pid = 4242;
	*minor = 7;
	return 0;
}

static int end(void *context, int pid, int minor)
{
	assert_ptr_equal(context, &host);
	assert_int_equal(pid, 4242);
	assert_int_equal(minor, 7);
	host.ended++;
	return 0;
}

static bool is(const char *path, const char *value)
{
	const char *found = fake_store_get(path);

	return found && !strcmp(found, value);
}

/* What tapback and the guest do next about a disk, its state being node @state. */
static void step(const char *state, const char *hotplug, const char *front)
{
	if (is(state, "1"))
		fake_store_set(state, "2");
	else if (host.guest && is(hotplug, "connected") && is(state, "2"))
		fake_store_set(state, "4");
	else if (is(state, "5") && (host.guest || !fake_store_get(front)))
		fake_store_set(state, "6");
}

/* Time must not stand still. */
static void pause_step(void *context)
{
	uint64_t start = clock_ms();

	(void)context;
	host.pauses++;
	while (clock_ms() == start)
		;
	if (!host.tapback)
		return;
	step(BACK "/state", BACK "/hotplug-status", FRONT "/state");
	step(NEXT_BACK "/state", NEXT_BACK "/hotplug-status", NEXT_FRONT "/state");
}

static const struct domain_disk_ops ops = { serve, end, pause_step, &host };

static const struct domain_disk disk = {
	.domain = "5", .device = "xvdb", .image = "aio:/srv/a b:c.img", .timeout_ms = 100,
};

static bool conflict(void)
{
	return host.conflicts-- > 0;
}

static int reset(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	host.tapback = host.guest = true;
	fake_store_reset();
	fake_store_conflict = conflict;
	fake_store_rollback = true;
	fake_store_dead_domain = -1;
	fake_store_set("/local/domain/5/name", "web");
	xs = xs_open(0);
	return 0;
}

static int done(void **state)
{
	(void)state;
	xs_close(xs);
	return 0;
}

static void assert_nothing_left(void)
{
	assert_null(fake_store_get(BACK));
	assert_null(fake_store_get(BACK "/state"));
	assert_null(fake_store_get(FRONT));
	assert_null(fake_store_get(FRONT "/state"));
}

static void attach_and_detach(void **state)
{
	(void)state;
	host.conflicts = 3;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), 0);
	assert_int_equal(host.served, 1);
	assert_true(is(BACK "/params", "aio:/srv/a b:c.img"));
	assert_true(is(BACK "/frontend", FRONT));
	assert_true(is(BACK "/frontend-id", "5"));
	assert_true(is(BACK "/mode", "w"));
	assert_true(is(BACK "/type", "vbd3"));
	assert_true(is(BACK "/pid", "4242"));
	assert_true(is(BACK "/minor", "7"));
	assert_true(is(BACK "/physical-device-path", "/run/blktap-control/nbd4242.7"));
	assert_true(is(BACK "/state", "4"));
	assert_true(is(FRONT "/backend", BACK));
	assert_true(is(FRONT "/backend-id", "0"));
	assert_true(is(FRONT "/virtual-device", "51728"));
	/* The guest reads the one side, and owns the other. */
	assert_string_equal(fake_store_perms(BACK), "n0,r5");
	assert_string_equal(fake_store_perms(FRONT), "n5,r0");

	assert_int_equal(domain_disk_detach(xs, &disk, &ops), 0);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

static void by_name_and_read_only(void **state)
{
	struct domain_disk named = disk;

	(void)state;
	named.domain = "web";
	named.readonly = true;
	assert_int_equal(domain_disk_attach(xs, &named, &ops), 0);
	assert_true(is(BACK "/mode", "r"));
	assert_true(is(BACK "/discard-enable", "0"));
	named.domain = "mail";
	assert_int_equal(domain_disk_detach(xs, &named, &ops), -ENOENT);
	assert_int_equal(host.ended, 0);
	named.domain = "web";
	assert_int_equal(domain_disk_detach(xs, &named, &ops), 0);
}

static void what_is_there_stays(void **state)
{
	(void)state;
	fake_store_set(FRONT "/backend", "/local/domain/0/backend/qdisk/5/51728");
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), -EEXIST);
	assert_true(is(FRONT "/backend", "/local/domain/0/backend/qdisk/5/51728"));
	assert_null(fake_store_get(BACK "/params"));
	assert_int_equal(host.served, 0);
	/* And it is none of ours to detach. */
	assert_int_equal(domain_disk_detach(xs, &disk, &ops), -ENOENT);
	assert_true(is(FRONT "/backend", "/local/domain/0/backend/qdisk/5/51728"));
}

static void no_such_domain(void **state)
{
	(void)state;
	fake_store_dead_domain = 5;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), -ENOENT);
	assert_nothing_left();
	assert_int_equal(host.pauses, 0);
}

static void image_cannot_be_served(void **state)
{
	(void)state;
	host.serve_error = -EACCES;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), -EACCES);
	assert_int_equal(host.ended, 0);
	assert_nothing_left();
}

static void guest_does_not_connect(void **state)
{
	uint64_t start = clock_ms();

	(void)state;
	host.guest = false;
	/* It lets go as soon as its side is gone, or not at all: both end in time. */
	fake_store_set("/local/domain/0/error/backend/vbd3/5/51728/error", "22 no ring");
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), -ETIMEDOUT);
	assert_true(clock_ms() - start < 30000);
	assert_int_equal(host.served, 1);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

static bool guest_dies_at_serve(void)
{
	if (host.served)
		fake_store_dead_domain = 5;
	return false;
}

static void guest_ends_meanwhile(void **state)
{
	struct domain_disk patient = disk;

	(void)state;
	host.guest = false;
	patient.timeout_ms = 3600 * 1000;
	fake_store_conflict = guest_dies_at_serve;
	assert_int_equal(domain_disk_attach(xs, &patient, &ops), -ENOENT);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

static void others_never_rest(void **state)
{
	(void)state;
	host.conflicts = 1000000;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), -EAGAIN);
	assert_int_equal(host.served, 0);
}

/* Mounted: refused, and it goes on; with --force it is broken off. */
static void guest_does_not_let_go(void **state)
{
	struct domain_disk forced = disk;

	(void)state;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), 0);
	host.guest = false;
	assert_int_equal(domain_disk_detach(xs, &disk, &ops), -EBUSY);
	assert_int_equal(host.ended, 0);
	assert_true(is(BACK "/pid", "4242"));
	assert_non_null(fake_store_get(FRONT "/state"));
	forced.force = true;
	assert_int_equal(domain_disk_detach(xs, &forced, &ops), 0);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

/* tapback is down, and the administrator wants it gone. */
static void force_without_tapback(void **state)
{
	struct domain_disk forced = disk;

	(void)state;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), 0);
	host.tapback = false;
	forced.force = true;
	assert_int_equal(domain_disk_detach(xs, &forced, &ops), 0);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

/* The domain is gone, and its side with it: what is left is cleaned up. */
static void after_the_domain(void **state)
{
	(void)state;
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), 0);
	fake_store_remove("/local/domain/5");
	fake_store_set(BACK "/state", "6");
	assert_int_equal(domain_disk_detach(xs, &disk, &ops), 0);
	assert_int_equal(host.ended, 1);
	assert_nothing_left();
}

/* The same, when the image is attached to the domain that comes after. */
static void after_the_domain_by_the_next(void **state)
{
	struct domain_disk next = disk;

	(void)state;
	next.domain = "6";
	assert_int_equal(domain_disk_attach(xs, &disk, &ops), 0);
	fake_store_set("/local/domain/6/name", "web");
	assert_int_equal(domain_disk_attach(xs, &next, &ops), 0);
	assert_int_equal(host.ended, 0);
	assert_int_equal(domain_disk_detach(xs, &next, &ops), 0);
	assert_int_equal(host.ended, 1);

	/* Domain 5 ends. What others attached to it is not touched. */
	fake_store_remove("/local/domain/5");
	fake_store_dead_domain = 5;
	fake_store_set("/local/domain/0/backend/vbd3/5/51744/state", "6");
	fake_store_set("/local/domain/0/backend/vbd3/5/51744/dev", "xvdc");
	assert_int_equal(domain_disk_attach(xs, &next, &ops), 0);
	assert_int_equal(host.ended, 2);
	assert_nothing_left();
	assert_true(is("/local/domain/0/backend/vbd3/5/51744/state", "6"));
	assert_true(is(NEXT_BACK "/state", "4"));
}

static void numbers_of_devices(void **state)
{
	static const struct {
		const char *name;
		uint32_t number;
	} good[] = {
		{ "xvda", 51712 }, { "xvdb", 51728 }, { "xvda1", 51713 }, { "xvdp15", 51967 },
		{ "xvdq", (1u << 28) | 16 << 8 }, { "xvda16", (1u << 28) | 16 },
		{ "xvdaa", (1u << 28) | 26 << 8 }, { "xvdzz255", (1u << 28) | 701 << 8 | 255 },
	};
	static const char *const bad[] = {
		"", "xvd", "xvd1", "xvda0", "xvda01", "xvda256", "xvdaaa", "xvda 1", "hda", "sda",
		"xvdA", "../x", "51712",
	};
	uint32_t number;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(device_number(good[i].name, &number), 0);
		assert_int_equal(number, good[i].number);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(device_number(bad[i], &number), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(attach_and_detach),
		TEST(by_name_and_read_only),
		TEST(what_is_there_stays),
		TEST(no_such_domain),
		TEST(image_cannot_be_served),
		TEST(guest_does_not_connect),
		TEST(guest_ends_meanwhile),
		TEST(others_never_rest),
		TEST(guest_does_not_let_go),
		TEST(force_without_tapback),
		TEST(after_the_domain),
		TEST(after_the_domain_by_the_next),
		cmocka_unit_test(numbers_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
