// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/http.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define REQUEST_MAX	4096	/* bytes of a request with its header */

/* Up to the empty line that ends a header. False: too long, too slow, or cut off. */
static bool read_request(int in, char request[REQUEST_MAX], int timeout_ms)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms, now_ms;
	struct pollfd pfd = { .fd = in, .events = POLLIN };
	size_t len = 0;
	ssize_t got;

	while (len < REQUEST_MAX - 1) {
		now_ms = clock_ms();
		if (now_ms >= deadline_ms ||
		    poll(&pfd, 1, (int)(deadline_ms - now_ms)) <= 0)
			return false;
		got = read(in, request + len, REQUEST_MAX - 1 - len);
		if (got <= 0)
			return false;
		len += (size_t)got;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n") || strstr(request, "\n\n"))
			return true;
	}
	return false;
}

static void begin(FILE *out, const char *status, const char *type)
{
	fprintf(out, "HTTP/1.0 %s\r\nContent-Type: %s\r\nConnection: close\r\n\r\n", status, type);
}

bool http_begin(int in, FILE *out, const char *path, const char *type, int timeout_ms)
{
	static char request[REQUEST_MAX];	/* too large for a stack */
	char *target, *end;

	if (!read_request(in, request, timeout_ms)) {
		begin(out, "400 Bad Request", "text/plain");
		return false;
	}
	if (strncmp(request, "GET ", 4)) {
		begin(out, "405 Method Not Allowed", "text/plain");
		return false;
	}
	target = request + 4;
	end = target + strcspn(target, " ?\r\n");
	*end = '\0';
	if (strcmp(target, path)) {
		begin(out, "404 Not Found", "text/plain");
		fprintf(out, "There is %s only.\n", path);
		return false;
	}
	begin(out, "200 OK", type);
	return true;
}
