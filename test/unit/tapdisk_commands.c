// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands of the control socket: what each refuses, and who may give them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fake/ctl_rig.h"
#include "fake/frontend.h"

#define PATIENCE_MS	10000
#define NOBODY		65534u
#define ATTACH		"\"cmd\":\"attach\",\"minor\":3"
#define OPEN		"\"cmd\":\"open\",\"minor\":3,\"type\":\"aio\",\"path\":\"/image\"," \
			"\"readonly\":false"
#define CONNECT		"\"cmd\":\"connect\",\"minor\":3,\"domid\":7,\"devid\":1," \
			"\"protocol\":\"native\",\"readonly\":false,\"persistent\":false," \
			"\"discard\":false"
#define WITHOUT_MODULE	CONNECT ",\"gntdev\":true"
#define QUEUE		"\"queues\":[{\"grefs\":[1],\"port\":9}]"
#define UNPAUSE		OPEN ",\"unpause\":true"
#define PAUSED		MINOR("pause") ",\"type\":\"aio\",\"path\":\"/image\",\"sectors\":"
#define MINOR(cmd)	"\"cmd\":\"" cmd "\",\"minor\":3"

static struct world {
	struct ctl_rig rig;
	int client;
	int device, marker, pipe[2];
	unsigned int nr_fds;		/* before the tapdisk was there */
	char text[CTL_MSG_MAX];
} w;

/* ---- requests ---- */

static void send_text(const char *members, const int *fds, unsigned int nr_fds)
{
	struct ctl_msg request = CTL_MSG_INIT;

	snprintf(w.text, sizeof(w.text), "{\"v\":1,%s}", members);
	request.json = json_tokener_parse(w.text);
	assert_non_null(request.json);
	if (nr_fds)
		memcpy(request.fds, fds, nr_fds * sizeof(int));
	request.nr_fds = nr_fds;
	assert_int_equal(ctl_msg_send(w.client, &request), 0);
	/* The descriptors stay ours. */
	request.nr_fds = 0;
	ctl_msg_clear(&request);
}

/* The next reply: a positive errno. */
static int hear(struct ctl_msg *reply)
{
	int turns = 0, err;

	while ((err = ctl_msg_recv(w.client, reply)) == -EAGAIN && turns++ < PATIENCE_MS)
		ctl_rig_turn(&w.rig, 1);
	assert_int_equal(err, 0);
	err = -ctl_reply_status(reply);
	assert_true(!err || ctl_has(reply, "error"));
	assert_true(!err || *ctl_reply_sentence(reply));
	return err;
}

static int ask_fds(const char *members, const int *fds, unsigned int nr_fds)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int error;

	send_text(members, fds, nr_fds);
	error = hear(&reply);
	ctl_msg_clear(&reply);
	return error;
}

static int ask(const char *members)
{
	return ask_fds(members, NULL, 0);
}

static int ask_image(const char *members)
{
	CLEANUP_CLOSE int image = ctl_rig_image(&w.rig, O_RDWR | O_DIRECT);

	return ask_fds(members, &image, 1);
}

static int ask_devices(const char *members, unsigned int nr)
{
	int fds[CTL_MSG_FDS];
	unsigned int i;

	for (i = 0; i < nr; i++)
		fds[i] = w.device;
	return ask_fds(members, fds, nr);
}

/* What "list", "stats" and "arena" say, and how many descriptors there are. */
static char *all_there_is(void)
{
	static const char *const questions[] = {
		"\"cmd\":\"list\"", MINOR("stats"), MINOR("arena"),
	};
	unsigned int nr_fds = ctl_rig_count_fds(), i;
	char *sum = strdup("");

	for (i = 0; i < 3; i++) {
		struct ctl_msg reply = CTL_MSG_INIT;
		char *longer;

		send_text(questions[i], NULL, 0);
		hear(&reply);
		assert_true(asprintf(&longer, "%s%s\n", sum,
				     json_object_to_json_string(reply.json)) > 0);
		ctl_msg_clear(&reply);
		free(sum);
		sum = longer;
	}
	assert_int_equal(ctl_rig_count_fds(), nr_fds);
	return sum;
}

/* ---- the tapdisk ---- */

static int setup(void **state)
{
	(void)state;
	w.nr_fds = ctl_rig_count_fds();
	ctl_rig_start(&w.rig);
	w.client = ctl_rig_connect(&w.rig);
	return 0;
}

static int teardown(void **state)
{
	int turns = 0;

	(void)state;
	fd_close(&w.client);
	if (w.rig.server)
		ctl_rig_tell_to_end(&w.rig);
	while (w.rig.server && turns++ < PATIENCE_MS)
		ctl_rig_turn(&w.rig, 1);
	assert_null(w.rig.server);
	assert_int_equal(ctl_rig_count_fds(), w.nr_fds);
	return 0;
}

static void attach(void)
{
	assert_int_equal(ask_fds(ATTACH, &w.marker, 1), 0);
}

static void attach_and_open(const char *more)
{
	char members[256];

	attach();
	snprintf(members, sizeof(members), OPEN "%s", more);
	assert_int_equal(ask_image(members), 0);
}

static void connect_all(const char *more)
{
	attach_and_open(more);
	assert_int_equal(ask_devices(CONNECT "," QUEUE, 3), 0);
}

/* ---- members ---- */

enum type { INT, BOOL, TEXT, LIST };

struct member {
	const char *name, *good;
	enum type type;
	bool optional;
};

#define MINOR_MEMBER	{ "minor", "3", INT, false }

static const struct command {
	const char *name;
	unsigned int nr_fds;
	struct member members[12];
} commands[] = {
	{ "attach", 1, { MINOR_MEMBER } },
	{ "open", 1, { MINOR_MEMBER, { "type", "\"aio\"", TEXT, false },
		       { "path", "\"/image\"", TEXT, false }, { "readonly", "false", BOOL, false },
		       { "sector_size", "512", INT, true }, { "lock_later", "false", BOOL, true },
		       { "flush_failed", "false", BOOL, true },
		       { "data", "\"map\"", TEXT, true }, { "filters", "[\"limit\"]", LIST, true },
		       { "nbd", "false", BOOL, true }, { "unpause", "false", BOOL, true } } },
	{ "close", 0, { MINOR_MEMBER } },
	/* Together with "sectors", which may be of any size. */
	{ "pause", 0, { MINOR_MEMBER, { "type", "\"aio\"", TEXT, false },
			{ "path", "\"/image\"", TEXT, false } } },
	{ "detach", 0, { MINOR_MEMBER } },
	{ "info", 0, { MINOR_MEMBER } },
	{ "resize", 0, { MINOR_MEMBER } },
	{ "connect", 3, { MINOR_MEMBER, { "domid", "8", INT, false }, { "devid", "1", INT, false },
			  { "protocol", "\"native\"", TEXT, false },
			  { "readonly", "false", BOOL, false },
			  { "persistent", "false", BOOL, false },
			  { "discard", "false", BOOL, false },
			  { "queues", "[{\"grefs\":[1],\"port\":9}]", LIST, false } } },
	{ "journal", 0, { MINOR_MEMBER, { "domid", "7", INT, false },
			  { "devid", "1", INT, false } } },
	{ "disconnect", 0, { { "domid", "7", INT, false }, { "devid", "1", INT, false } } },
	{ "stats", 0, { MINOR_MEMBER } },
	{ "limit", 0, { MINOR_MEMBER, { "options", "\"iops=5\"", TEXT, false } } },
	{ "trace", 1, { MINOR_MEMBER } },
	{ "arena", 0, { MINOR_MEMBER } },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The command, but for member @which, which is @value, or missing: the error. */
static int ask_with(const struct command *command, unsigned int which, const char *value)
{
	char members[512];
	int used = snprintf(members, sizeof(members), "\"cmd\":\"%s\"", command->name);
	const struct member *member;
	unsigned int i;

	for (i = 0; (member = &command->members[i])->name; i++)
		if (i != which || value)
			used += snprintf(members + used, sizeof(members) - (size_t)used,
					 ",\"%s\":%s", member->name,
					 i == which ? value : member->good);
	return ask_devices(members, command->nr_fds);
}

static void try_wrong_values(const struct command *command, unsigned int which)
{
	static const struct {
		const char *text;
		enum type not_for;
	} values[] = {
		{ "null", -1 }, { "{}", -1 }, { "1.5", -1 }, { "-1", -1 }, { "4294967296", -1 },
		{ "99999999999999999999", -1 }, { "\"3\\u0000\"", -1 }, { "true", BOOL },
		{ "\"3\"", TEXT }, { "[]", LIST }, { "[[]]", -1 }, { "[{}]", -1 },
	};
	const struct member *member = &command->members[which];
	unsigned int i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (values[i].not_for == member->type)
			continue;
		if (ask_with(command, which, values[i].text) != EINVAL)
			fail_msg("%s: taken: %s=%s", command->name, member->name, values[i].text);
	}
	if (!member->optional && ask_with(command, which, NULL) != EINVAL)
		fail_msg("%s: taken without %s", command->name, member->name);
}

static void try_all_members(void)
{
	char *before = all_there_is(), *after;
	unsigned int i, k;

	for (i = 0; i < NR_COMMANDS; i++)
		for (k = 0; commands[i].members[k].name; k++)
			try_wrong_values(&commands[i], k);
	after = all_there_is();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void members_of_an_attached_disk(void **state)
{
	(void)state;
	attach();
	try_all_members();
}

static void members_of_a_connected_disk(void **state)
{
	(void)state;
	connect_all(",\"filters\":[\"limit\"]");
	try_all_members();
}

static void unknown_commands_and_none(void **state)
{
	(void)state;
	assert_int_equal(ask("\"cmd\":\"reboot\""), EOPNOTSUPP);
	assert_int_equal(ask("\"cmd\":\"\""), EOPNOTSUPP);
	assert_int_equal(ask("\"cmd\":\"list\\u0000\""), EINVAL);
	assert_int_equal(ask("\"cmd\":1"), EINVAL);
	assert_int_equal(ask("\"command\":\"list\""), EINVAL);
	assert_int_equal(ask("\"cmd\":\"list\",\"v\":2"), EPROTONOSUPPORT);
	assert_int_equal(ask("\"cmd\":\"list\",\"more\":{}"), 0);
}

static void other_minors_are_none_of_ours(void **state)
{
	(void)state;
	assert_int_equal(ask(MINOR("info")), ENOENT);
	attach();
	assert_int_equal(ask("\"cmd\":\"info\",\"minor\":4"), ENOENT);
	assert_int_equal(ask(MINOR("info")), ENODEV);
	assert_int_equal(ask_fds(ATTACH, &w.marker, 1), EEXIST);
}

static void an_image_is_opened_once(void **state)
{
	(void)state;
	attach();
	assert_int_equal(ask(OPEN), EINVAL);
	assert_int_equal(ask_devices(OPEN, 1), EINVAL);
	assert_int_equal(ask_image(OPEN), 0);
	assert_int_equal(ask_image(OPEN), EALREADY);
	assert_int_equal(ask(MINOR("detach")), EBUSY);
	assert_int_equal(ask(MINOR("close")), 0);
	assert_int_equal(ask_image(OPEN), 0);
}

static void assert_listed(int64_t state)
{
	struct ctl_msg reply = CTL_MSG_INIT, disk = { 0 };
	struct json_object *disks;
	const char *path;
	int64_t found;

	send_text("\"cmd\":\"list\"", NULL, 0);
	assert_int_equal(hear(&reply), 0);
	assert_true(json_object_object_get_ex(reply.json, "disks", &disks));
	disk.json = json_object_array_get_idx(disks, 0);
	assert_int_equal(ctl_get_int(&disk, "state", 0, INT32_MAX, &found), 0);
	assert_int_equal(found, state);
	assert_int_equal(ctl_get_string(&disk, "path", &path), 0);
	assert_string_equal(path, "/image");
	ctl_msg_clear(&reply);
}

static void assert_paused(void)
{
	static const char *const refused[] = {
		MINOR("info"), MINOR("resize"), MINOR("limit") ",\"options\":\"iops=1\"",
	};
	unsigned int i;

	assert_listed(CTL_STATE_PAUSED);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(ask(refused[i]), EBUSY);
	assert_int_equal(ask_devices(CONNECT "," QUEUE, 3), EBUSY);
	assert_int_equal(ask(MINOR("stats")), 0);
}

static void an_image_is_closed_for_a_while(void **state)
{
	(void)state;
	attach();
	assert_int_equal(ask(MINOR("pause")), ENODEV);
	assert_int_equal(ask_image(OPEN), 0);
	assert_listed(0);
	assert_int_equal(ask(MINOR("pause")), 0);
	assert_paused();
	assert_int_equal(ask(MINOR("pause")), 0);
	/* Who does not know of the pause, does not know what guests wait for. */
	assert_int_equal(ask_image(OPEN), EBUSY);
	assert_paused();
	assert_int_equal(ask_image(UNPAUSE), 0);
	assert_listed(0);
	assert_int_equal(ask_devices(CONNECT "," QUEUE, 3), 0);
	/* Its requests are in no journal. */
	assert_int_equal(ask(MINOR("pause")), EOPNOTSUPP);
	assert_listed(0);
	assert_int_equal(ask(MINOR("close")), 0);
	/* Of the tapdisk before; the image has eight sectors. */
	assert_int_equal(ask(MINOR("pause") ",\"path\":\"/image\""), EINVAL);
	assert_int_equal(ask(MINOR("pause") ",\"sectors\":9"), EINVAL);
	assert_int_equal(ask(PAUSED "-1"), EINVAL);
	assert_int_equal(ask(PAUSED "\"9\""), EINVAL);
	assert_int_equal(ask(PAUSED "9"), 0);
	assert_paused();
	assert_int_equal(ask_image(UNPAUSE), EINVAL);
	assert_paused();
	assert_int_equal(ask(MINOR("close")), 0);
	assert_int_equal(ask(MINOR("info")), ENODEV);
	assert_int_equal(ask(PAUSED "8"), 0);
	assert_int_equal(ask_image(UNPAUSE), 0);
	assert_int_equal(ask(MINOR("pause")), 0);
	assert_int_equal(ask(MINOR("detach")), 0);
}

static bool hears_nothing(int fd)
{
	struct ctl_msg reply = CTL_MSG_INIT;

	return ctl_msg_recv(fd, &reply) == -EAGAIN;
}

static bool hears_the_end(int fd)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int turns = 0, err;

	while ((err = ctl_msg_recv(fd, &reply)) == -EAGAIN && turns++ < 100)
		ctl_rig_turn(&w.rig, 1);
	return err == -ECONNRESET;
}

static int ask_by(int client, const char *members)
{
	int before = w.client, error;

	w.client = client;
	error = ask(members);
	w.client = before;
	return error;
}

static void hear_answer(int client)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int before = w.client;

	w.client = client;
	assert_int_equal(hear(&reply), 0);
	ctl_msg_clear(&reply);
	w.client = before;
}

/* Whoever was told something else before has to ask again; nobody else is disturbed. */
static void connections_end_with_a_pause_and_after_it(void **state)
{
	int asks = w.client, silent = ctl_rig_connect(&w.rig), knows = ctl_rig_connect(&w.rig);

	(void)state;
	attach_and_open("");
	assert_int_equal(ask_by(knows, MINOR("info")), 0);
	assert_int_equal(ask(MINOR("pause")), 0);
	assert_true(hears_the_end(knows));
	close(knows);
	knows = ctl_rig_connect(&w.rig);
	assert_int_equal(ask_by(knows, MINOR("info")), EBUSY);
	assert_int_equal(ask(MINOR("pause")), 0);
	assert_true(hears_nothing(knows));
	/* What was asked before is answered first. */
	w.client = knows;
	send_text(MINOR("info"), NULL, 0);
	send_text(MINOR("stats"), NULL, 0);
	w.client = asks;
	assert_int_equal(ask_image(UNPAUSE), 0);
	hear_answer(knows);
	hear_answer(knows);
	assert_true(hears_the_end(knows));
	assert_true(hears_nothing(silent));
	/* And when it is no longer paused since it was closed. */
	close(knows);
	assert_int_equal(ask(MINOR("pause")), 0);
	knows = ctl_rig_connect(&w.rig);
	assert_int_equal(ask_by(knows, MINOR("info")), EBUSY);
	assert_int_equal(ask(MINOR("close")), 0);
	assert_true(hears_the_end(knows));
	assert_int_equal(ask_by(silent, MINOR("info")), ENODEV);
	close(knows);
	close(silent);
}

static bool flush_has_failed(void)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	struct json_object *stats, *failed;
	bool yes;

	send_text(MINOR("stats"), NULL, 0);
	assert_int_equal(hear(&reply), 0);
	assert_true(json_object_object_get_ex(reply.json, "stats", &stats));
	assert_true(json_object_object_get_ex(stats, "flush_failed", &failed));
	yes = json_object_get_boolean(failed);
	ctl_msg_clear(&reply);
	return yes;
}

/* Of the tapdisk that had the disk before. */
static void a_failed_flush_is_handed_on(void **state)
{
	(void)state;
	attach_and_open(",\"flush_failed\":false");
	assert_false(flush_has_failed());
	assert_int_equal(ask(MINOR("close")), 0);
	assert_int_equal(ask_image(OPEN ",\"flush_failed\":true"), 0);
	assert_true(flush_has_failed());
	/* The image is attached anew. */
	assert_int_equal(ask(MINOR("close")), 0);
	assert_int_equal(ask_image(OPEN), 0);
	assert_false(flush_has_failed());
}

static void a_filter_is_all_of_its_text(void **state)
{
	(void)state;
	attach();
	assert_int_equal(ask_image(OPEN ",\"filters\":[\"limit\\u0000x\"]"), EINVAL);
	assert_int_equal(ask_image(OPEN ",\"filters\":[\"limit\"]"), 0);
}

/* Else it would not fit into what "list" and "stats" say. */
static void names_that_no_reply_can_hold(void **state)
{
	static char members[CTL_MSG_MAX];
	unsigned int used = 0, i;

	(void)state;
	attach();
	for (i = 0; i < 5000; i++)
		used += (unsigned int)sprintf(members + used, "\\u0001");
	memmove(members + strlen(OPEN ",\"path\":\""), members, used + 1);
	memcpy(members, OPEN ",\"path\":\"", strlen(OPEN ",\"path\":\""));
	strcat(members, "\"");
	assert_int_equal(ask_image(members), EINVAL);
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
}

/* ---- connect ---- */

#define FOUR "1,2,3,4"

static void queues_that_will_not_do(void **state)
{
	static const char *const queues[] = {
		"[]", "[1]", "[null]", "[[]]", "[{\"grefs\":[1]}]", "[{\"port\":9}]",
		"[{\"grefs\":[],\"port\":9}]", "[{\"grefs\":1,\"port\":9}]",
		"[{\"grefs\":[1,2,3],\"port\":9}]", "[{\"grefs\":[null],\"port\":9}]",
		"[{\"grefs\":[-1],\"port\":9}]", "[{\"grefs\":[4294967296],\"port\":9}]",
		"[{\"grefs\":[\"1\"],\"port\":9}]", "[{\"grefs\":[1.0],\"port\":9}]",
		"[{\"grefs\":[1],\"port\":0}]", "[{\"grefs\":[1],\"port\":-1}]",
		"[{\"grefs\":[1],\"port\":\"9\"}]", "[{\"grefs\":[1],\"port\":4294967296}]",
		"[{\"grefs\":[" FOUR "," FOUR "," FOUR "," FOUR "," FOUR "," FOUR "," FOUR "," FOUR
			"],\"port\":9}]",
	};
	char members[512], *before, *after;
	unsigned int i;

	(void)state;
	attach_and_open("");
	before = all_there_is();
	for (i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		snprintf(members, sizeof(members), CONNECT ",\"queues\":%s", queues[i]);
		if (ask_devices(members, 3) != EINVAL)
			fail_msg("taken: %s", queues[i]);
	}
	after = all_there_is();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static int connect_queues(unsigned int nr, unsigned int ports, unsigned int odd)
{
	char members[1024];
	int used = snprintf(members, sizeof(members), CONNECT ",\"queues\":[");
	unsigned int i;

	for (i = 0; i < nr; i++)
		used += snprintf(members + used, sizeof(members) - (size_t)used,
				 "%s{\"grefs\":[%u%s],\"port\":%u}", i ? "," : "", 1 + 2 * i,
				 i == odd ? ",40" : "", 9 + i % ports);
	snprintf(members + used, sizeof(members) - (size_t)used, "]");
	return ask_devices(members, 3 * nr);
}

static void queues_together(void **state)
{
	(void)state;
	attach_and_open("");
	assert_int_equal(connect_queues(VBD_QUEUES_MAX + 1, 9, 99), EINVAL);
	assert_int_equal(connect_queues(4, 3, 99), EINVAL);
	/* Rings of two sizes. */
	assert_int_equal(connect_queues(4, 4, 3), EINVAL);
	assert_int_equal(connect_queues(VBD_QUEUES_MAX, VBD_QUEUES_MAX, 99), 0);
	assert_int_equal(connect_queues(1, 1, 99), EALREADY);
}

static void descriptors_of_another_number(void **state)
{
	unsigned int nr;

	(void)state;
	attach_and_open("");
	for (nr = 0; nr <= CTL_MSG_FDS; nr++) {
		if (nr != 3)
			assert_int_equal(ask_devices(CONNECT "," QUEUE, nr), EINVAL);
		if (nr != 2)
			assert_int_equal(ask_devices(WITHOUT_MODULE "," QUEUE, nr), EINVAL);
	}
	assert_int_equal(ask_devices(WITHOUT_MODULE "," QUEUE, 2), 0);
}

static void descriptors_of_another_kind(void **state)
{
	int fds[3] = { w.device, w.device, w.device };
	unsigned int i;

	(void)state;
	attach_and_open("");
	for (i = 0; i < 3; i++) {
		fds[i] = w.marker;
		assert_int_equal(ask_fds(CONNECT "," QUEUE, fds, 3), ENOTTY);
		fds[i] = w.device;
	}
	assert_int_equal(ask_fds(CONNECT "," QUEUE, fds, 3), 0);
	assert_int_equal(ask_devices(MINOR("trace"), 1), EINVAL);
	assert_int_equal(ask_fds(MINOR("trace"), &w.pipe[1], 1), 0);
	assert_int_equal(ask_fds(MINOR("trace"), &w.pipe[1], 1), EBUSY);
}

static int make_journal(size_t bytes)
{
	int fd = memfd_create("journal", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static void journals_that_are_none(void **state)
{
	int fds[4] = { w.device, w.device, w.device, w.device };

	(void)state;
	attach_and_open("");
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true," QUEUE, fds, 3), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true," QUEUE, fds, 4), EINVAL);
	fds[3] = make_journal(100);
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true," QUEUE, fds, 4), EINVAL);
	close(fds[3]);
	fds[3] = make_journal(CTL_JOURNAL_BYTES);
	assert_int_equal(ask_fds(CONNECT ",\"journal\":1," QUEUE, fds, 4), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"journal\":false," QUEUE, fds, 4), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true," QUEUE, fds, 4), 0);
	assert_int_equal(ask("\"cmd\":\"journal\",\"minor\":3,\"domid\":7,\"devid\":1"), 0);
	assert_int_equal(ask("\"cmd\":\"journal\",\"minor\":3,\"domid\":7,\"devid\":2"), ENOTCONN);
	close(fds[3]);
}

static void a_file_for_xentop_is_behind_those_of_the_queues(void **state)
{
	int fds[5] = { w.device, w.device, w.device, -1, -1 };
	int file = memfd_create("xentop", MFD_CLOEXEC), journal = make_journal(CTL_JOURNAL_BYTES);
	uint32_t version = 0;

	(void)state;
	attach_and_open("");
	fds[3] = file;
	assert_int_equal(ask_fds(CONNECT ",\"xentop\":true," QUEUE, fds, 3), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"xentop\":1," QUEUE, fds, 4), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"xentop\":false," QUEUE, fds, 4), EINVAL);
	assert_int_equal(ask_fds(CONNECT "," QUEUE, fds, 4), EINVAL);
	assert_int_equal(ask_fds(CONNECT ",\"xentop\":true," QUEUE, fds, 4), 0);
	assert_int_equal(lseek(file, 0, SEEK_END), 96);
	assert_int_equal(ask("\"cmd\":\"disconnect\",\"domid\":7,\"devid\":1"), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	fds[4] = journal;
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true,\"xentop\":true," QUEUE, fds, 5), 0);
	assert_int_equal(pread(file, &version, sizeof(version), 0), sizeof(version));
	assert_int_equal(version, 1);
	close(file);
	close(journal);
}

/* Of an image that many guests share. */
static void more_to_say_than_a_reply_holds(void **state)
{
	char members[256];
	unsigned int i;

	(void)state;
	attach_and_open("");
	for (i = 0; i < 200; i++) {
		snprintf(members, sizeof(members), WITHOUT_MODULE "," QUEUE ",\"devid\":%u", 1 + i);
		assert_int_equal(ask_devices(members, 2), 0);
	}
	assert_int_equal(ask(MINOR("stats")), EMSGSIZE);
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
}

/* ---- one after the other ---- */

/* A guest's read that takes a while; a "close" has to wait for it. */
static void begin_slow_read(void)
{
	int fds[4] = { w.device, w.device, w.device, make_journal(CTL_JOURNAL_BYTES) };
	struct blkif_request request = {
		.op = BLKIF_READ, .id = 1, .nr_segments = 1, .segments = { { 100, 0, 7 } },
	};
	static struct front front;
	unsigned int i;

	front_init(&front, &w.rig.guest, BLKIF_NATIVE, 1, 1);
	attach_and_open(",\"filters\":[\"fault:op=read,delay_ms=200\"]");
	assert_int_equal(ask_fds(CONNECT ",\"journal\":true," QUEUE, fds, 4), 0);
	close(fds[3]);
	front_request(&front, &request);
	front_push(&front);
	for (i = 0; i < 20; i++)
		ctl_rig_turn(&w.rig, 1);
}

static void requests_are_answered_in_order(void **state)
{
	struct ctl_msg reply = CTL_MSG_INIT;

	(void)state;
	begin_slow_read();
	send_text(MINOR("close"), NULL, 0);
	send_text("\"cmd\":\"pid\"", NULL, 0);
	assert_int_equal(hear(&reply), 0);
	assert_false(ctl_has(&reply, "pid"));
	ctl_msg_clear(&reply);
	assert_int_equal(hear(&reply), 0);
	assert_true(ctl_has(&reply, "pid"));
	ctl_msg_clear(&reply);
}

static void others_are_answered_meanwhile(void **state)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int first = w.client;

	(void)state;
	begin_slow_read();
	send_text(MINOR("close"), NULL, 0);
	w.client = ctl_rig_connect(&w.rig);
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
	assert_int_equal(ask(MINOR("close")), EALREADY);
	assert_int_equal(ctl_msg_recv(first, &reply), -EAGAIN);
	fd_close(&w.client);
	w.client = first;
	assert_int_equal(hear(&reply), 0);
	ctl_msg_clear(&reply);
}

/* The one who asked for the close is gone: nobody will ask for a "detach". */
static void told_to_end_while_it_closes(void **state)
{
	int turns = 0;

	(void)state;
	begin_slow_read();
	send_text(MINOR("close"), NULL, 0);
	ctl_rig_turn(&w.rig, 1);
	fd_close(&w.client);
	ctl_rig_tell_to_end(&w.rig);
	assert_non_null(w.rig.tapdisk.disk);
	while (w.rig.server && turns++ < PATIENCE_MS)
		ctl_rig_turn(&w.rig, 1);
	assert_null(w.rig.server);
}

/* They wait no more, and do not keep one who does from it. */
static void many_wait_for_a_pause_and_give_up(void **state)
{
	int first = w.client;
	unsigned int i, turn;

	(void)state;
	begin_slow_read();
	for (i = 0; i < 2 * TAPDISK_CLOSERS_MAX; i++) {
		w.client = ctl_rig_connect(&w.rig);
		send_text(MINOR("pause"), NULL, 0);
		for (turn = 0; turn < 3; turn++)
			ctl_rig_turn(&w.rig, 0);
		fd_close(&w.client);
	}
	w.client = first;
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
	assert_non_null(w.rig.tapdisk.disk->type);
	assert_int_equal(ask(MINOR("close")), 0);
	assert_int_equal(ask(MINOR("info")), ENODEV);
}

static void one_who_closes_a_paused_disk_and_goes(void **state)
{
	int first = w.client;

	(void)state;
	attach_and_open("");
	assert_int_equal(ask(MINOR("pause")), 0);
	w.client = ctl_rig_connect(&w.rig);
	send_text(MINOR("close"), NULL, 0);
	fd_close(&w.client);
	w.client = first;
	ctl_rig_turn(&w.rig, 1);
	ctl_rig_turn(&w.rig, 1);
	/* It was told something else before. */
	assert_true(hears_the_end(w.client));
	fd_close(&w.client);
	w.client = ctl_rig_connect(&w.rig);
	assert_int_equal(ask(MINOR("info")), ENODEV);
}

static void told_to_end_while_it_is_paused(void **state)
{
	(void)state;
	attach_and_open("");
	assert_int_equal(ask(MINOR("pause")), 0);
	ctl_rig_tell_to_end(&w.rig);
	ctl_rig_turn(&w.rig, 1);
	assert_null(w.rig.server);
}

/* Both are there to be read at once: nobody is told of a disk that is gone with us. */
static void no_disk_after_the_last(void **state)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int first = w.client, second = ctl_rig_connect(&w.rig);

	(void)state;
	attach();
	w.client = second;
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
	/* The one that is ready first is heard first. */
	w.client = first;
	send_text(MINOR("detach"), NULL, 0);
	w.client = second;
	send_text(ATTACH, &w.marker, 1);
	ctl_rig_turn(&w.rig, 1);
	assert_null(w.rig.server);
	assert_int_equal(hear(&reply), EEXIST);
	ctl_msg_clear(&reply);
	close(first);
}

/* ---- who may ---- */

/* The connection is closed, and nothing said. */
static void assert_refused(int fd)
{
	char text[64];
	int turns;

	for (turns = 0; turns < 3; turns++)
		ctl_rig_turn(&w.rig, 1);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
}

static void nobody_but_root(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
	ctl_rig_peer = 1000;
	fd = ctl_rig_connect(&w.rig);
	assert_refused(fd);
	close(fd);
	ctl_rig_peer = 0;
	assert_int_equal(ask("\"cmd\":\"list\""), 0);
}

static int connects_as_nobody(void)
{
	char byte;
	int fd;

	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 2;
	fd = ctl_rig_connect(&w.rig);
	fcntl(fd, F_SETFL, 0);
	return recv(fd, &byte, 1, 0) ? 1 : 0;
}

/* As the kernel has it, for a peer that is another user. */
static void nobody_by_the_kernels_word(void **state)
{
	int status, turns = 0;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		print_message("SKIP: only root can be somebody else\n");
		skip();
	}
	ctl_rig_peer = (uid_t)-1;
	pid = fork();
	if (!pid)
		_exit(connects_as_nobody());
	while (!waitpid(pid, &status, WNOHANG) && turns++ < PATIENCE_MS)
		ctl_rig_turn(&w.rig, 1);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	ctl_rig_peer = 0;
}

/* In a /run of its own. The mode of the socket, -1: cannot be had; -2: it fails. */
static int mode_of_socket(void)
{
	struct stat st;
	char path[64];
	int fd;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL))
		return -1;
	umask(0);
	snprintf(path, sizeof(path), XENTAP_CTL_PREFIX "%d", (int)getpid());
	fd = server_bind();
	/* One that was left behind is no hindrance. */
	close(fd);
	fd = server_bind();
	if (fd < 0 || lstat(path, &st) || !S_ISSOCK(st.st_mode) || st.st_uid || umask(0))
		return -2;
	return st.st_mode & 07777;
}

static void the_socket_is_roots(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid()) {
		print_message("SKIP: only root can bind the socket\n");
		skip();
	}
	pid = fork();
	if (!pid) {
		int mode = mode_of_socket();

		_exit(mode == 0600 ? 0 : mode == -1 ? 77 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("SKIP: no mount namespace to be had\n");
		skip();
	}
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members_of_an_attached_disk),
		TEST(members_of_a_connected_disk),
		TEST(unknown_commands_and_none),
		TEST(other_minors_are_none_of_ours),
		TEST(an_image_is_opened_once),
		TEST(an_image_is_closed_for_a_while),
		TEST(connections_end_with_a_pause_and_after_it),
		TEST(a_failed_flush_is_handed_on),
		TEST(a_filter_is_all_of_its_text),
		TEST(names_that_no_reply_can_hold),
		TEST(queues_that_will_not_do),
		TEST(queues_together),
		TEST(descriptors_of_another_number),
		TEST(descriptors_of_another_kind),
		TEST(journals_that_are_none),
		TEST(a_file_for_xentop_is_behind_those_of_the_queues),
		TEST(more_to_say_than_a_reply_holds),
		TEST(requests_are_answered_in_order),
		TEST(others_are_answered_meanwhile),
		TEST(told_to_end_while_it_closes),
		TEST(told_to_end_while_it_is_paused),
		TEST(many_wait_for_a_pause_and_give_up),
		TEST(one_who_closes_a_paused_disk_and_goes),
		TEST(no_disk_after_the_last),
		TEST(nobody_but_root),
		TEST(nobody_by_the_kernels_word),
		TEST(the_socket_is_roots),
	};

	log_set_level(LOG_EMERG);
	signal(SIGPIPE, SIG_IGN);
	ctl_rig_init(&w.rig);
	w.device = open("/dev/null", O_RDWR | O_CLOEXEC);
	w.marker = make_journal(0);
	if (w.device < 0 || pipe2(w.pipe, O_CLOEXEC))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
