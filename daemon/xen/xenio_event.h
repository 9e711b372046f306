/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all real xenios have in common: an event channel. */
#ifndef XEN_XENIO_EVENT_H
#define XEN_XENIO_EVENT_H

#include <xenevtchn.h>

#include "xen/xenio.h"

struct xenio_event {
	struct xenio xenio;
	xenevtchn_handle *evtchn;
	xenevtchn_port_or_error_t port;		/* ours, -1: none */
};

/* Take over @fd of /dev/xen/evtchn and bind @port of @domid. 0 or -errno. */
int xenio_event_bind(struct xenio_event *event, int *fd, uint32_t domid, uint32_t port);
void xenio_event_unbind(struct xenio_event *event);

/* For struct xenio_ops. */
int xenio_event_take(struct xenio *xenio);
int xenio_event_unmask(struct xenio *xenio);
int xenio_event_send(struct xenio *xenio);

#endif /* XEN_XENIO_EVENT_H */
