// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tap-ctl spawn: start a tapdisk, by systemd where it runs, else directly.
 * The caller is often a hotplug script that holds a lock by a descriptor and
 * reads our output to its end: a tapdisk must inherit neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/paths.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/marker.h"
#include "cli/program.h"
#include "cli/steps.h"

#define TAPDISK_PROGRAM		XENTAP_LIBEXECDIR "/tapdisk"
#define SYSTEMD_RUNS		"/run/systemd/system"
#define READY_FD		3	/* in a tapdisk that is started directly */

/* A number no tapdisk@N.service had since boot, or -errno. */
static int fresh_instance(void)
{
	CLEANUP_CLOSE int fd = -1;
	char text[16] = "";
	uint32_t number = 0;
	ssize_t len;
	int err;

	fd = open(XENTAP_INSTANCE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = marker_lock(fd);
	if (err)
		return err;
	len = pread(fd, text, sizeof(text) - 1, 0);
	if (len < 0)
		return -errno;
	if (len && parse_u32(text, INT32_MAX - 1, &number))
		return -EBADMSG;
	len = snprintf(text, sizeof(text), "%u", ++number);
	if (pwrite(fd, text, (size_t)len, 0) != len)
		return -EIO;
	return (int)number;
}

/* The pid of tapdisk@N.service that was just started, or -errno. */
static int main_pid(const char *unit)
{
	const char *const show[] = {
		"systemctl", "show", "-p", "MainPID", "--value", unit, NULL
	};
	uint32_t pid;
	char text[32];
	int err;

	err = program_run(show, text, sizeof(text), CLI_TIMEOUT_MS);
	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	if (parse_u32(text, INT32_MAX, &pid) || !pid)
		return -ESRCH;
	return (int)pid;
}

static int spawn_by_systemd(void)
{
	char unit[64], output[64];
	const char *const start[] = { "systemctl", "start", unit, NULL };
	int err, instance, pid;

	instance = fresh_instance();
	if (instance < 0)
		return cli_fail(instance, "spawn: cannot count tapdisks in %s: %s",
				XENTAP_INSTANCE_FILE, strerror(-instance));
	snprintf(unit, sizeof(unit), "tapdisk@%d.service", instance);
	err = program_run(start, output, sizeof(output), CLI_TIMEOUT_MS);
	if (err)
		return cli_fail(err, "spawn: %s did not start (%s); see journalctl -u tapdisk@%d",
				unit, strerror(-err), instance);
	pid = main_pid(unit);
	if (pid < 0)
		return cli_fail(pid, "spawn: %s ended at once; see journalctl -u tapdisk@%d",
				unit, instance);
	return pid;
}

/* In the child: become a daemon that holds nothing of ours, and tapdisk. */
static void exec_tapdisk(int ready_fd)
{
	char option[32];
	int null_fd = open("/dev/null", O_RDWR);

	snprintf(option, sizeof(option), "--ready-fd=%d", READY_FD);
	if (null_fd < 0 || setsid() < 0 || chdir("/") ||
	    dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
	    dup2(null_fd, STDERR_FILENO) < 0)
		_exit(127);
	/* dup2() of a descriptor onto itself would keep close-on-exec. */
	if (ready_fd == READY_FD ? fcntl(ready_fd, F_SETFD, 0) :
	    dup2(ready_fd, READY_FD) < 0)
		_exit(127);
	if (close_range(READY_FD + 1, ~0u, 0))
		_exit(127);
	execl(TAPDISK_PROGRAM, "tapdisk", option, (char *)NULL);
	_exit(127);
}

/* Wait for the byte that says tapdisk serves: 0 or -errno. */
static int wait_ready(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t got;
	char byte;
	int ready;

	do {
		ready = poll(&pfd, 1, CLI_TIMEOUT_MS);
	} while (ready < 0 && errno == EINTR);
	if (!ready)
		return -ETIMEDOUT;
	got = read(fd, &byte, 1);
	return got == 1 ? 0 : -ESRCH;
}

static int spawn_directly(void)
{
	CLEANUP_CLOSE int ready = -1;
	int pipe_fds[2], err;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC))
		return cli_fail(-errno, "spawn: %m");
	ready = pipe_fds[0];
	pid = fork();
	if (!pid)
		exec_tapdisk(pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0)
		return cli_fail(-errno, "spawn: cannot start a process: %m");
	err = wait_ready(ready);
	if (!err)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return cli_fail(err, "spawn: %s did not start (%s); see tapdisk's messages in the "
			"system log", TAPDISK_PROGRAM, strerror(-err));
}

/* Neither way to guests is there. */
static int say_no_device(void)
{
	if (!doctor_xen_runs(""))
		return cli_fail(-ENODEV, "spawn: Xen does not run here, so that there are no guests "
				"to serve: choose the entry with Xen in the boot menu");
	return cli_fail(-ENODEV, "%s is missing because the module xentap is not loaded; "
			"run \"modprobe xentap\", and \"dkms status xentap\" if that fails",
			XENTAP_NODE);
}

int step_spawn(void)
{
	int err;

	if (access(XENTAP_NODE, F_OK) && access(GNTDEV_NODE, F_OK))
		return say_no_device();
	err = marker_make_run_dir(XENTAP_RUN_DIR);
	if (err)
		return cli_fail(err, "spawn: cannot make %s: %s", XENTAP_RUN_DIR,
				strerror(-err));
	return access(SYSTEMD_RUNS, F_OK) ? spawn_directly() : spawn_by_systemd();
}

int cmd_spawn(const struct cli_options *options)
{
	int pid = step_spawn();

	(void)options;
	if (pid < 0)
		return pid;
	printf("%d\n", pid);
	return 0;
}
