/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/xentap-test: the kernel interface of xentap, call by call, for a test
 * in user space. A file has places for what it holds.
 */
#ifndef XENTAP_TEST_H
#define XENTAP_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define XT_GRANTS	4
#define XT_HOLDS	16

struct xt_grant {
	__u64 mfn;
	__u64 pfn;		/* of the page that stands for it */
	__u32 gref;
	__u32 handle;
	__u32 domid;
	__u32 rdonly;
};

/**
 * struct xt_lookup - one call
 * @key:	in: a machine frame, or an address of the caller
 * @place:	in: where a hold is put, or which hold is meant
 * @nr:		in: room in @grants; out: how many there are
 * @result:	out: what the call returned
 * @byte:	out: first byte of the page (XT_PEEK)
 * @grants:	out
 */
struct xt_lookup {
	__u64 key;
	__u32 place;
	__u32 nr;
	__s32 result;
	__u32 byte;
	struct xt_grant grants[XT_GRANTS];
};

/**
 * struct xt_storm - look-ups from interrupts, on all processors
 * @mfn:	in
 * @ms:		in: for how long
 * @found:	out: how often there was a grant
 * @missed:	out: how often not
 * @wrong:	out: how often the answer was another frame's
 */
struct xt_storm {
	__u64 mfn;
	__u32 ms;
	__u32 found;
	__u32 missed;
	__u32 wrong;
};

/**
 * struct xt_faults - slow page faults of the caller's process, in memory of any device
 * @looked:	out: how often a fault found an entry that had come meanwhile
 * @wrote:	out: and how often it was to be written by the fault handler
 */
struct xt_faults {
	__u32 looked;
	__u32 wrote;
};

#define XT_MFN_GRANTS	_IOWR('X', 0, struct xt_lookup)
#define XT_MFN_GET	_IOWR('X', 1, struct xt_lookup)
#define XT_PAGE_GRANT	_IOWR('X', 2, struct xt_lookup)	/* key: address */
#define XT_PAGE_GET	_IOWR('X', 3, struct xt_lookup)	/* key: address */
#define XT_PUT		_IOWR('X', 4, struct xt_lookup)
/* Through the kernel's mapping of a page that is held. */
#define XT_PEEK		_IOWR('X', 5, struct xt_lookup)
/* grants[0].pfn of the page for a frame; nr 0: there is none. */
#define XT_MFN_TO_PAGE	_IOWR('X', 6, struct xt_lookup)
/* A page of this module's own, granted to dom0 twice: nr 2. Once for a file. */
#define XT_GRANT_TWICE	_IOWR('X', 7, struct xt_lookup)
/* Unmap a held grant behind xentap's back; result is Xen's status. */
#define XT_RAW_UNMAP	_IOWR('X', 8, struct xt_lookup)
#define XT_STORM	_IOWR('X', 9, struct xt_storm)
/* From the one to the other; it ends with the file, too. */
#define XT_FAULTS_BEGIN	_IO('X', 10)
#define XT_FAULTS_END	_IOR('X', 11, struct xt_faults)

#endif
