/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device's talk with its tapdisk. Each call puts one question (the link is
 * busy then) or fails at once; answers change device->view and device->why
 * and mark the device dirty. Nothing is returned: how it went is in the view.
 */
#ifndef TAPBACK_EXCHANGE_H
#define TAPBACK_EXCHANGE_H

#include "tapback/device.h"
#include "tapback/frontend.h"

void exchange_look_up(struct device *device, int pid);
/* Ask for the size again; the ring stays connected. */
void exchange_ask_size(struct device *device);
void exchange_connect(struct device *device, const struct frontend_ring *ring);
void exchange_disconnect(struct device *device);

/* Nothing is to be taken up again of what the frontend had. */
void exchange_forget(struct device *device);
/*
 * The same, for who is about to say that the disk is closed. False: not yet, as pages of
 * the guest are still in use; the link is busy as long as they are.
 */
bool exchange_end_ring(struct device *device);
/* It is time to look again at what is waited for. */
void exchange_retry(struct device *device);

/*
 * The tapdisk is of no more use; device->why says why. As long as pages of the guest are
 * mapped for it, or held by its I/O, the link is busy.
 */
__attribute__((format(printf, 2, 3)))
void exchange_lose(struct device *device, const char *format, ...);

/* The frontend's ring cannot be connected; device->why says why. */
__attribute__((format(printf, 2, 3)))
void exchange_refuse(struct device *device, const char *format, ...);

#endif /* TAPBACK_EXCHANGE_H */
