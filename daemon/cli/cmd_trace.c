// SPDX-License-Identifier: GPL-2.0-or-later
/* tap-ctl trace: each I/O of a disk in use, with the grants behind its buffers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/steps.h"
#include "ctl/ctl_msg.h"

static int64_t number(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_int64(value) : -1;
}

static const char *word(struct json_object *object, const char *name)
{
	struct json_object *value;

	return json_object_object_get_ex(object, name, &value) ? json_object_get_string(value) : "?";
}

/* " grefs=8,9,10", the pages in their order; nothing where no grant is known. */
static void print_grefs(struct json_object *vectors)
{
	const char *before = " grefs=";
	size_t i;

	if (!json_object_is_type(vectors, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(vectors); i++) {
		int64_t gref = number(json_object_array_get_idx(vectors, i), "gref");

		if (gref < 0)
			continue;
		printf("%s%" PRId64, before, gref);
		before = ",";
	}
}

static void print_io(struct json_object *io)
{
	/* What tapdisk does by itself is nobody's. */
	if (number(io, "domid") >= 0)
		printf("domid=%" PRId64 " ", number(io, "domid"));
	printf("op=%s offset=%" PRId64 " bytes=%" PRId64 " us=%" PRId64 " error=%" PRId64,
	       word(io, "op"), number(io, "offset"), number(io, "bytes"),
	       number(io, "took_ns") / 1000, number(io, "error"));
	print_grefs(json_object_object_get(io, "vectors"));
	putchar('\n');
}

/* What comes through @in, until tapdisk closes its end. */
static int show(FILE *in, bool json)
{
	CLEANUP_FREE char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, in) > 0) {
		struct json_object *io = json ? NULL : json_tokener_parse(line);

		if (json)
			fputs(line, stdout);
		else if (io)
			print_io(io);
		json_object_put(io);
		/* Who reads us sees it now, and we learn that nobody does. */
		if (fflush(stdout))
			return errno == EPIPE ? 0 : -errno;
	}
	return 0;
}

/* Has @fd, which is taken over, written to by the tapdisk. */
static int begin(const struct cli_options *options, int fd)
{
	struct ctl_msg request = CTL_MSG_INIT, reply = CTL_MSG_INIT;
	int err = ctl_request_minor(&request, "trace", options->minor);

	request.fds[request.nr_fds++] = fd;
	if (!err)
		err = step_call(options->pid, &request, &reply, CLI_TIMEOUT_MS, "trace");
	ctl_msg_clear(&request);
	ctl_msg_clear(&reply);
	return err;
}

int cmd_trace(const struct cli_options *options)
{
	int fds[2], err;
	FILE *in;

	if (pipe2(fds, O_CLOEXEC))
		return cli_fail(-errno, "trace: %m");
	in = fdopen(fds[0], "r");
	if (!in) {
		close(fds[0]);
		close(fds[1]);
		return cli_fail(-ENOMEM, "trace: no memory");
	}
	err = begin(options, fds[1]);
	if (!err) {
		err = show(in, options->json);
		if (err)
			log_error("trace: cannot write the output: %s", strerror(-err));
	}
	fclose(in);
	return err;
}
