/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running another program to its end, with a time limit. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stddef.h>

/*
 * Run @argv (found by PATH, stdin and stderr ours) and keep what it prints,
 * cut to @size - 1 bytes, in @output. 0 when it exited with 0, -ETIMEDOUT
 * (it was killed), -EIO (it failed), or another -errno.
 */
int program_run(const char *const argv[], char *output, size_t size, int timeout_ms);

#endif /* CLI_PROGRAM_H */
