// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

extern char **environ;

/* Start @argv with its output going to @out_fd; 0 or -errno. */
static int start(const char *const argv[], int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int err;

	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	err = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	if (!err)
		err = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* Read until the other end is closed; 0, -ETIMEDOUT or -errno. */
static int read_all(int fd, char *output, size_t size, uint64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	char rest[256];
	uint64_t now_ms;
	ssize_t got;

	output[0] = '\0';
	for (;;) {
		now_ms = clock_ms();
		if (now_ms >= deadline_ms)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)(deadline_ms - now_ms)) <= 0)
			continue;
		/* What does not fit is read all the same, so that it can end. */
		if (len + 1 < size)
			got = read(fd, output + len, size - 1 - len);
		else
			got = read(fd, rest, sizeof(rest));
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		if (got > 0 && len + 1 < size) {
			len += (size_t)got;
			output[len] = '\0';
		}
	}
}

int program_run(const char *const argv[], char *output, size_t size, int timeout_ms)
{
	uint64_t deadline_ms = clock_ms() + (uint64_t)timeout_ms;
	CLEANUP_CLOSE int out = -1;
	int pipe_fds[2], status;
	pid_t pid;
	int err;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return -errno;
	out = pipe_fds[0];
	err = start(argv, pipe_fds[1], &pid);
	close(pipe_fds[1]);
	if (err)
		return err;
	err = read_all(out, output, size, deadline_ms);
	if (err)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (err)
		return err;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}
