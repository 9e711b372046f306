// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl doctor. */
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/json_out.h"
#include "cli/program.h"

static const char *const verdicts[] = { "ok", "warn", "FAIL" };

static void print_lines(const struct doctor_line *lines, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		printf("%-4s  %-10s %s\n", verdicts[lines[i].verdict], lines[i].subject,
		       lines[i].finding);
		if (*lines[i].advice)
			printf("%17s-> %s\n", "", lines[i].advice);
	}
}

static void print_json(const struct doctor_line *lines, size_t nr)
{
	struct json_object *array = json_object_new_array();
	struct json_object *line;
	size_t i;

	for (i = 0; i < nr; i++) {
		line = json_object_new_object();
		json_object_object_add(line, "verdict",
				       json_object_new_string(verdicts[lines[i].verdict]));
		json_object_object_add(line, "subject", json_object_new_string(lines[i].subject));
		json_object_object_add(line, "finding", json_object_new_string(lines[i].finding));
		if (*lines[i].advice)
			json_object_object_add(line, "advice",
					       json_object_new_string(lines[i].advice));
		json_object_array_add(array, line);
	}
	json_print(stdout, array);
	json_object_put(array);
}

int cmd_doctor(const struct cli_options *options)
{
	const struct doctor_host host = { "", XENTAP_VERSION, program_run };
	CLEANUP_FREE struct doctor_line *lines = calloc(DOCTOR_LINES_MAX, sizeof(*lines));
	size_t i, nr;

	if (!lines)
		return -ENOMEM;
	nr = doctor_examine(&host, lines);
	if (options->json)
		print_json(lines, nr);
	else
		print_lines(lines, nr);
	for (i = 0; i < nr; i++)
		if (lines[i].verdict == DOCTOR_FAIL)
			return -1;
	return 0;
}
