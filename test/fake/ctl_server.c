// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/ctl_server.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "ctl/ctl_msg.h"

/* One question of a connection, which stays open. */
static void answer(int fd, const struct ctl_server *says)
{
	struct ctl_msg request = CTL_MSG_INIT;
	const char *cmd, *text = says->list;

	if (fd < 0 || ctl_msg_recv(fd, &request) || ctl_get_string(&request, "cmd", &cmd))
		_exit(1);
	if (!strcmp(cmd, "stats")) {
		text = says->stats;
		if (says->to_be_asked) {
			(*says->to_be_asked)--;
			while (*says->to_be_asked > 0)
				usleep(1000);
		}
	}
	if (text && send(fd, text, strlen(text), 0) < 0)
		_exit(1);
	ctl_msg_clear(&request);
}

pid_t ctl_server_start(const char *dir, const struct ctl_server *says)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid) {
		close(ready[1]);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		return pid;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ctl%d", dir, getpid());
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4) ||
	    write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		answer(accept(fd, NULL, NULL), says);
}

void ctl_server_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
