// SPDX-License-Identifier: GPL-2.0-or-later
/* The files in which xentop looks for the numbers of disks: when there is one, and whose. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ctl/record.h"
#include "fake/tapback_rig.h"

#define FILE_NAME	"/vbd-7-51712"
#define NOBODY		65534u

/* Below the directory that is our /dev/shm. */
static const char *path(const struct world *world, int pid, const char *file)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/td3-%d%s", world->dir, pid, file);
	return text;
}

static bool exists(const char *name)
{
	struct stat st;

	return !lstat(name, &st);
}

static void assert_mode(const char *name, mode_t mode)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	assert_int_equal(st.st_mode, mode);
	assert_int_equal(st.st_uid, geteuid());
}

/* The file that tapdisk was given is the one that others find. */
static void assert_shown(const struct world *world)
{
	struct stat given, found;

	assert_true(world->tapdisk.shown >= 0);
	assert_int_equal(fstat(world->tapdisk.shown, &given), 0);
	assert_int_equal(lstat(path(world, world->pid, FILE_NAME), &found), 0);
	assert_true(given.st_ino == found.st_ino && given.st_dev == found.st_dev);
	assert_int_equal(found.st_size, 4096);
}

/* Nothing is left of it. */
static void assert_none(const struct world *world, int pid)
{
	assert_false(exists(path(world, pid, "")));
}

/* Connected, by the tapdisk at hand. */
static void connect_shown(struct world *world)
{
	char pid[16];

	world->tapdisk.shows = true;
	toolstack_adds("w");
	script_adds();
	snprintf(pid, sizeof(pid), "%d", world->pid);
	set_backend("pid", pid);
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("4");
	assert_true(world->tapdisk.connected);
}

static void disconnect(struct world *world)
{
	set_frontend("state", "6");
	settle(world);
	assert_backend_state("6");
	assert_false(world->tapdisk.connected);
}

/* One whose process there is, so that what is its is not left over. */
static void be_the_tapdisk(struct world *world)
{
	tapdisk_die(world);
	world->pid = getpid();
	tapdisk_start(world);
}

static int dead_pid(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void make_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void a_ring_has_a_file_as_long_as_it_is_served(void **state)
{
	struct world *world = *state;
	mode_t before = umask(0077);
	int i;

	for (i = 0; i < 3; i++) {
		connect_shown(world);
		assert_int_equal(world->tapdisk.fds_got, 4);
		assert_shown(world);
		/* As any tool may read it, whatever our umask is. */
		assert_mode(path(world, PID, ""), S_IFDIR | 0755);
		assert_mode(path(world, PID, FILE_NAME), S_IFREG | 0644);
		disconnect(world);
		assert_none(world, PID);
		set_frontend("state", "1");
		settle(world);
	}
	umask(before);
}

static void an_older_tapdisk_is_given_none(void **state)
{
	struct world *world = *state;

	connect_disk(world, "w");
	assert_int_equal(world->tapdisk.fds_got, 3);
	assert_none(world, PID);
}

static void a_ring_that_is_refused_leaves_none(void **state)
{
	struct world *world = *state;

	world->tapdisk.shows = true;
	world->tapdisk.connect_error = EINVAL;
	toolstack_adds("w");
	script_adds();
	guest_offers_ring("4");
	settle(world);
	assert_backend_state("5");
	assert_int_equal(world->tapdisk.connects, 1);
	assert_none(world, PID);
}

static void another_disk_of_the_tapdisk_keeps_its_own(void **state)
{
	struct world *world = *state;

	connect_shown(world);
	make_file(path(world, PID, "/vbd-8-51712"));
	disconnect(world);
	assert_false(exists(path(world, PID, FILE_NAME)));
	assert_true(exists(path(world, PID, "/vbd-8-51712")));
	assert_int_equal(unlink(path(world, PID, "/vbd-8-51712")), 0);
	assert_int_equal(rmdir(path(world, PID, "")), 0);
}

static void a_successor_has_one_of_its_own(void **state)
{
	struct ctl_msg record = CTL_MSG_INIT;
	struct world *world = *state;

	world->tapdisk.journals = true;
	connect_shown(world);
	assert_int_equal(world->tapdisk.fds_got, 5);
	tapdisk_die(world);
	settle(world);
	assert_int_equal(reviver.starts, 1);
	assert_none(world, PID);
	world->pid++;
	tapdisk_start(world);
	world->tapdisk.journals = world->tapdisk.shows = true;
	assert_int_equal(ctl_request_init(&record, "open"), 0);
	assert_int_equal(ctl_set_int(&record, "pid", world->pid), 0);
	assert_int_equal(record_write(world->dir, 3, &record), 0);
	ctl_msg_clear(&record);
	eventfd_write(reviver.fd, 1);
	settle(world);
	assert_int_equal(world->tapdisk.resumed, 1);
	assert_shown(world);
	disconnect(world);
	assert_none(world, world->pid);
}

static void a_tapdisk_that_dies_leaves_none(void **state)
{
	struct world *world = *state;

	connect_shown(world);
	tapdisk_die(world);
	settle(world);
	assert_backend_state("5");
	assert_none(world, PID);
}

static void a_restarted_tapback_leaves_it_and_removes_it(void **state)
{
	struct world *world = *state;

	be_the_tapdisk(world);
	connect_shown(world);
	stop_tapback(world);
	assert_shown(world);
	tapdisk_serve(&world->tapdisk);
	start_tapback(world);
	settle(world);
	assert_int_equal(world->tapdisk.connects, 1);
	assert_shown(world);
	disconnect(world);
	assert_none(world, world->pid);
}

/* tapback ended when tapdisk had it, and before it could say so in xenstore. */
static void one_that_is_there_already_is_used(void **state)
{
	struct world *world = *state;
	struct stat before, now;

	be_the_tapdisk(world);
	assert_int_equal(mkdir(path(world, world->pid, ""), 0755), 0);
	make_file(path(world, world->pid, FILE_NAME));
	assert_int_equal(stat(path(world, world->pid, FILE_NAME), &before), 0);
	connect_shown(world);
	assert_shown(world);
	assert_int_equal(fstat(world->tapdisk.shown, &now), 0);
	assert_true(now.st_ino == before.st_ino);
	disconnect(world);
	assert_none(world, world->pid);
}

static void what_dead_tapdisks_left_is_removed(void **state)
{
	struct world *world = *state;
	int dead = dead_pid(), other = dead_pid();
	char kept[160];

	stop_tapback(world);
	assert_int_equal(mkdir(path(world, dead, ""), 0755), 0);
	make_file(path(world, dead, "/vbd-3-768"));
	make_file(path(world, dead, "/vbd-4-51712"));
	assert_int_equal(mkdir(path(world, getpid(), ""), 0755), 0);
	make_file(path(world, getpid(), "/vbd-3-768"));
	/* It is somebody's own, or could be. */
	assert_int_equal(mkdir(path(world, other, ""), 0755), 0);
	assert_int_equal(chmod(path(world, other, ""), 0777), 0);
	make_file(path(world, other, "/vbd-3-768"));
	snprintf(kept, sizeof(kept), "%s/td3-%dx", world->dir, dead);
	assert_int_equal(mkdir(kept, 0755), 0);
	start_tapback(world);
	assert_none(world, dead);
	assert_true(exists(path(world, getpid(), "/vbd-3-768")));
	assert_true(exists(path(world, other, "/vbd-3-768")));
	assert_true(exists(kept));
	rmdir(kept);
	unlink(path(world, getpid(), "/vbd-3-768"));
	rmdir(path(world, getpid(), ""));
	unlink(path(world, other, "/vbd-3-768"));
	rmdir(path(world, other, ""));
}

/* Lines about xentop in a file that was stderr for a while. */
static unsigned int count_lines(FILE *log)
{
	unsigned int lines = 0;
	char line[512];

	rewind(log);
	while (fgets(line, sizeof(line), log))
		lines += strstr(line, "xentop") != NULL;
	return lines;
}

/* What is there in place of the directory; whoever made it may change it at any time. */
static void squat(const struct world *world, int how)
{
	const char *name = path(world, PID, "");

	if (how == 0)
		assert_int_equal(symlink(".", name), 0);
	else if (how == 1)
		assert_int_equal(symlink("/nonexistent", name), 0);
	else if (how == 2)
		assert_int_equal(mkfifo(name, 0666), 0);
	else if (how <= 4)
		assert_true(!mkdir(name, 0700) && !chmod(name, how == 3 ? 0757 : 0775));
	else
		assert_true(!mkdir(name, 0755) && !chown(name, NOBODY, NOBODY));
}

static void unsquat(const struct world *world, int how)
{
	const char *name = path(world, PID, "");

	/* As it was, and with nothing in it. */
	if (how == 5)
		assert_int_equal(chown(name, 0, 0), 0);
	if (how <= 1)
		assert_mode(name, S_IFLNK | 0777);
	else if (how == 2)
		assert_mode(name, S_IFIFO | 0666);
	else
		assert_mode(name, S_IFDIR | (how == 3 ? 0757 : how == 4 ? 0775 : 0755));
	assert_int_equal(how <= 2 ? unlink(name) : rmdir(name), 0);
}

static void a_place_of_others_is_not_used_and_said_once(void **state)
{
	int stderr_fd = dup(STDERR_FILENO), how, i;
	mode_t before = umask(0);

	/* The last is another one's, which takes root. */
	for (how = 0; how < (geteuid() ? 5 : 6); how++) {
		FILE *log = tmpfile();
		struct world *world;

		world_teardown(state);
		assert_int_equal(world_setup(state), 0);
		world = *state;
		squat(world, how);
		assert_int_equal(dup2(fileno(log), STDERR_FILENO), STDERR_FILENO);
		for (i = 0; i < 3; i++) {
			connect_shown(world);
			assert_int_equal(world->tapdisk.fds_got, 3);
			disconnect(world);
			set_frontend("state", "1");
			settle(world);
		}
		assert_int_equal(dup2(stderr_fd, STDERR_FILENO), STDERR_FILENO);
		assert_int_equal(count_lines(log), 1);
		fclose(log);
		unsquat(world, how);
	}
	close(stderr_fd);
	umask(before);
}

static void without_a_place_the_disk_works(void **state)
{
	struct world *world = *state;

	stop_tapback(world);
	start_tapback(world);
	world->tapback.xentop_dir = "/nonexistent";
	connect_shown(world);
	assert_int_equal(world->tapdisk.fds_got, 3);
	disconnect(world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ring_has_a_file_as_long_as_it_is_served),
		TEST(an_older_tapdisk_is_given_none),
		TEST(a_ring_that_is_refused_leaves_none),
		TEST(another_disk_of_the_tapdisk_keeps_its_own),
		TEST(a_successor_has_one_of_its_own),
		TEST(a_tapdisk_that_dies_leaves_none),
		TEST(a_restarted_tapback_leaves_it_and_removes_it),
		TEST(one_that_is_there_already_is_used),
		TEST(what_dead_tapdisks_left_is_removed),
		TEST(a_place_of_others_is_not_used_and_said_once),
		TEST(without_a_place_the_disk_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
