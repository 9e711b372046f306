/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device writes to xenstore. State changes are transactions that give
 * up with -ESTALE when the state is no longer the one in device->view, so
 * that the toolstack's word is never overwritten and a removed directory
 * never comes back. Others: 0 or -errno.
 */
#ifndef TAPBACK_PUBLISH_H
#define TAPBACK_PUBLISH_H

#include "tapback/device.h"

/* The shape that a frontend must know before it makes a ring, and InitWait. */
int publish_shape(struct device *device);

/* Size and features, and Connected. */
int publish_disk(struct device *device);

/* Another size, and Connected once more, whereupon frontends look at it. */
int publish_size(struct device *device);

/* Whether publish_disk() offers discards. */
bool publish_offers_discard(const struct device *device);

/* The state alone. */
int publish_state(struct device *device, enum xenbus_state state);

/* Another tapdisk, @pid, has the disk. -ENOENT: the toolstack removed the device. */
int publish_pid(struct device *device, int pid);

/* The customary place for device->why; failing to write it is not fatal. */
void publish_error(struct device *device);
void publish_error_clear(struct device *device);

#endif /* TAPBACK_PUBLISH_H */
