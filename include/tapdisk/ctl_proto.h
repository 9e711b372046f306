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
 * it as descriptors. Before it closes a connection because it was told to end (by SIGTERM,
 * or with its last disk) it says so, unasked or in place of the reply: an error, ESHUTDOWN.
 * One that is killed, or leaves its guests to another one (SIGHUP), does not.
 *
 * Request:  {"v": 1, "cmd": NAME, ...}
 * Reply:    {"v": 1, "errno": 0, ...}
 *       or  {"v": 1, "errno": N, "error": "one sentence"}, N a Linux errno
 * Unknown members are ignored; a missing or ill-typed one is EINVAL, another
 * version EPROTONOSUPPORT, an unknown command EOPNOTSUPP, a reply that would be longer
 * than CTL_MSG_MAX EMSGSIZE.
 *
 * cmd         members (descriptors)            reply members (descriptors)
 * ----------  -------------------------------  ---------------------------
 * "pid"       -                                "pid"
 * "list"      -                                "pid", "disks": [{"minor",
 *                                              "state", "type", "path"}]
 *             type and path are absent while no image is open or paused; state is 0,
 *             CTL_STATE_PAUSING or CTL_STATE_PAUSED
 * "attach"    "minor" (marker file)            -
 *             takes flock(LOCK_EX | LOCK_NB) on the marker for as long as
 *             the disk is attached. EEXIST: a disk is attached already
 * "open"      "minor", "type", "path",         "nbd": bool, it is served
 *             "readonly": bool (image)
 *             path is for people and "list", and shorter than PATH_MAX; the image
 *             is the descriptor.
 *             EALREADY: an image is open. May also have "sector_size", 512
 *             (if absent) or 4096: the unit of the guest's requests; and
 *             "lock_later": bool, the image is another disk's, whose guest runs
 *             no more: lock it (image/lock.h) as soon as that one is gone; and
 *             "flush_failed": bool, a flush failed in the tapdisk whose place this one
 *             takes ("stats" says it): refuse writes from the beginning; and
 *             "data": "auto" | "map" | "copy" | "persistent", how the guest's
 *             data is moved; and
 *             "filters": ["NAME:KEY=VALUE,..."], the first to see a request
 *             first; their "fd=N" is the Nth descriptor after the image's, the
 *             first being 0; and
 *             "nbd": bool, the last descriptor is a socket that listens: serve
 *             the image there to local programs of root, by NBD. The sender gives
 *             it a name only when the reply says that it is served, since older
 *             tapdisks do not know it, and takes the name away after "close"; and
 *             "unpause": true, without which a disk that is paused is not opened (EBUSY);
 *             an image larger than guests know is used up to there, until "resize"
 * "close"     "minor"                          -
 *             disconnects every frontend and NBD client first; answers when
 *             all I/O ended
 * "pause"     "minor"                          -
 *             closes the image for a while: answers when all I/O ended, and no page of
 *             a guest is in use. "open" ends it. Meanwhile "info", "connect" and others
 *             are answered with EBUSY, and "journal" for those who were connected. Who was
 *             answered something before finds the connection ended when the disk is paused,
 *             and when that is over. EOPNOTSUPP: a guest has no journal. To pause once more
 *             is no error. With "type", "path" and "sectors", where no image is open: the disk
 *             was paused in the tapdisk before this one
 * "detach"    "minor"                          -
 *             EBUSY while an image is open. tapdisk exits after the reply
 *             to the detach of its last disk
 * "info"      "minor"                          "sectors" (of 512 bytes),
 *                                              "sector_size",
 *                                              "physical_sector_size",
 *                                              "readonly": bool,
 *                                              "flush": bool,
 *                                              "discard": bool,
 *                                              "discard_secure": bool,
 *                                              "discard_granularity",
 *                                              "discard_alignment" (bytes),
 *                                              "barrier": bool,
 *                                              "persistent": bool,
 *                                              "max_indirect_segments",
 *                                              "journal", "xentop": bool,
 *                                              whether "connect" may have one
 * "resize"    "minor"                          "sectors" (of 512 bytes)
 *             uses all of an image that has grown; EINVAL: it has shrunk
 * "connect"   "minor", "domid", "devid",       -
 *             "protocol": "native" |
 *             "x86_32" | "x86_64",
 *             "readonly": bool,
 *             "persistent": bool, "discard":
 *             bool, "queues": [{"grefs":
 *             [ring pages, 1..16, a power of
 *             two], "port"}, 1..8]
 *             (for each queue: tap read-write,
 *             tap read-only, evtchn: all
 *             restricted to domid by the sender)
 *             persistent: the frontend uses its grants again; discard: it was
 *             offered. Rings are all of one size, ports all different. On a
 *             host without the module there is a member "gntdev", and the
 *             descriptors of each queue are gntdev and evtchn.
 *             EALREADY: domid/devid is connected. With a member "journal":
 *             true, the last descriptor is a memfd of CTL_JOURNAL_BYTES, sealed
 *             so that it keeps its size, which the sender keeps as well: zeros at
 *             first, and then what the tapdisk left in it that served the same
 *             ring before and was killed. EBUSY: I/O of that one is still under
 *             way, or another domain's, whose image it is as well, try again.
 *             With a member "xentop": true, the descriptor behind the queues' is a
 *             file to be written: what libxenstat reads of a vbd3 disk goes there
 * "journal"   "minor", "domid", "devid"        "arenas": [{"base", "slots"}],
 *                                              two for each queue (the
 *                                              memfd, one for each arena)
 *             for who has to take the disk up again if this tapdisk is killed.
 *             ENOTCONN: not connected; ENOENT: without a journal
 * "disconnect" "domid", "devid"                -
 *             answers when all I/O ended and every grant is unmapped.
 *             ENOTCONN: not connected
 * "stats"     "minor"                          "stats": {...}
 * "limit"     "minor", "options": "iops=N,     -
 *             bps=N,burst_ms=N"
 *             changes the disk's filter "limit"; ENOENT: it has none
 * "trace"     "minor" (pipe or socket)         -
 *             a line of JSON for each I/O of the disk that begins from now on goes
 *             there, until its reader is gone; EBUSY: somebody else has one
 * "arena"     "minor"                          "arenas": [{"domid", "devid",
 *                                              "readonly", "base" (address
 *                                              in tapdisk), "slots"}]
 *                                              (one descriptor each; two
 *                                              for each queue)
 *                                              "frontends": [{"domid",
 *                                              "devid"}], all of them
 *             for queries of the grants behind addresses in use
 */
#ifndef TAPDISK_CTL_PROTO_H
#define TAPDISK_CTL_PROTO_H

#define CTL_PROTO_VERSION	1
#define CTL_MSG_MAX		65536	/* bytes of one message */
#define CTL_MSG_FDS		28	/* descriptors beside one message */
#define CTL_DOMID_MAX		0x7fef	/* numbers above name no guest (xen/xen.h) */

#define CTL_JOURNAL_BYTES	(1u << 20)	/* room for the largest rings */

/* As XenServer's tapdisk has it: asked to pause; and closed, quiesced, paused. */
#define CTL_STATE_PAUSING	0x10
#define CTL_STATE_PAUSED	0x2a

/* The first 32-bit word of a journal; what follows is tapdisk's own affair. */
#define CTL_JOURNAL_EMPTY	0u	/* no request was taken */
#define CTL_JOURNAL_SERVING	1u	/* a tapdisk that ends now was killed */
#define CTL_JOURNAL_ENDED	2u	/* tapdisk was told to end */

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
