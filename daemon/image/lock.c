// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/lock.h"

#include <errno.h>
#include <fcntl.h>

/* Far behind any image's end, where nobody else has a reason to lock. */
#define LOCK_BYTE	0x78656e7461700000ll	/* "xentap" */

int image_lock(int fd, bool readonly)
{
	struct flock lock = {
		.l_type = readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1,
	};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}
