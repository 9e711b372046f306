/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device nodes that more than one program names. Paths below the run
 * directory are in tapdisk/ctl_proto.h.
 */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

#define XENTAP_NODE	"/dev/xen/tap"		/* made by module xentap */
#define GNTDEV_NODE	"/dev/xen/gntdev"	/* made by Linux's xen-gntdev */
#define EVTCHN_NODE	"/dev/xen/evtchn"	/* made by Linux's xen-evtchn */

#endif /* BASE_PATHS_H */
