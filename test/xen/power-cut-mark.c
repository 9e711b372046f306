// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs in dom0: puts a mark into the log of a dm-log-writes device for each
 * number that a guest writes to xenstore.
 *
 *	power-cut-mark DEVICE NODE
 *
 * When a number comes to NODE/ack, the mark "ack-NUMBER" is made, and then
 * NODE/marked gets the number. Runs until it is killed.
 */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "power-cut-xenstore.h"

static void mark(int control, const char *device, unsigned int number)
{
	struct {
		struct dm_ioctl head;
		struct dm_target_msg target;
		char text[64];
	} message = {
		.head = {
			.version = { DM_VERSION_MAJOR, 0, 0 },
			.data_size = sizeof(message),
			.data_start = sizeof(message.head),
		},
	};

	snprintf(message.head.name, sizeof(message.head.name), "%s", device);
	snprintf((char *)&message.target + offsetof(struct dm_target_msg, message),
		 sizeof(message.text), "mark ack-%u", number);
	if (ioctl(control, DM_TARGET_MSG, &message))
		error(1, errno, "a mark for %s", device);
}

int main(int argc, char **argv)
{
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	int xenstore = open(XENSTORE_DEVICE, O_RDWR | O_CLOEXEC);
	char ack[160], marked[160];
	unsigned int last = 0;

	if (argc != 3)
		error(2, 0, "usage: power-cut-mark DEVICE NODE");
	if (control < 0 || xenstore < 0)
		error(1, errno, "/dev/mapper/control or " XENSTORE_DEVICE);
	snprintf(ack, sizeof(ack), "%s/ack", argv[2]);
	snprintf(marked, sizeof(marked), "%s/marked", argv[2]);
	for (;; usleep(5000)) {
		unsigned int number = xenstore_read_number(xenstore, ack);

		if (number == last)
			continue;
		last = number;
		mark(control, argv[1], number);
		xenstore_write_number(xenstore, marked, number);
	}
}
