// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "held.h"

/* What follows the call's header: one target's status. */
struct held_call {
	struct dm_ioctl header;
	struct dm_target_spec target;
	char text[256];
};

static int held_call(struct held_call *call, unsigned long command, unsigned int flags)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	*call = (struct held_call){
		.header = {
			.version = { 4, 0, 0 },
			.data_size = sizeof(*call),
			.data_start = sizeof(call->header),
			.flags = flags,
			.name = HELD_NAME,
		},
	};
	if (ioctl(fd, command, call))
		err = -errno;
	close(fd);
	return err;
}

/* The target counts what it delays: reads, writes, flushes. */
int held_waiting(void)
{
	unsigned int reads, writes, flushes;
	struct held_call call;
	int err = held_call(&call, DM_TABLE_STATUS, 0);

	if (err)
		return err;
	if (sscanf(call.text, "%u %u %u", &reads, &writes, &flushes) != 3)
		return -EIO;
	return (int)(reads + writes);
}

/* A delay ends when its device is suspended. */
int held_release(void)
{
	struct held_call call;
	int err = held_call(&call, DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG);

	return err ? err : held_call(&call, DM_DEV_SUSPEND, 0);
}
