// SPDX-License-Identifier: GPL-2.0-or-later
#include "xen/xenio_event.h"

#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"

static struct xenio_event *self(struct xenio *xenio)
{
	return (struct xenio_event *)xenio;
}

int xenio_event_bind(struct xenio_event *event, int *fd, uint32_t domid, uint32_t port)
{
	event->evtchn = xenevtchn_fdopen(NULL, *fd, 0);
	if (!event->evtchn)
		return -errno;
	fd_take(fd);
	event->port = xenevtchn_bind_interdomain(event->evtchn, domid, port);
	if (event->port < 0)
		return -errno;
	event->xenio.event_fd = xenevtchn_fd(event->evtchn);
	return 0;
}

void xenio_event_unbind(struct xenio_event *event)
{
	/* Closing the device unbinds the port. */
	if (event->evtchn)
		xenevtchn_close(event->evtchn);
}

int xenio_event_take(struct xenio *xenio)
{
	return xenevtchn_pending(self(xenio)->evtchn) < 0 ? -errno : 0;
}

int xenio_event_unmask(struct xenio *xenio)
{
	struct xenio_event *event = self(xenio);

	return xenevtchn_unmask(event->evtchn, (evtchn_port_t)event->port) ? -errno : 0;
}

int xenio_event_send(struct xenio *xenio)
{
	struct xenio_event *event = self(xenio);

	return xenevtchn_notify(event->evtchn, (evtchn_port_t)event->port) ? -errno : 0;
}
