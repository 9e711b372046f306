// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapdisk/xentop.h"

#include <errno.h>
#include <unistd.h>

#define VERSION	1u	/* the only one that libxenstat knows */

/* As blktap has written it since before Xen knew of it; sectors of 512 bytes. */
struct numbers {
	uint32_t version;
	uint32_t pad;
	uint64_t outstanding;
	/* What was begun and what has ended, and how many microseconds that took. */
	uint64_t reads_begun, reads_ended, read_sectors, read_us;
	uint64_t writes_begun, writes_ended, write_sectors, write_us;
	uint64_t errors;
	uint64_t flags;
};

_Static_assert(sizeof(struct numbers) == 96, "programs of others read it");

/* We count requests when they end; those under way are shown by their number alone. */
static struct numbers numbers_of(const struct vbd_stats *stats)
{
	uint64_t reads = stats->reads + stats->read_errors;
	uint64_t writes = stats->writes + stats->write_errors;

	return (struct numbers){
		.version = VERSION,
		.outstanding = stats->outstanding,
		.reads_begun = reads,
		.reads_ended = reads,
		.read_sectors = stats->read_sectors,
		.writes_begun = writes,
		.writes_ended = writes,
		.write_sectors = stats->write_sectors,
		.errors = stats->read_errors + stats->write_errors,
	};
}

int xentop_write(int fd, const struct vbd_stats *stats)
{
	const struct numbers numbers = numbers_of(stats);
	ssize_t written = pwrite(fd, &numbers, sizeof(numbers), 0);

	if (written < 0)
		return -errno;
	return written == sizeof(numbers) ? 0 : -EIO;
}
