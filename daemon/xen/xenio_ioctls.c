// SPDX-License-Identifier: GPL-2.0-or-later
#include "xen/xenio_ioctls.h"

#include <sys/ioctl.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

#include "uapi/xentap.h"

/*
 * Not among them: what restricts a descriptor (the sender did), what binds a port that
 * any domain may use, and the look-ups of tap-ctl.
 */
static const uint32_t ioctls[] = {
	XENTAP_IOC_GET_INFO,
	XENTAP_IOC_ARENA_CREATE,
	XENTAP_IOC_BATCH,
	XENTAP_IOC_POOL_CREATE,
	XENTAP_IOC_COPY,
	IOCTL_GNTDEV_MAP_GRANT_REF,
	IOCTL_GNTDEV_UNMAP_GRANT_REF,
	IOCTL_GNTDEV_GRANT_COPY,
	IOCTL_EVTCHN_BIND_INTERDOMAIN,
	IOCTL_EVTCHN_UNBIND,
	IOCTL_EVTCHN_NOTIFY,
};

const uint32_t *xenio_ioctls(size_t *nr)
{
	*nr = sizeof(ioctls) / sizeof(ioctls[0]);
	return ioctls;
}
