// SPDX-License-Identifier: GPL-2.0-or-later
/* TYPE:PATH, and what cannot be opened as an image, each with its sentence. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/image_file.h"

static char why[512];

static void type_and_path(void **state)
{
	char type[IMAGE_TYPE_MAX];
	const char *path;

	(void)state;
	assert_int_equal(image_split("aio:/x.img", type, &path, why, sizeof(why)), 0);
	assert_string_equal(type, "aio");
	assert_string_equal(path, "/x.img");
	/* The rest is verbatim. */
	assert_int_equal(image_split("aio:x:y z", type, &path, why, sizeof(why)), 0);
	assert_string_equal(path, "x:y z");
}

static void what_names_no_image(void **state)
{
	static const char *const bad[] = {
		"", ":", "aio", "aio:", ":/x", "/x.img", "a-very-long-type-name:/x",
	};
	char type[IMAGE_TYPE_MAX];
	const char *path;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(image_split(bad[i], type, &path, why, sizeof(why)), -EINVAL);
	assert_int_equal(image_split("vhd:/x.vhd", type, &path, why, sizeof(why)),
			 -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "raw images only"));
	assert_int_equal(image_split("qcow2:/x", type, &path, why, sizeof(why)),
			 -EPROTONOSUPPORT);
}

static void assert_refused(const char *path, int err, const char *sentence)
{
	why[0] = '\0';
	assert_int_equal(image_file_open(path, false, why, sizeof(why)), err);
	if (!strstr(why, sentence))
		fail_msg("\"%s\" does not say \"%s\"", why, sentence);
}

static void an_image_is_known_by_any_name(void **state)
{
	struct image_id file, link, device, other;
	struct stat st;

	(void)state;
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	file = image_file_id(&st);
	assert_int_equal(stat("/proc/thread-self/exe", &st), 0);
	link = image_file_id(&st);
	assert_memory_equal(&file, &link, sizeof(file));
	assert_int_equal(stat("/proc/self/maps", &st), 0);
	other = image_file_id(&st);
	assert_memory_not_equal(&file, &other, sizeof(file));
	/* Of two nodes of one device, whatever they are called. */
	st = (struct stat){ .st_mode = S_IFBLK, .st_rdev = 7, .st_dev = 1, .st_ino = 1 };
	device = image_file_id(&st);
	st.st_dev = st.st_ino = 2;
	other = image_file_id(&st);
	assert_memory_equal(&device, &other, sizeof(device));
}

static void what_is_no_image(void **state)
{
	char fifo[] = "/tmp/image_file.XXXXXX";

	(void)state;
	assert_refused("/nonexistent/x.img", -ENOENT, "there is no image /nonexistent/x.img");
	assert_refused("/etc/passwd/x", -ENOTDIR, "there is no image");
	assert_refused("/tmp", -EISDIR, "is a directory");
	assert_refused("/dev/null", -EINVAL, "neither a file nor a block device");
	/* Must not wait for a writer. */
	close(mkstemp(fifo));
	unlink(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_refused(fifo, -EINVAL, "neither a file nor a block device");
	unlink(fifo);
	/* A file system without direct I/O. */
	assert_refused("/proc/version", -EINVAL, "without direct I/O");
}

static void an_image_is_opened_as_asked(void **state)
{
	char path[] = "./image_file.XXXXXX";
	int fd;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	fd = image_file_open(path, true, why, sizeof(why));
	if (fd == -EINVAL)
		skip();	/* no direct I/O here either */
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_DIRECT), O_RDONLY | O_DIRECT);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = image_file_open(path, false, why, sizeof(why));
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_DIRECT), O_RDWR | O_DIRECT);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(type_and_path),
		cmocka_unit_test(what_names_no_image),
		cmocka_unit_test(an_image_is_known_by_any_name),
		cmocka_unit_test(what_is_no_image),
		cmocka_unit_test(an_image_is_opened_as_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
