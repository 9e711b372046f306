// SPDX-License-Identifier: GPL-2.0-or-later
#include "tapback/guest_fds.h"

#include <errno.h>
#include <fcntl.h>
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

int guest_fds_open(uint32_t domid, int fds[NR_GUEST_FDS], char *why, size_t why_size)
{
	int i, fd;

	for (i = 0; i < NR_GUEST_FDS; i++)
		fds[i] = -1;
	for (i = 0; i < NR_GUEST_FDS; i++) {
		fd = i < 2 ? open_tap(domid, why, why_size) :
			     open_evtchn(domid, why, why_size);
		if (fd < 0)
			goto err_close;
		fds[i] = fd;
	}
	return 0;

err_close:
	while (i-- > 0)
		fd_close(&fds[i]);
	return fd;
}
