/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * xentap: guest grants in a user-space arena.
 *
 * One open file of /dev/xen/tap is one arena: a fixed number of slots, each
 * one 4096-byte page of a single mapping. A slot is either free or holds one
 * granted page of a guest. User space owns the slot numbers: it says which
 * grant goes into which slot, and slot N is always at byte N * 4096 of the
 * mapping. The pages may be used for O_DIRECT I/O.
 *
 * Life of a file:
 *   open()                      O_RDWR; needs CAP_SYS_ADMIN in the initial
 *                               namespace
 *   XENTAP_IOC_RESTRICT         optional, one-way: grants of one domain only
 *   XENTAP_IOC_ARENA_CREATE     once
 *   mmap()                      once, offset 0, the whole arena, MAP_SHARED;
 *                               PROT_READ for a read-only arena, else
 *                               PROT_READ | PROT_WRITE
 *   XENTAP_IOC_BATCH            maps and unmaps, from the process that mapped
 *   read(), poll()              which draining slots became free
 *   XENTAP_IOC_POOL_CREATE,     for copies instead of mappings: see there
 *   XENTAP_IOC_COPY
 *   munmap(), close(), exit     any order, at any time, also by SIGKILL
 *
 * munmap(), mprotect() and mremap() of a part of the arena are refused; a
 * child does not inherit the mapping (one that gets it after
 * madvise(MADV_DOFORK) may see pages until they are unmapped). After munmap() the arena is dead: no
 * more maps, and what was mapped is unmapped as soon as no I/O uses it.
 *
 * Every call returns 0, or -1 with errno. Fields named reserved, and flag
 * bits without a name, must be 0, else EINVAL. Results of single entries are
 * in their status fields: 0, or a negative errno.
 *
 * The file's owner needs no privilege once the file is open, so that a
 * privileged process can open it, restrict it, and hand it to one that has
 * no rights (SCM_RIGHTS).
 */
#ifndef _UAPI_XENTAP_H
#define _UAPI_XENTAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Grows when a call or a field's meaning is added; never for a bug fix. */
#define XENTAP_ABI_VERSION	2u

/* A slot's size in bytes: Xen grants pages of this size on every machine. */
#define XENTAP_SLOT_BYTES	4096u

/* Features, a bit mask in struct xentap_info. */
#define XENTAP_FEAT_USER_MAP	(1u << 0) /* grants can be mapped for user space */
#define XENTAP_FEAT_QUERY	(1u << 1) /* address -> grant */
#define XENTAP_FEAT_QUERY_MFN	(1u << 2) /* machine frame -> grants */
#define XENTAP_FEAT_COPY	(1u << 3) /* copies between a pool and grants */

/**
 * struct xentap_info - what this module offers (XENTAP_IOC_GET_INFO)
 * @abi_version:	out: XENTAP_ABI_VERSION of the module
 * @features:		out: mask of XENTAP_FEAT_*
 * @max_slots:		out: slots one arena may have
 * @max_batch:		out: entries one list of a batch or query may have
 * @max_grants:		out: grants mapped at one time by all arenas
 * @max_grants_domid:	out: grants mapped at one time of one domain
 * @max_pool_pages:	out: pages one pool may have
 * @reserved:		out: 0
 *
 * Without XENTAP_FEAT_USER_MAP (a paravirtualized domain whose kernel lacks
 * what it takes) there are no arenas, only pools.
 */
struct xentap_info {
	__u32 abi_version;
	__u32 features;
	__u32 max_slots;
	__u32 max_batch;
	__u32 max_grants;
	__u32 max_grants_domid;
	__u32 max_pool_pages;
	__u32 reserved;
};

/**
 * struct xentap_restrict - grants of one domain only (XENTAP_IOC_RESTRICT)
 * @domid:	in: the only domain whose grants this file may map from now on
 * @reserved:	in: 0
 *
 * Cannot be taken back. Errors: EPERM when already restricted to another
 * domain, EINVAL when @domid is not one of a guest.
 */
struct xentap_restrict {
	__u32 domid;
	__u32 reserved;
};

/* The arena holds read-only mappings; grants that are read-only fit here. */
#define XENTAP_ARENA_F_RDONLY	(1u << 0)

/**
 * struct xentap_arena_create - give the file its slots (XENTAP_IOC_ARENA_CREATE)
 * @nr_slots:	in: 1 to max_slots
 * @flags:	in: XENTAP_ARENA_F_*
 * @reserved:	in: 0
 *
 * All memory that later calls need is allocated here. A read-only arena never
 * holds a writable mapping and a writable arena never a read-only one: in a
 * paravirtualized dom0 the kernel cannot change a grant's protection later.
 * Errors: EBUSY when the arena exists, ENOMEM, EINVAL, EOPNOTSUPP without
 * XENTAP_FEAT_USER_MAP.
 */
struct xentap_arena_create {
	__u32 nr_slots;
	__u32 flags;
	__u64 reserved;
};

/**
 * struct xentap_unmap - one slot to set free
 * @slot:	in: slot number
 * @status:	out: 0: the guest has its page back, the slot is free;
 *		-EINPROGRESS: I/O still holds the page; the slot stays taken
 *		until read() names it;
 *		-ENOENT: the slot holds nothing; -EINVAL: no such slot;
 *		-EIO: Xen refused; the slot is lost until the file is closed
 */
struct xentap_unmap {
	__u32 slot;
	__s32 status;
};

/**
 * struct xentap_map - one grant to map
 * @slot:	in: slot number; the slot must be free
 * @gref:	in: grant reference
 * @domid:	in: domain that granted it
 * @status:	out: 0 or why not:
 *		-EINVAL: no such slot; -EBUSY: slot not free;
 *		-EPERM: the file is restricted to another domain;
 *		-EDQUOT: a limit of this module is reached;
 *		-ESRCH: no such domain;
 *		-ENOENT: grant reference beyond the domain's table;
 *		-EACCES: forbidden by Xen's security policy;
 *		-ENOSPC: Xen's own tables are full; -ENOMEM: no page table;
 *		-EFAULT: the page cannot be mapped, or the guest's memory was
 *		paged out and did not come within half a minute; -ESHUTDOWN: the arena is
 *		no longer mapped; -EINTR: the process is being killed;
 *		-EIO: all else that Xen refuses: a reference that grants
 *		nothing, or to another domain, or not for writing. If the
 *		mapping, half made, could not be undone the slot is lost
 */
struct xentap_map {
	__u32 slot;
	__u32 gref;
	__u32 domid;
	__s32 status;
};

/**
 * struct xentap_batch - unmap some slots, then map some (XENTAP_IOC_BATCH)
 * @unmaps:	in: address of @nr_unmaps struct xentap_unmap
 * @maps:	in: address of @nr_maps struct xentap_map
 * @nr_unmaps:	in: 0 to max_batch
 * @nr_maps:	in: 0 to max_batch
 * @flags:	in: 0
 * @reserved:	in: 0
 *
 * Entries succeed or fail one by one. The call itself fails, with nothing
 * done, with EINVAL (fields), EFAULT (lists), ENXIO (no arena or not mapped
 * yet), EPERM (another process than the one that mapped the arena), ENOMEM
 * (first call only). The first call may wait for other processes. EFAULT
 * after the work, when statuses cannot be written, leaves the slots as the
 * entries asked.
 */
struct xentap_batch {
	__u64 unmaps;
	__u64 maps;
	__u32 nr_unmaps;
	__u32 nr_maps;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct xentap_drained - one record of read()
 * @slot:	the slot that drained and is free again (status 0)
 * @status:	0, or -EIO: Xen refused the unmap, the slot is lost
 *
 * read() returns as many whole records as fit, EAGAIN with O_NONBLOCK when
 * there are none. poll() says POLLIN when there are some.
 */
struct xentap_drained {
	__u32 slot;
	__s32 status;
};

#define XENTAP_GRANT_F_RDONLY	(1u << 0) /* mapped read-only */
#define XENTAP_GRANT_F_DRAINING	(1u << 1) /* unmap asked for, I/O holds it */

/* mfn of a grant when the caller has no CAP_SYS_ADMIN */
#define XENTAP_MFN_HIDDEN	(~0ull)

/**
 * struct xentap_query_addr - the grant behind an address
 * @addr:	in: any address inside the arena's mapping
 * @mfn:	out: machine frame number, or XENTAP_MFN_HIDDEN
 * @gref:	out: grant reference
 * @domid:	out: domain that granted it
 * @flags:	out: XENTAP_GRANT_F_*
 * @status:	out: 0; -ENOENT: slot is free; -EINVAL: not inside the arena
 */
struct xentap_query_addr {
	__u64 addr;
	__u64 mfn;
	__u32 gref;
	__u32 domid;
	__u32 flags;
	__s32 status;
};

/**
 * struct xentap_query - address -> grant, a list (XENTAP_IOC_QUERY)
 * @entries:	in: address of @nr struct xentap_query_addr
 * @nr:		in: 1 to max_batch
 * @reserved:	in: 0
 *
 * Any process that holds the file may ask, with the addresses of the process
 * that mapped the arena. Answers are true at the time of the call.
 */
struct xentap_query {
	__u64 entries;
	__u32 nr;
	__u32 reserved;
};

/**
 * struct xentap_mfn_grant - one grant that stands behind a machine frame
 * @domid:	domain that granted it
 * @gref:	grant reference
 * @handle:	Xen's handle of the kernel mapping
 * @flags:	XENTAP_GRANT_F_*
 */
struct xentap_mfn_grant {
	__u32 domid;
	__u32 gref;
	__u32 handle;
	__u32 flags;
};

/**
 * struct xentap_query_mfn - machine frame -> grants (XENTAP_IOC_QUERY_MFN)
 * @mfn:	in: machine frame number
 * @grants:	in: address of @nr struct xentap_mfn_grant
 * @nr:		in: room in @grants, 1 to max_batch; out: records written
 * @total:	out: grants behind @mfn, counted up to max_batch; greater than
 *		@nr when room was short
 *
 * Looks in all arenas of the host: a frame can be mapped more than once.
 * Needs CAP_SYS_ADMIN, and a file that is not restricted (EPERM).
 */
struct xentap_query_mfn {
	__u64 mfn;
	__u64 grants;
	__u32 nr;
	__u32 total;
};

/* Where a file's pool begins, as an offset for mmap(); in bytes. */
#define XENTAP_POOL_OFFSET	(1ull << 40)

/**
 * struct xentap_pool_create - give the file a pool (XENTAP_IOC_POOL_CREATE)
 * @nr_pages:	in: pages of XENTAP_SLOT_BYTES, 1 to max_pool_pages
 * @flags:	in: 0
 * @reserved:	in: 0
 *
 * A pool is ordinary memory, zeroed, page N at byte XENTAP_POOL_OFFSET + N *
 * XENTAP_SLOT_BYTES of the file. It, or a part of it, may be mapped any number
 * of times, MAP_SHARED, by any process that holds the file; a child does not
 * inherit the mapping. Independent of the file's arena. Errors: EBUSY when the
 * pool exists, ENOMEM, EINVAL.
 */
struct xentap_pool_create {
	__u32 nr_pages;
	__u32 flags;
	__u64 reserved;
};

#define XENTAP_COPY_F_TO_GUEST	(1u << 0) /* from the pool into the grant */

/**
 * struct xentap_copy - one copy between a pool page and a grant
 * @page:	in: pool page
 * @gref:	in: grant reference
 * @domid:	in: domain that granted it
 * @page_offset: in: byte in the pool page
 * @gref_offset: in: byte in the granted page
 * @len:	in: bytes, 1 to XENTAP_SLOT_BYTES; must not leave either page
 * @flags:	in: XENTAP_COPY_F_*; without: from the grant into the pool
 * @status:	out: 0 or why not: -EINVAL: a field; -EPERM: the file is
 *		restricted to another domain; else as in struct xentap_map:
 *		-ESRCH, -ENOENT, -EACCES, -EAGAIN, -EFAULT, -EIO
 */
struct xentap_copy {
	__u32 page;
	__u32 gref;
	__u32 domid;
	__u16 page_offset;
	__u16 gref_offset;
	__u16 len;
	__u16 flags;
	__s32 status;
};

/**
 * struct xentap_copy_list - copies, all at once (XENTAP_IOC_COPY)
 * @entries:	in: address of @nr struct xentap_copy
 * @nr:		in: 1 to max_batch
 * @reserved:	in: 0
 *
 * Done in the order of the list, each by itself: a failed one stops none.
 * Nothing stays mapped, so that no limit but Xen's applies. The call itself
 * fails with EINVAL, EFAULT (list; after the work, if statuses cannot be
 * written), ENXIO (no pool), EINTR (the process is being killed).
 */
struct xentap_copy_list {
	__u64 entries;
	__u32 nr;
	__u32 reserved;
};

#define XENTAP_IOC_MAGIC	'x'
#define XENTAP_IOC_GET_INFO	_IOR(XENTAP_IOC_MAGIC, 0x00, struct xentap_info)
#define XENTAP_IOC_RESTRICT	_IOW(XENTAP_IOC_MAGIC, 0x01, struct xentap_restrict)
#define XENTAP_IOC_ARENA_CREATE	_IOW(XENTAP_IOC_MAGIC, 0x02, struct xentap_arena_create)
#define XENTAP_IOC_BATCH	_IOW(XENTAP_IOC_MAGIC, 0x03, struct xentap_batch)
#define XENTAP_IOC_QUERY	_IOW(XENTAP_IOC_MAGIC, 0x04, struct xentap_query)
#define XENTAP_IOC_QUERY_MFN	_IOWR(XENTAP_IOC_MAGIC, 0x05, struct xentap_query_mfn)
#define XENTAP_IOC_POOL_CREATE	_IOW(XENTAP_IOC_MAGIC, 0x06, struct xentap_pool_create)
#define XENTAP_IOC_COPY		_IOW(XENTAP_IOC_MAGIC, 0x07, struct xentap_copy_list)

#endif /* _UAPI_XENTAP_H */
