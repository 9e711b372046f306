// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/nbd_socket.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"

#define BACKLOG		16
#define NAME_PREFIX	"nbd"

static int final_address(struct sockaddr_un *address, const char *run_dir, int pid, int minor)
{
	int length;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/" NAME_PREFIX "%d.%d",
			  run_dir, pid, minor);
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

/* With our own number: two of us do not take each other's. */
static int first_address(struct sockaddr_un *address, const char *run_dir, int pid, int minor)
{
	int length;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(address->sun_path, sizeof(address->sun_path),
			  "%s/" NAME_PREFIX "%d.%d.%d", run_dir, pid, minor, (int)getpid());
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

int nbd_socket_make(const char *run_dir, int pid, int minor)
{
	CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	mode_t old_mask;
	int err;

	if (fd < 0)
		return -errno;
	err = first_address(&address, run_dir, pid, minor);
	if (err)
		return err;
	unlink(address.sun_path);
	old_mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG))
		err = -errno;
	umask(old_mask);
	if (err)
		unlink(address.sun_path);
	return err ? err : fd_take(&fd);
}

int nbd_socket_publish(const char *run_dir, int pid, int minor)
{
	struct sockaddr_un first, final;
	int err = first_address(&first, run_dir, pid, minor);

	if (!err)
		err = final_address(&final, run_dir, pid, minor);
	if (!err && rename(first.sun_path, final.sun_path))
		err = -errno;
	return err;
}

void nbd_socket_discard(const char *run_dir, int pid, int minor)
{
	struct sockaddr_un address;

	if (!first_address(&address, run_dir, pid, minor))
		unlink(address.sun_path);
}

void nbd_socket_remove(const char *run_dir, int pid, int minor)
{
	struct sockaddr_un address;

	if (!final_address(&address, run_dir, pid, minor) && unlink(address.sun_path) &&
	    errno != ENOENT)
		log_warning("cannot remove the socket %s: %m", address.sun_path);
}

/* The process in the name of a socket, or -1. */
static int pid_of(const char *name)
{
	char digits[16];
	uint32_t pid;
	size_t length;

	if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)))
		return -1;
	name += strlen(NAME_PREFIX);
	length = strcspn(name, ".");
	if (!name[length] || length >= sizeof(digits))
		return -1;
	memcpy(digits, name, length);
	digits[length] = '\0';
	return parse_u32(digits, INT32_MAX, &pid) || !pid ? -1 : (int)pid;
}

void nbd_socket_remove_stale(const char *run_dir, const char *name)
{
	char path[512];
	int pid = pid_of(name);

	if (pid < 0 || !kill(pid, 0) || errno != ESRCH)
		return;
	snprintf(path, sizeof(path), "%s/%s", run_dir, name);
	if (unlink(path) && errno != ENOENT)
		log_debug("cannot remove the stale socket %s: %m", path);
}
