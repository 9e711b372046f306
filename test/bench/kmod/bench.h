/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls of /dev/xentap-bench, which measures inside the kernel. Times are
 * cycles of the time stamp counter, except where they say ns.
 */
#ifndef XENTAP_BENCH_H
#define XENTAP_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BENCH_PAGES_MAX		256u

/**
 * struct bench_bare - one round of hypercalls by themselves (BENCH_IOC_BARE)
 * @grefs:	in: address of @nr grant references, __u32
 * @nr:		in: 1 to BENCH_PAGES_MAX
 * @domid:	in: domain that granted them
 * @map_kernel: out: map for the kernel, at a page's linear address
 * @map_user:	out: map once more, by the entry of the caller's mapping of
 *		this device
 * @unmap_user:	out: the reverse
 * @unmap_kernel: out: the reverse
 * @refs:	out: as @map_kernel and @unmap_kernel together, by the functions
 *		of the kernel that also change the tables of its own
 * @walk:	out: find the @nr entries of the caller's mapping
 * @copy:	out: copy all pages to pages of our own
 *
 * The caller has mapped BENCH_PAGES_MAX pages of the device.
 */
struct bench_bare {
	__u64 grefs;
	__u32 nr;
	__u32 domid;
	__u64 map_kernel;
	__u64 map_user;
	__u64 unmap_user;
	__u64 unmap_kernel;
	__u64 refs;
	__u64 walk;
	__u64 copy;
};

/**
 * struct bench_find - xentap_mfn_grants() for each of a list (BENCH_IOC_FIND)
 * @mfns:	in: address of @nr frame numbers, __u64
 * @nr:		in: up to 65536
 * @reserved:	in: 0
 * @time:	out: of all calls together
 * @found:	out: grants found
 */
struct bench_find {
	__u64 mfns;
	__u32 nr;
	__u32 reserved;
	__u64 time;
	__u64 found;
};

enum bench_table {
	BENCH_HASH,		/* as the module's index */
	BENCH_RBTREE,
	BENCH_XARRAY,
	BENCH_RHASHTABLE,
	BENCH_NR_TABLES,
};

/**
 * struct bench_tables - a table of made-up frames (BENCH_IOC_TABLES)
 * @table:	in: enum bench_table
 * @entries:	in: 1 to 131072
 * @sparse:	in: 0: frames that follow one another; 1: spread over 2^28
 * @samples:	in: look-ups, and removals with a new insertion, to measure
 * @find:	out: look-ups, all together
 * @change:	out: removals and insertions, all together
 * @empty:	out: the loop around them, without any table
 * @bytes:	out: memory of the table, but for the entries' contents
 * @steps:	out: nodes that all look-ups together have to read, counted
 *		apart from the measurement; 0: not known
 */
struct bench_tables {
	__u32 table;
	__u32 entries;
	__u32 sparse;
	__u32 samples;
	__u64 find;
	__u64 change;
	__u64 empty;
	__u64 bytes;
	__u64 steps;
};

#define BENCH_IOC_MAGIC		'b'
#define BENCH_IOC_BARE		_IOWR(BENCH_IOC_MAGIC, 0, struct bench_bare)
#define BENCH_IOC_FIND		_IOWR(BENCH_IOC_MAGIC, 1, struct bench_find)
#define BENCH_IOC_TABLES	_IOWR(BENCH_IOC_MAGIC, 2, struct bench_tables)
/* Out: ns that this domain's processors have run, as Xen counts it. */
#define BENCH_IOC_RUNTIME	_IOR(BENCH_IOC_MAGIC, 3, __u64)

#ifdef __KERNEL__
struct vm_area_struct;

int bench_bare_init(void);
void bench_bare_exit(void);
int bench_bare(struct bench_bare *bare, struct vm_area_struct *vma);
int bench_tables(struct bench_tables *tables);
#endif

#endif /* XENTAP_BENCH_H */
