// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/tapdisk_end.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/nbd_socket.h"
#include "ctl/ctl_msg.h"

bool tapdisk_wait_for_end(int pid, int timeout_ms)
{
	CLEANUP_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return fd < 0 || poll(&pfd, 1, timeout_ms) == 1;
}

void tapdisk_remove_sockets(int pid, int minor)
{
	CLEANUP_CLOSE int fd = ctl_connect(pid);
	char path[64];

	if (fd != -ESRCH)
		return;
	snprintf(path, sizeof(path), XENTAP_CTL_PREFIX "%d", pid);
	unlink(path);
	nbd_socket_remove(XENTAP_RUN_DIR, pid, minor);
}

void tapdisk_abandon(int pid, int minor)
{
	kill(pid, SIGTERM);
	if (tapdisk_wait_for_end(pid, TAPDISK_END_TIMEOUT_MS))
		tapdisk_remove_sockets(pid, minor);
}
