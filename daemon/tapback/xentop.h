/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file in which xentop, by libxenstat, looks for the numbers of a disk:
 * /dev/shm/td3-PID/vbd-DOMID-DEVID, with the process in node kthread-pid. tapdisk writes
 * them, but has no right to make files. Nothing depends on it: what fails is a
 * line for debugging.
 */
#ifndef TAPBACK_XENTOP_H
#define TAPBACK_XENTOP_H

#include "tapback/device.h"

/* As libxenstat has it. */
#define XENTOP_DIR	"/dev/shm"

/* The file for the ring that the device's tapdisk is about to serve: a descriptor or -errno. */
int xentop_make(struct device *device);
/* It may have been made by a tapback before us. */
void xentop_adopt(struct device *device);
/* But it stays: tapdisk goes on without us. */
void xentop_leave(struct device *device);
/* Nobody serves the ring. Harmless when there is no file. */
void xentop_remove(struct device *device);

/* Remove those in @dir whose tapdisk ended while no tapback was there. */
void xentop_sweep(const char *dir);

#endif /* TAPBACK_XENTOP_H */
