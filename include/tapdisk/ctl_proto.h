/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control protocol of tapdisk, spoken by tap-ctl and tapback.
 *
 * Transport: a SOCK_SEQPACKET UNIX socket, XENTAP_RUN_DIR/ctl<PID>, one per
 * tapdisk. One packet is one message: a JSON object in UTF-8, at most
 * CTL_MSG_MAX bytes, with up to CTL_MSG_FDS descriptors beside it
 * (SCM_RIGHTS). Only root may speak (mode 0600 and SO_PEERCRED). A client
 * sends a request and gets exactly one reply; requests of one connection are
 * answered in order. tapdisk opens no path by itself: what it serves comes to
 * it as descriptors.
 *
 * Request:  {"v": 1, "cmd": NAME, ...}
 * Reply:    {"v": 1, "errno": 0, ...}
 *       or  {"v": 1, "errno": N, "error": "one sentence"}, N a Linux errno
 * Unknown members are ignored; a missing or ill-typed one is EINVAL, another
 * version EPROTONOSUPPORT, an unknown command EOPNOTSUPP.
 *
 * cmd         members (descriptors)            reply members (descriptors)
 * ----------  -------------------------------  ---------------------------
 * "pid"       -                                "pid"
 * "list"      -                                "pid", "disks": [{"minor",
 *                                              "state", "type", "path"}]
 *             type and path are absent while no image is open
 * "attach"    "minor" (marker file)            -
 *             takes flock(LOCK_EX | LOCK_NB) on the marker for as long as
 *             the disk is attached. EEXIST: a disk is attached already
 * "open"      "minor", "type", "path",         -
 *             "readonly": bool (image)
 *             path is for people and "list"; the image is the descriptor.
 *             EALREADY: an image is open
 * "close"     "minor"                          -
 *             disconnects every frontend first; answers when all I/O ended
 * "detach"    "minor"                          -
 *             EBUSY while an image is open. tapdisk exits after the reply
 *             to the detach of its last disk
 * "info"      "minor"                          "sectors" (of 512 bytes),
 *                                              "sector_size",
 *                                              "physical_sector_size",
 *                                              "readonly": bool,
 *                                              "flush": bool
 * "connect"   "minor", "domid", "devid",       -
 *             "grefs": [ring pages, 1..16,
 *             a power of two],
 *             "port", "protocol": "native" |
 *             "x86_32" | "x86_64",
 *             "readonly": bool
 *             (tap read-write, tap read-only,
 *             evtchn: all three restricted to
 *             domid by the sender)
 *             EALREADY: domid/devid is connected
 * "disconnect" "domid", "devid"                -
 *             answers when all I/O ended and every grant is unmapped.
 *             ENOTCONN: not connected
 * "stats"     "minor"                          "stats": {...}
 * "arena"     "minor"                          "arenas": [{"domid", "devid",
 *                                              "readonly", "base" (address
 *                                              in tapdisk), "slots"}]
 *                                              (one descriptor each)
 *             for queries of the grants behind addresses in use
 */
#ifndef TAPDISK_CTL_PROTO_H
#define TAPDISK_CTL_PROTO_H

#define CTL_PROTO_VERSION	1
#define CTL_MSG_MAX		65536	/* bytes of one message */
#define CTL_MSG_FDS		8	/* descriptors beside one message */

/*
 * Where sockets and markers live. The paths below it, and the names
 * "tapdisk/tapdisk-<MINOR>" of markers and "nbd<PID>.<MINOR>" of image
 * sockets, are spelled out in Xen's hotplug script block-tap.
 */
#define XENTAP_RUN_DIR		"/run/blktap-control"
#define XENTAP_MINOR_DIR	XENTAP_RUN_DIR "/tapdisk"
#define XENTAP_MINOR_PREFIX	XENTAP_MINOR_DIR "/tapdisk-"
#define XENTAP_CTL_PREFIX	XENTAP_RUN_DIR "/ctl"
#define XENTAP_NBD_PREFIX	XENTAP_RUN_DIR "/nbd"

/* Minor numbers run from 0 to this, as in Xen's own tools. */
#define XENTAP_MINOR_MAX	16383

#endif /* TAPDISK_CTL_PROTO_H */
