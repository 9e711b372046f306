// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linked into the tapback that is measured, by --wrap: counts its passes over all
 * devices and its looks at one, in a file that others may read, and gives out
 * /dev/null for what only Xen has.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tapback/devices.h"
#include "tapback/guest_fds.h"

static struct {
	uint64_t passes;
	uint64_t looks;
} none, *counts = &none;

int __real_devices_run(struct devices *devices);
int __wrap_devices_run(struct devices *devices);
bool __real_device_run(struct device *device);
bool __wrap_device_run(struct device *device);
int __wrap_guest_fds_open(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size);

__attribute__((constructor))
static void share_counts(void)
{
	const char *path = getenv("SCALE_COUNTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED)
		counts = memory;
	close(fd);
}

int __wrap_devices_run(struct devices *devices)
{
	counts->passes++;
	return __real_devices_run(devices);
}

bool __wrap_device_run(struct device *device)
{
	counts->looks++;
	return __real_device_run(device);
}

int __wrap_guest_fds_open(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size)
{
	int i, err = 0;

	(void)domid;
	(void)why;
	(void)why_size;
	for (i = 0; i < GUEST_FDS_MAX; i++) {
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fds[i] < 0)
			err = -errno;
	}
	return err ? err : GUEST_FDS_MAX;
}
