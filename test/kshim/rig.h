/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An arena as its user has it, for tests: short forms of the calls that must
 * succeed as calls. What the calls answer for an entry is the result.
 */
#ifndef KSHIM_RIG_H
#define KSHIM_RIG_H

#include "control.h"
#include "internal.h"

/* Grant references of every guest that rig_guests() makes. */
#define RIG_GREFS	512u		/* 0 to this: granted for writing */
#define RIG_RDONLY	512u		/* from here, as many read-only ones */
#define RIG_NOTHING	1023u		/* grants nothing */

struct rig {
	struct file *file;
	struct vm_area_struct *vma;
	u32 nr_slots;
	bool rdonly;
};

/*
 * A task with an address space and rights; guests 1 and 2; the module. And back,
 * which fails, as all that follow, after a test that failed half-way.
 */
int rig_setup(bool pv);
int rig_teardown(void);
/* The frame behind a grant; some grants of one guest, and of two, share one. */
u64 rig_mfn(domid_t domid, grant_ref_t gref);

void rig_open(struct rig *rig, u32 nr_slots, bool rdonly);
void rig_mmap(struct rig *rig);
/* What is open and mapped of it. */
void rig_close(struct rig *rig);

int rig_map(struct rig *rig, u32 slot, u32 domid, u32 gref);
int rig_unmap(struct rig *rig, u32 slot);
long rig_batch(struct rig *rig, struct xentap_unmap *unmaps, u32 nr_unmaps,
	       struct xentap_map *maps, u32 nr_maps);
struct xentap_query_addr rig_query(struct rig *rig, u32 slot);
/* One record, or what read() says instead; O_NONBLOCK. */
int rig_read(struct rig *rig, struct xentap_drained *record);
/* The page that the slot has for good. */
struct page *rig_page(const struct rig *rig, u32 slot);

#endif
