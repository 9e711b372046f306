/* SPDX-License-Identifier: GPL-2.0-only */
/* Slow page faults of one process, counted. Process context. */
#ifndef XENTAP_TEST_FAULTS_H
#define XENTAP_TEST_FAULTS_H

#include "xentap_test.h"

/* For the caller's process. 0, -EBUSY, or what registering the probes gave. */
int faults_watch(void);
/* The end of it, and the result; -ENOENT if it was not begun. */
int faults_watched(struct xt_faults *faults);

#endif
