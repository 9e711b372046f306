/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One answer to one request of HTTP, on a connection that systemd accepted. */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Read the request on @in and begin the answer on @out: the body may follow when true is
 * returned, which is so for GET of @path. Else all is said: another path or method, no
 * request, or none within @timeout_ms.
 */
bool http_begin(int in, FILE *out, const char *path, const char *type, int timeout_ms);

#endif /* CLI_HTTP_H */
