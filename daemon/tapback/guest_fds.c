// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/guest_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>

#include "base/cleanup.h"
#include "base/paths.h"
#include "uapi/xentap.h"

/* A descriptor of @node, or -errno with a sentence in @why. */
static int open_node(const char *node, const char *module, char *why, size_t why_size)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	fd = -errno;
	if (fd == -ENOENT || fd == -ENXIO || fd == -ENODEV)
		snprintf(why, why_size, "%s is missing; run \"modprobe %s\"", node, module);
	else
		snprintf(why, why_size, "cannot open %s: %s", node, strerror(-fd));
	return fd;
}

static int open_tap(uint32_t domid, char *why, size_t why_size)
{
	struct xentap_restrict only = { .domid = domid };
	int fd = open_node(XENTAP_NODE, "xentap", why, why_size);
	int err;

	if (fd < 0 || !ioctl(fd, XENTAP_IOC_RESTRICT, &only))
		return fd;
	err = -errno;
	snprintf(why, why_size, "cannot restrict %s to domain %u: %s", XENTAP_NODE, domid,
		 strerror(-err));
	close(fd);
	return err;
}

static int open_evtchn(uint32_t domid, char *why, size_t why_size)
{
	struct ioctl_evtchn_restrict_domid only = { .domid = (domid_t)domid };
	int fd = open_node(EVTCHN_NODE, "xen-evtchn", why, why_size);
	int err;

	if (fd < 0 || !ioctl(fd, IOCTL_EVTCHN_RESTRICT_DOMID, &only))
		return fd;
	err = -errno;
	snprintf(why, why_size, "cannot restrict %s to domain %u: %s", EVTCHN_NODE, domid,
		 strerror(-err));
	close(fd);
	return err;
}

static bool is_missing(int err)
{
	return err == -ENOENT || err == -ENXIO || err == -ENODEV;
}

/* The two arenas; or, without the module, gntdev alone. How many, or -errno. */
static int open_grants(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size)
{
	char why_not[256];

	fds[0] = open_tap(domid, why, why_size);
	if (fds[0] >= 0) {
		fds[1] = open_tap(domid, why, why_size);
		return fds[1] < 0 ? fds[1] : 2;
	}
	if (!is_missing(fds[0]))
		return fds[0];
	/* Should that be missing too, the module is what the host lacks. */
	fds[0] = open_node(GNTDEV_NODE, "xen-gntdev", why_not, sizeof(why_not));
	return fds[0] < 0 ? fds[0] : 1;
}

int guest_fds_open(uint32_t domid, int fds[GUEST_FDS_MAX], char *why, size_t why_size)
{
	int i, nr, err;

	for (i = 0; i < GUEST_FDS_MAX; i++)
		fds[i] = -1;
	nr = open_grants(domid, fds, why, why_size);
	if (nr > 0) {
		fds[nr] = open_evtchn(domid, why, why_size);
		if (fds[nr] >= 0)
			return nr + 1;
	}
	err = nr < 0 ? nr : fds[nr];
	for (i = 0; i < GUEST_FDS_MAX; i++)
		fd_close(&fds[i]);
	return err;
}

#define QUERY_CHUNK	32u

/* 1, 0, or -errno: of an arena that cannot be asked nothing more will be known. */
static int chunk_in_use(int fd, uint64_t address, uint32_t nr)
{
	struct xentap_query_addr entries[QUERY_CHUNK] = { 0 };
	struct xentap_query query = { .entries = (uintptr_t)entries, .nr = nr };
	uint32_t i;

	for (i = 0; i < nr; i++)
		entries[i].addr = address + (uint64_t)i * XENTAP_SLOT_BYTES;
	if (ioctl(fd, XENTAP_IOC_QUERY, &query))
		return -errno;
	for (i = 0; i < nr; i++)
		if (!entries[i].status)
			return 1;
	return 0;
}

bool guest_fds_in_use(int fd, uint64_t base, uint32_t slots)
{
	uint32_t done, nr;
	int found = 0;

	for (done = 0; done < slots && !found; done += nr) {
		nr = slots - done < QUERY_CHUNK ? slots - done : QUERY_CHUNK;
		found = chunk_in_use(fd, base + (uint64_t)done * XENTAP_SLOT_BYTES, nr);
	}
	return found == 1;
}
