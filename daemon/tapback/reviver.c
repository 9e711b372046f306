// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/reviver.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSTEMD_RUNS	"/run/systemd/system"
#define TAP_CTL		XENTAP_SBINDIR "/tap-ctl"

#ifndef P_PIDFD		/* glibc before 2.36 */
#define P_PIDFD		((idtype_t)3)
#endif

extern char **environ;

/* Signals that we take from a descriptor are blocked here, and must not be there. */
static int spawn(char *const argv[], pid_t *pid)
{
	posix_spawnattr_t attributes;
	sigset_t none;
	int err;

	if (posix_spawnattr_init(&attributes))
		return -ENOMEM;
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawnp(pid, argv[0], NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return -err;
}

int reviver_start(uint32_t minor)
{
	char unit[64], number[16];
	char *by_systemd[] = { "systemctl", "--no-ask-password", "start", unit, NULL };
	char *directly[] = { TAP_CTL, "restart", "-m", number, NULL };
	pid_t pid;
	int err, fd;

	snprintf(unit, sizeof(unit), "xentap-restart@%u.service", minor);
	snprintf(number, sizeof(number), "%u", minor);
	err = spawn(access(SYSTEMD_RUNS, F_OK) ? directly : by_systemd, &pid);
	if (err)
		return err;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0)
		return fd;
	err = -errno;
	/* Nobody would hear of its end. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

int reviver_end(int fd)
{
	siginfo_t info = { 0 };
	int err = waitid(P_PIDFD, (id_t)fd, &info, WEXITED) ? -errno : 0;

	close(fd);
	if (err)
		return err;
	return info.si_code == CLD_EXITED && info.si_status == 0 ? 0 : -EIO;
}

void reviver_stop(int fd)
{
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	reviver_end(fd);
}
