// SPDX-License-Identifier: GPL-2.0-or-later
/* Counters of tapdisks as tap-ctl top and metrics show them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include <json-c/json.h>

#include "cli/samples.h"
#include "fake/ctl_server.h"

#define NO_COUNTERS "/nonexistent"

static void add(struct samples *samples, int pid, const char *json, int expected)
{
	struct json_object *stats = json_tokener_parse(json);

	assert_non_null(stats);
	assert_int_equal(samples_add(samples, pid, 3, stats), expected);
	json_object_put(stats);
}

/* What @print writes; to be freed. */
static char *top_text(const struct samples *before, const struct samples *after)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	samples_print_top(out, before, after);
	fclose(out);
	return text;
}

static char *metrics_text(const struct samples *samples, const char *counters)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	samples_print_metrics(out, samples, counters);
	fclose(out);
	return text;
}

static const char first[] =
	"{\"name\": \"aio:/x.img\", \"flush_failed\": false, \"frontends\": ["
	"{\"domid\": 5, \"devid\": 51712, \"reads\": 100, \"writes\": 10, \"flushes\": 1,"
	" \"read_sectors\": 1000, \"write_sectors\": 80, \"outstanding\": 2}]}";
static const char second[] =
	"{\"name\": \"aio:/x.img\", \"flush_failed\": false, \"frontends\": ["
	"{\"domid\": 5, \"devid\": 51712, \"reads\": 300, \"writes\": 10, \"flushes\": 5,"
	" \"read_sectors\": 9000, \"write_sectors\": 80, \"outstanding\": 7,"
	" \"data\": \"map\"}]}";

static void rates_are_differences(void **state)
{
	struct samples before = { .time_ms = 1000 }, after = { .time_ms = 3000 };
	struct json_object *rows, *row, *value;
	char *text;

	(void)state;
	add(&before, 77, first, 0);
	add(&after, 77, second, 0);
	rows = samples_top_json(&before, &after);
	assert_int_equal(json_object_array_length(rows), 1);
	row = json_object_array_get_idx(rows, 0);
	assert_true(json_object_object_get_ex(row, "reads_per_second", &value));
	assert_true(json_object_get_double(value) == 100);
	assert_true(json_object_object_get_ex(row, "writes_per_second", &value));
	assert_true(json_object_get_double(value) == 0);
	assert_true(json_object_object_get_ex(row, "flushes_per_second", &value));
	assert_true(json_object_get_double(value) == 2);
	assert_true(json_object_object_get_ex(row, "read_bytes_per_second", &value));
	assert_true(json_object_get_double(value) == 8000.0 * 512 / 2);
	assert_true(json_object_object_get_ex(row, "outstanding", &value));
	assert_int_equal(json_object_get_int(value), 7);
	assert_true(json_object_object_get_ex(row, "data", &value));
	assert_string_equal(json_object_get_string(value), "map");
	json_object_put(rows);

	text = top_text(&before, &after);
	assert_non_null(strstr(text, "    5    51712      77     3 map             100        0        2      2.0      0.0        -        -     7  "));
	assert_non_null(strstr(text, "aio:/x.img\n"));
	free(text);
	samples_clear(&before);
	samples_clear(&after);
}

/* A guest that rebooted: its counters began anew. */
static void counters_that_went_back(void **state)
{
	struct samples before = { .time_ms = 0 }, after = { .time_ms = 1000 };
	struct json_object *rows, *value;

	(void)state;
	add(&before, 77, second, 0);
	add(&after, 77, first, 0);
	rows = samples_top_json(&before, &after);
	assert_true(json_object_object_get_ex(json_object_array_get_idx(rows, 0),
					      "reads_per_second", &value));
	assert_true(json_object_get_double(value) == 100);
	json_object_put(rows);
	samples_clear(&before);
	samples_clear(&after);
}

static void disk_without_a_guest(void **state)
{
	struct samples samples = { 0 };
	char *text;

	(void)state;
	add(&samples, 8, "{\"name\": \"aio:/y\", \"frontends\": [], \"flush_failed\": true}", 0);
	assert_int_equal(samples.nr, 1);
	assert_int_equal(samples.list[0].domid, -1);
	text = top_text(&samples, &samples);
	assert_non_null(strstr(text, "    -        -       8     3"));
	assert_non_null(strstr(text, "flush failed"));
	free(text);
	text = metrics_text(&samples, NO_COUNTERS);
	assert_non_null(strstr(text, "xentap_disk_flush_failed{pid=\"8\",minor=\"3\","
				     "image=\"aio:/y\"} 1\n"));
	assert_null(strstr(text, "domid"));
	free(text);
	samples_clear(&samples);
}

static void latencies(void **state)
{
	static const char early[] =
		"{\"name\": \"aio:/x\", \"filters\": [{\"filter\": \"limit\"}, {\"filter\": \"latency\","
		" \"read\": {\"4k\": [0, 5], \"16k\": [1]}, \"write\": {}}], \"frontends\": ["
		"{\"domid\": 1}, {\"domid\": 2}]}";
	static const char late[] =
		"{\"name\": \"aio:/x\", \"filters\": [{\"filter\": \"latency\","
		" \"read\": {\"4k\": [0, 5, 98], \"16k\": [1, 0, 0, 1, 1]}, \"write\": 3}],"
		" \"frontends\": [{\"domid\": 1}, {\"domid\": 2}]}";
	struct samples before = { .time_ms = 0 }, after = { .time_ms = 1000 };
	char *text, *first_count;

	(void)state;
	add(&before, 9, early, 0);
	add(&after, 9, late, 0);
	/* Of 100 between the two, 98 took less than 4 us, one 8, one 16. */
	text = top_text(&before, &after);
	assert_non_null(strstr(text, "       <8        -"));
	free(text);
	text = metrics_text(&after, NO_COUNTERS);
	assert_non_null(strstr(text, "image=\"aio:/x\",op=\"read\",le=\"1e-06\"} 1\n"));
	assert_non_null(strstr(text, "op=\"read\",le=\"4e-06\"} 104\n"));
	assert_non_null(strstr(text, "op=\"read\",le=\"+Inf\"} 106\n"));
	assert_non_null(strstr(text, "op=\"write\",le=\"+Inf\"} 0\n"));
	/* Two guests, one disk. */
	first_count = strstr(text, "op=\"read\"} 106\n");
	assert_non_null(first_count);
	assert_null(strstr(first_count + 1, "op=\"read\"} 106\n"));
	free(text);
	samples_clear(&before);
	samples_clear(&after);
}

static void metrics_of_a_guest(void **state)
{
	struct samples samples = { .tapdisks = 2, .silent = 1 };
	char *text;

	(void)state;
	add(&samples, 77, second, 0);
	text = metrics_text(&samples, NO_COUNTERS);
	assert_non_null(strstr(text, "\nxentap_tapdisks 2\n"));
	assert_non_null(strstr(text, "\nxentap_tapdisks_silent 1\n"));
	assert_non_null(strstr(text, "# TYPE xentap_disk_read_bytes_total counter\n"
		"xentap_disk_read_bytes_total{pid=\"77\",minor=\"3\",domid=\"5\","
		"devid=\"51712\",data=\"map\",image=\"aio:/x.img\"} 4608000\n"));
	free(text);
	samples_clear(&samples);
}

/* Paths can hold anything; neither the format nor a terminal may suffer. */
static void strange_names(void **state)
{
	struct samples samples = { 0 };
	char *text;

	(void)state;
	add(&samples, 1, "{\"name\": \"aio:/a\\\"b\\\\c\\u001b[2J\\nd\", \"frontends\": [{"
	    "\"data\": \"a\\\"} 1\\n\"}]}", 0);
	add(&samples, 2, "{\"name\": \"aio:/\xe9\xc3\xa9\", \"frontends\": []}", 0);
	text = metrics_text(&samples, NO_COUNTERS);
	assert_non_null(strstr(text, "image=\"aio:/a\\\"b\\\\c?[2J?d\""));
	assert_non_null(strstr(text, "image=\"aio:/?\xc3\xa9\""));
	assert_non_null(strstr(text, "data=\"a\","));
	free(text);
	text = top_text(&samples, &samples);
	assert_null(strchr(text, '\033'));
	free(text);
	samples_clear(&samples);
}

static void answers_of_no_use(void **state)
{
	struct samples samples = { 0 };

	(void)state;
	add(&samples, 1, "{}", -EBADMSG);
	add(&samples, 1, "{\"frontends\": 5}", -EBADMSG);
	add(&samples, 1, "{\"frontends\": [5]}", -EBADMSG);
	/* Unknown counters are zero, not an error: another version may lack them. */
	add(&samples, 1, "{\"frontends\": [{\"reads\": \"x\", \"writes\": -1}]}", 0);
	assert_int_equal(samples.nr, 1);
	assert_int_equal(samples.list[0].reads, 0);
	assert_int_equal(samples.list[0].writes, 0);
	samples_clear(&samples);
}

static void counters_of_the_module(void **state)
{
	char path[] = "/tmp/xentap-counters-XXXXXX";
	const char counters[] = "mapped 12\npool_pages 7\n";
	struct samples samples = { 0 };
	int fd = mkstemp(path);
	char *text;

	(void)state;
	assert_true(write(fd, counters, strlen(counters)) == (ssize_t)strlen(counters));
	close(fd);
	text = metrics_text(&samples, path);
	unlink(path);
	assert_non_null(strstr(text, "\nxentap_module_mapped 12\n"));
	assert_non_null(strstr(text, "\nxentap_module_pool_pages 7\n"));
	free(text);
}

static void no_tapdisk_at_all(void **state)
{
	struct samples samples;
	char *text;

	(void)state;
	assert_int_equal(samples_take(&samples, "/nonexistent"), 0);
	assert_int_equal(samples.nr, 0);
	assert_int_equal(samples.tapdisks, 0);
	text = top_text(&samples, &samples);
	assert_non_null(strstr(text, "no disk is served\n"));
	assert_null(strstr(text, "did not answer"));
	free(text);
	samples_clear(&samples);
}

/* Whether it has a disk is not known, and not denied. */
static void a_tapdisk_that_hangs(void **state)
{
	const struct ctl_server says = { .list = NULL };
	char dir[] = "/tmp/samples.XXXXXX", path[64];
	struct samples samples;
	pid_t pid;
	char *text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pid = ctl_server_start(dir, &says);
	assert_int_equal(samples_take(&samples, dir), 0);
	assert_int_equal(samples.tapdisks, 1);
	assert_int_equal(samples.silent, 1);
	assert_int_equal(samples.nr, 0);
	text = top_text(&samples, &samples);
	assert_non_null(strstr(text, "1 tapdisk did not answer"));
	assert_null(strstr(text, "no disk is served"));
	free(text);
	text = metrics_text(&samples, NO_COUNTERS);
	assert_non_null(strstr(text, "\nxentap_tapdisks 1\n"));
	assert_non_null(strstr(text, "\nxentap_tapdisks_silent 1\n"));
	free(text);
	samples_clear(&samples);
	ctl_server_stop(pid);
	snprintf(path, sizeof(path), "%s/ctl%d", dir, pid);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

/* Of two, neither answers before both are asked; a third answers but to "list". */
static void all_are_asked_before_anyone_answers(void **state)
{
	struct ctl_server says = {
		.list = "{\"v\":1,\"errno\":0,\"disks\":[{\"minor\":0,\"state\":0}]}",
	};
	char dir[] = "/tmp/samples.XXXXXX", path[64];
	struct samples samples;
	pid_t pids[3];
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pids[0] = ctl_server_start(dir, &says);
	says.stats = "{\"v\":1,\"errno\":0,\"stats\":{\"name\":\"aio:/x\",\"frontends\":[]}}";
	says.to_be_asked = mmap(NULL, sizeof(*says.to_be_asked), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(says.to_be_asked, MAP_FAILED);
	*says.to_be_asked = 2;
	pids[1] = ctl_server_start(dir, &says);
	pids[2] = ctl_server_start(dir, &says);
	assert_int_equal(samples_take(&samples, dir), 0);
	assert_int_equal(samples.tapdisks, 3);
	assert_int_equal(samples.silent, 1);
	assert_int_equal(samples.nr, 2);
	for (i = 0; i < samples.nr; i++)
		assert_true(samples.list[i].pid == pids[1] || samples.list[i].pid == pids[2]);
	samples_clear(&samples);
	for (i = 0; i < 3; i++) {
		ctl_server_stop(pids[i]);
		snprintf(path, sizeof(path), "%s/ctl%d", dir, pids[i]);
		unlink(path);
	}
	munmap(says.to_be_asked, sizeof(*says.to_be_asked));
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_differences),
		cmocka_unit_test(counters_that_went_back),
		cmocka_unit_test(disk_without_a_guest),
		cmocka_unit_test(latencies),
		cmocka_unit_test(metrics_of_a_guest),
		cmocka_unit_test(strange_names),
		cmocka_unit_test(answers_of_no_use),
		cmocka_unit_test(counters_of_the_module),
		cmocka_unit_test(no_tapdisk_at_all),
		cmocka_unit_test(a_tapdisk_that_hangs),
		cmocka_unit_test(all_are_asked_before_anyone_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
