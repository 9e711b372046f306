// SPDX-License-Identifier: GPL-2.0-or-later
/* "tap-ctl list": its lines, its filters, and what it finds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/json_out.h"
#include "cli/listing.h"
#include "cli/marker.h"
#include "cli/nbd_socket.h"
#include "fake/ctl_server.h"

static void assert_line(const struct listing_entry *entry, const char *expect)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	listing_print_line(out, entry);
	fclose(out);
	assert_string_equal(text, expect);
	free(text);
}

static void lines_for_programs(void **state)
{
	struct listing_entry entry = { 1234, 0, 0, "aio", "/x.img", 0 };

	(void)state;
	assert_line(&entry, "pid=1234 minor=0 state=0 args=aio:/x.img\n");
	entry.state = 0x2a;
	assert_line(&entry, "pid=1234 minor=0 state=0x2a args=aio:/x.img\n");
	entry.type = entry.path = NULL;
	assert_line(&entry, "pid=1234 minor=0 state=0x2a\n");
	assert_line(&(struct listing_entry){ 1234, -1, -1, NULL, NULL, 0 }, "pid=1234\n");
	assert_line(&(struct listing_entry){ -1, 7, -1, NULL, NULL, 0 }, "minor=7\n");
}

static void a_table_for_people(void **state)
{
	struct listing_entry entries[] = {
		{ 1234, 0, 0, "aio", "/x.img", 0 }, { -1, 7, -1, NULL, NULL, 0 },
	};
	struct listing listing = { entries, 2 };
	struct listing_filter all = { -1, -1, NULL, NULL };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	listing_print_table(out, &listing, &all);
	fclose(out);
	assert_string_equal(text, "     pid minor state type path\n"
				  "    1234     0     0  aio /x.img\n"
				  "       -     7     -    - -\n");
	free(text);
}

/* Paths can hold anything; nobody is to take a part of one for a line, or for no text. */
static void strange_names(void **state)
{
	struct listing_entry entry = { 1, 0, 0, "a\nb", "/x\npid=2\033[2J\xe9\xc3\xa9", 0 };
	const struct listing listing = { &entry, 1 };
	const struct listing_filter same = { -1, -1, NULL, entry.path };
	struct json_object *object = listing_json(&entry);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_line(&entry, "pid=1 minor=0 state=0 args=a?b:/x?pid=2?[2J?\xc3\xa9\n");
	/* Whoever looks for it knows its name. */
	listing_print_table(out, &listing, &same);
	fclose(out);
	assert_non_null(strstr(text, " a?b /x?pid=2?[2J?\xc3\xa9\n"));
	free(text);
	out = open_memstream(&text, &len);
	json_print(out, object);
	fclose(out);
	assert_string_equal(text, "{\"pid\":1,\"minor\":0,\"state\":0,\"type\":\"a\\nb\","
			    "\"path\":\"/x\\npid=2\\u001b[2J?\xc3\xa9\"}\n");
	json_object_put(object);
	free(text);
}

static void filters(void **state)
{
	const struct listing_entry disk = { 10, 2, 0, "aio", "/x.img", 0 };
	const struct listing_entry idle = { 10, -1, -1, NULL, NULL, 0 };
	const struct listing_entry orphan = { -1, 2, -1, NULL, NULL, 0 };
	const struct {
		struct listing_filter filter;
		bool disk, idle, orphan;
	} rows[] = {
		{ { -1, -1, NULL, NULL }, true, true, true },
		{ { 10, -1, NULL, NULL }, true, true, false },
		{ { 11, -1, NULL, NULL }, false, false, false },
		{ { -1, 2, NULL, NULL }, true, false, true },
		{ { -1, 0, NULL, NULL }, false, false, false },
		{ { -1, -1, "aio", NULL }, true, false, false },
		{ { -1, -1, "vhd", NULL }, false, false, false },
		{ { -1, -1, NULL, "/x.img" }, true, false, false },
		{ { -1, -1, NULL, "/x.im" }, false, false, false },
		{ { -1, -1, "aio", "/x.img" }, true, false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(listing_matches(&rows[i].filter, &disk), rows[i].disk);
		assert_int_equal(listing_matches(&rows[i].filter, &idle), rows[i].idle);
		assert_int_equal(listing_matches(&rows[i].filter, &orphan), rows[i].orphan);
	}
}

/* What an answer with the text @json adds; the listing is cleared. */
static int add_reply(const char *json, size_t *nr)
{
	struct ctl_msg reply = { .json = json_tokener_parse(json) };
	struct listing listing = { 0 };
	int err = listing_add_reply(&listing, 1, &reply);

	*nr = listing.nr;
	listing_clear(&listing);
	json_object_put(reply.json);
	return err;
}

static void odd_answers(void **state)
{
	static const char *const bad[] = {
		"{}", "{\"disks\":1}", "{\"disks\":[1]}", "{\"disks\":[{}]}",
		"{\"disks\":[{\"minor\":-1,\"state\":0}]}",
		"{\"disks\":[{\"minor\":16384,\"state\":0}]}",
		"{\"disks\":[{\"minor\":1,\"state\":-1}]}",
		"{\"disks\":[{\"minor\":1}]}", "{\"disks\":[null]}",
	};
	size_t i, nr;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (add_reply(bad[i], &nr) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(add_reply("{\"disks\":[]}", &nr), 0);
	assert_int_equal(nr, 1);
	assert_int_equal(add_reply("{\"disks\":[{\"minor\":1,\"state\":0},"
				   "{\"minor\":2,\"state\":0,\"type\":\"aio\",\"path\":\"/x\"}]}",
				   &nr), 0);
	assert_int_equal(nr, 2);
}

static pid_t start_tapdisk(const char *dir, const char *list)
{
	return ctl_server_start(dir, &(struct ctl_server){ .list = list });
}

/* Only who has the name of one that is published can connect. */
static void make_nbd_socket(const char *dir, int pid, int minor)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = nbd_socket_make(dir, pid, minor);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	assert_true(fd >= 0 && client >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/nbd%d.%d", dir, pid, minor);
	assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), -1);
	assert_int_equal(nbd_socket_publish(dir, pid, minor), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(stat(addr.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(client);
	close(fd);
}

static void a_scan_finds_what_there_is(void **state)
{
	char dir[] = "/tmp/listing.XXXXXX", path[64];
	struct listing listing;
	pid_t serving, idle, stale;
	size_t i;
	bool found = false;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(marker_allocate(dir), 0);
	assert_int_equal(marker_allocate(dir), 1);
	serving = start_tapdisk(dir, "{\"v\":1,\"errno\":0,\"disks\":[{\"minor\":0,\"state\":0,"
				     "\"type\":\"aio\",\"path\":\"/x.img\"}]}");
	idle = start_tapdisk(dir, "{\"v\":1,\"errno\":0,\"disks\":[]}");
	stale = start_tapdisk(dir, NULL);
	ctl_server_stop(stale);
	make_nbd_socket(dir, serving, 0);
	make_nbd_socket(dir, stale, 7);
	assert_true(nbd_socket_make(dir, stale, 8) >= 0);

	assert_int_equal(listing_scan(&listing, dir, -1, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 3);
	for (i = 0; i < listing.nr; i++)
		if (listing.entries[i].pid == serving) {
			found = true;
			assert_int_equal(listing.entries[i].minor, 0);
			assert_string_equal(listing.entries[i].path, "/x.img");
		}
	assert_true(found);
	assert_int_equal(listing_pid_of(&listing, 0), serving);
	assert_int_equal(listing_pid_of(&listing, 1), 0);
	/* The marker without a tapdisk comes last. */
	assert_int_equal(listing.entries[2].pid, -1);
	assert_int_equal(listing.entries[2].minor, 1);
	listing_clear(&listing);
	/* The killed one's socket is gone. */
	snprintf(path, sizeof(path), "%s/ctl%d", dir, stale);
	assert_int_equal(access(path, F_OK), -1);
	/* So is its disk's, and one that got no name; and the other's is not. */
	snprintf(path, sizeof(path), "%s/nbd%d.7", dir, stale);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/nbd%d.8.%d", dir, stale, getpid());
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/nbd%d.0", dir, serving);
	assert_int_equal(access(path, F_OK), 0);
	nbd_socket_remove(dir, serving, 0);
	assert_int_equal(access(path, F_OK), -1);
	nbd_socket_remove(dir, serving, 0);

	ctl_server_stop(serving);
	ctl_server_stop(idle);
	assert_int_equal(listing_scan(&listing, dir, -1, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 2);
	listing_clear(&listing);
	assert_int_equal(marker_free(dir, 0), 0);
	assert_int_equal(marker_free(dir, 1), 0);
	snprintf(path, sizeof(path), "%s/tapdisk", dir);
	rmdir(path);
	assert_int_equal(rmdir(dir), 0);
}

static void more_tapdisks_than_descriptors(void **state)
{
	char dir[] = "/tmp/listing.XXXXXX", path[64];
	struct rlimit limit;
	struct listing listing;
	pid_t pids[40];
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (i = 0; i < 40; i++)
		pids[i] = start_tapdisk(dir, "{\"v\":1,\"errno\":0,\"disks\":[{\"minor\":0,"
					     "\"state\":0}]}");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 24;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(listing_scan(&listing, dir, -1, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 40);
	for (i = 0; i < 40; i++) {
		assert_int_equal(listing.entries[i].minor, 0);
		ctl_server_stop(pids[i]);
		snprintf(path, sizeof(path), "%s/ctl%d", dir, pids[i]);
		unlink(path);
	}
	listing_clear(&listing);
	assert_int_equal(rmdir(dir), 0);
}

/* One that hangs is not one without a disk. */
static void a_tapdisk_that_does_not_answer(void **state)
{
	char dir[] = "/tmp/listing.XXXXXX", path[64];
	pid_t pid;
	struct listing listing;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = start_tapdisk(dir, NULL);
	assert_int_equal(listing_scan(&listing, dir, -1, 100), 0);
	assert_int_equal(listing.nr, 1);
	assert_int_equal(listing.entries[0].pid, pid);
	assert_int_equal(listing.entries[0].minor, -1);
	assert_int_equal(listing.entries[0].err, -ETIMEDOUT);
	listing_clear(&listing);
	ctl_server_stop(pid);
	pid = start_tapdisk(dir, "{\"v\":1,\"errno\":0,\"disks\":[]}");
	assert_int_equal(listing_scan(&listing, dir, -1, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 1);
	assert_int_equal(listing.entries[0].err, 0);
	assert_int_equal(listing_pid_of(&listing, 0), 0);
	listing_clear(&listing);
	ctl_server_stop(pid);
	snprintf(path, sizeof(path), "%s/ctl%d", dir, pid);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void without_a_run_directory_there_is_nothing(void **state)
{
	struct listing listing;

	(void)state;
	assert_int_equal(listing_scan(&listing, "/nonexistent/dir", -1, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 0);
	listing_clear(&listing);
	assert_int_equal(listing_scan(&listing, "/nonexistent/dir", 17, LISTING_TIMEOUT_MS), 0);
	assert_int_equal(listing.nr, 0);
	listing_clear(&listing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_for_programs),
		cmocka_unit_test(a_table_for_people),
		cmocka_unit_test(strange_names),
		cmocka_unit_test(filters),
		cmocka_unit_test(odd_answers),
		cmocka_unit_test(a_scan_finds_what_there_is),
		cmocka_unit_test(more_tapdisks_than_descriptors),
		cmocka_unit_test(a_tapdisk_that_does_not_answer),
		cmocka_unit_test(without_a_run_directory_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
