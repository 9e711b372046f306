// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl's command lines, those of the hotplug script among them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/cli.h"

#define COMMAND(name_, accepts_, requires_) \
	{ .name = name_, .accepts = accepts_, .requires = requires_, .synopsis = "", .help = "" }

static const struct cli_command list = COMMAND("list", "p:m:t:f:", "");
static const struct cli_command attach = COMMAND("attach", "p:m:", "pm");
static const struct cli_command open_image = COMMAND("open", "p:m:a:RS:D:", "pma");
static const struct cli_command query = {
	.name = "query", .accepts = "p:m:", .requires = "pm", .synopsis = "", .help = "",
	.takes_args = true,
};

#define PARSE(command, options, ...) \
	parse(command, options, (char *[]){ __VA_ARGS__, NULL })

static int parse(const struct cli_command *command, struct cli_options *options, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	return cli_parse(command, argc, argv, options);
}

static void what_the_hotplug_script_says(void **state)
{
	struct cli_options options;

	(void)state;
	assert_int_equal(PARSE(&list, &options, "list", "-t", "aio", "-f", "/x.img"), 0);
	assert_string_equal(options.type, "aio");
	assert_string_equal(options.file, "/x.img");
	assert_int_equal(options.pid, -1);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "12", "-m", "0"), 0);
	assert_int_equal(options.pid, 12);
	assert_int_equal(options.minor, 0);
	assert_int_equal(PARSE(&open_image, &options, "open", "-p", "12", "-m", "0", "-a",
			       "aio:/x.img"), 0);
	assert_string_equal(options.image, "aio:/x.img");
	assert_false(options.readonly);
	assert_int_equal(options.sector_bytes, 0);
}

static void sector_sizes(void **state)
{
	static const char *const bad[] = { "", "0", "511", "1024", "8192", "4k", "-512" };
	struct cli_options options;
	unsigned int i;

	(void)state;
	assert_int_equal(PARSE(&open_image, &options, "open", "-p", "12", "-m", "0", "-a",
			       "aio:/x.img", "-S", "4096"), 0);
	assert_int_equal(options.sector_bytes, 4096);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(PARSE(&open_image, &options, "open", "-p", "12", "-m", "0", "-a",
				       "aio:/x.img", "-S", (char *)bad[i]), -EINVAL);
}

static void long_options_and_times(void **state)
{
	static const struct cli_command close_disk = COMMAND("close", "p:m:T:", "pm");
	static const struct cli_command top = COMMAND("top", "1jn:", "");
	struct cli_options options;

	(void)state;
	/* -t is a time here, and a type in "list". */
	assert_int_equal(PARSE(&close_disk, &options, "close", "-p", "1", "-m", "2", "-t", "120"),
			 0);
	assert_int_equal(options.timeout_ms, 120000);
	assert_null(options.type);
	assert_int_equal(cli_drain_timeout(&options), 120000);
	assert_int_equal(PARSE(&close_disk, &options, "close", "-p", "1", "-m", "2",
			       "--timeout=3"), 0);
	assert_int_equal(options.timeout_ms, 3000);
	assert_int_equal(PARSE(&close_disk, &options, "close", "-p", "1", "-m", "2"), 0);
	assert_int_equal(cli_drain_timeout(&options), CLI_DRAIN_TIMEOUT_MS);
	assert_int_equal(PARSE(&close_disk, &options, "close", "-p", "1", "-m", "2", "-t", "0"),
			 -EINVAL);
	assert_int_equal(PARSE(&close_disk, &options, "close", "-p", "1", "-m", "2", "-t"),
			 -EINVAL);
	assert_int_equal(PARSE(&top, &options, "top", "--once", "--json", "-n", "5"), 0);
	assert_true(options.once && options.json);
	assert_int_equal(options.interval_ms, 5000);
	/* An option of another command is none of this one. */
	assert_int_equal(PARSE(&top, &options, "top", "--output=x"), -EINVAL);
	assert_int_equal(PARSE(&list, &options, "list", "--json"), -EINVAL);
}

static void what_is_refused(void **state)
{
	struct cli_options options;

	(void)state;
	assert_int_equal(PARSE(&attach, &options, "attach"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "12"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "12", "-m"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "0", "-m", "1"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "-1", "-m", "1"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "1", "-m", "16384"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "1x", "-m", "1"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "1", "-m", "1", "more"), -EINVAL);
	assert_int_equal(PARSE(&attach, &options, "attach", "-p", "1", "-m", "1", "-R"), -EINVAL);
	assert_int_equal(PARSE(&list, &options, "list", "--what"), -EINVAL);
}

static void arguments_and_help(void **state)
{
	struct cli_options options;

	(void)state;
	assert_int_equal(PARSE(&query, &options, "query", "-p", "1", "-m", "1", "0x10", "0x20"), 0);
	assert_int_equal(options.nr_args, 2);
	assert_string_equal(options.args[1], "0x20");
	assert_int_equal(PARSE(&attach, &options, "attach", "-h"), 1);
	assert_int_equal(PARSE(&attach, &options, "attach", "--help"), 1);
	assert_int_equal(PARSE(&open_image, &options, "open", "-R", "-p", "1", "-m", "1", "-a",
			       "aio:/x"), 0);
	assert_true(options.readonly);
}

static void ways_to_move_data(void **state)
{
	static const char *const good[] = { "auto", "map", "copy", "persistent" };
	static const char *const bad[] = { "", "foo", "Map", "map ", "copying" };
	struct cli_options options;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(PARSE(&open_image, &options, "open", "-p", "1", "-m", "1", "-a",
				       "aio:/x", "--data", (char *)good[i]), 0);
		assert_string_equal(options.data, good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(PARSE(&open_image, &options, "open", "-p", "1", "-m", "1", "-a",
				       "aio:/x", "--data", (char *)bad[i]), -EINVAL);
}

static void assert_absolute(const char *path, const char *expected)
{
	char image[64], expected_image[64];
	struct cli_options options;

	snprintf(image, sizeof(image), "aio:%s", path);
	snprintf(expected_image, sizeof(expected_image), "aio:%s", expected);
	assert_int_equal(PARSE(&open_image, &options, "open", "-p", "1", "-m", "1", "-a", image),
			 0);
	assert_string_equal(options.image, expected_image);
	cli_options_clear(&options);
	assert_int_equal(PARSE(&list, &options, "list", "-f", (char *)path), 0);
	assert_string_equal(options.file, expected);
	cli_options_clear(&options);
}

/* The disk is restarted from another directory; links stay as they were named. */
static void paths_become_absolute(void **state)
{
	char dir[] = "/tmp/cli_options.XXXXXX", *before = getcwd(NULL, 0);
	static const char *const rows[][2] = {
		{ "x.img", "x.img" }, { "./x.img", "x.img" }, { ".//./x.img", "x.img" },
		{ ".x/y", ".x/y" }, { "..x/y", "..x/y" }, { "a/../x:y z", "a/../x:y z" },
		{ "link/x.img", "link/x.img" },
	};
	struct cli_options options;
	char expected[64];
	unsigned int i;

	(void)state;
	assert_non_null(before);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(symlink("/", "link"), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(expected, sizeof(expected), "%s/%s", dir, rows[i][1]);
		assert_absolute(rows[i][0], expected);
	}
	assert_absolute("/x/../y", "/x/../y");
	assert_absolute("../x.img", "/tmp/x.img");
	assert_absolute("./..//x.img", "/tmp/x.img");
	assert_absolute("../../../../x.img", "/x.img");
	unlink("link");
	assert_int_equal(chdir("/"), 0);
	assert_absolute("x.img", "/x.img");
	assert_absolute("../x.img", "/x.img");
	/* What is no image is none with a path in it, either. */
	assert_int_equal(PARSE(&open_image, &options, "open", "-p", "1", "-m", "1", "-a", "x"), 0);
	assert_string_equal(options.image, "x");
	assert_int_equal(PARSE(&open_image, &options, "open", "-p", "1", "-m", "1", "-a", "aio:"),
			 0);
	assert_string_equal(options.image, "aio:");
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(chdir(before), 0);
	free(before);
}

static void a_directory_that_is_gone(void **state)
{
	char dir[] = "/tmp/cli_options.XXXXXX", *before = getcwd(NULL, 0);
	struct cli_options options;

	(void)state;
	assert_non_null(before);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(PARSE(&list, &options, "list", "-f", "x.img"), -ENOENT);
	cli_options_clear(&options);
	assert_int_equal(PARSE(&list, &options, "list", "-f", "/x.img"), 0);
	assert_int_equal(chdir(before), 0);
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_hotplug_script_says),
		cmocka_unit_test(sector_sizes),
		cmocka_unit_test(long_options_and_times),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(arguments_and_help),
		cmocka_unit_test(ways_to_move_data),
		cmocka_unit_test(paths_become_absolute),
		cmocka_unit_test(a_directory_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
