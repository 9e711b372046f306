// SPDX-License-Identifier: GPL-2.0-or-later
#include "rig.h"

#define FIRST_DOMID	1u
#define LAST_DOMID	2u

/* Grants 0 and 1 of a guest are one frame, and 2 of both guests. */
u64 rig_mfn(domid_t domid, grant_ref_t gref)
{
	if (gref == 1)
		gref = 0;
	if (gref == 2)
		domid = FIRST_DOMID;
	return XEN_MFN + (domid - FIRST_DOMID) * 128 + gref % 128;
}

static void guests(void)
{
	domid_t domid;
	u32 gref;

	for (domid = FIRST_DOMID; domid <= LAST_DOMID; domid++) {
		xen_guest_add(domid);
		for (gref = 0; gref < RIG_NOTHING; gref++)
			xen_grant(domid, gref, rig_mfn(domid, gref), gref >= RIG_RDONLY);
	}
}

int rig_setup(bool pv)
{
	if (current->mm)
		return -1;
	*current = (struct task_struct){
		.mm = kshim_mm_new(), .tgid = 1, .cap_sys_admin = true,
	};
	guests();
	kshim_must(!kshim_load(pv));
	return 0;
}

int rig_teardown(void)
{
	kshim_run(1000);
	if (kshim_counter("arenas"))
		return -1;
	kshim_forget_lost();
	kshim_unload();
	xen_reset();
	kshim_mm_free(current->mm);
	current->mm = NULL;
	return 0;
}

void rig_open(struct rig *rig, u32 nr_slots, bool rdonly)
{
	struct xentap_arena_create create = {
		.nr_slots = nr_slots, .flags = rdonly ? XENTAP_ARENA_F_RDONLY : 0,
	};

	*rig = (struct rig){ .nr_slots = nr_slots, .rdonly = rdonly };
	rig->file = kshim_open(O_NONBLOCK);
	kshim_must(!IS_ERR(rig->file));
	if (nr_slots)
		kshim_must(!kshim_ioctl(rig->file, XENTAP_IOC_ARENA_CREATE, &create));
}

void rig_mmap(struct rig *rig)
{
	unsigned long flags = VM_SHARED | VM_READ | (rig->rdonly ? 0 : VM_WRITE);

	kshim_must(!kshim_mmap(rig->file, rig->nr_slots, flags, 0, &rig->vma));
}

void rig_close(struct rig *rig)
{
	if (rig->vma)
		kshim_munmap(rig->vma);
	if (rig->file)
		kshim_close(rig->file);
	rig->vma = NULL;
	rig->file = NULL;
}

long rig_batch(struct rig *rig, struct xentap_unmap *unmaps, u32 nr_unmaps,
	       struct xentap_map *maps, u32 nr_maps)
{
	struct xentap_batch batch = {
		.unmaps = (uintptr_t)unmaps, .nr_unmaps = nr_unmaps,
		.maps = (uintptr_t)maps, .nr_maps = nr_maps,
	};

	return kshim_ioctl(rig->file, XENTAP_IOC_BATCH, &batch);
}

int rig_map(struct rig *rig, u32 slot, u32 domid, u32 gref)
{
	struct xentap_map map = { .slot = slot, .domid = domid, .gref = gref, .status = 99 };

	kshim_must(!rig_batch(rig, NULL, 0, &map, 1));
	return map.status;
}

int rig_unmap(struct rig *rig, u32 slot)
{
	struct xentap_unmap unmap = { .slot = slot, .status = 99 };

	kshim_must(!rig_batch(rig, &unmap, 1, NULL, 0));
	return unmap.status;
}

struct xentap_query_addr rig_query(struct rig *rig, u32 slot)
{
	struct xentap_query_addr entry = {
		.addr = (rig->vma ? rig->vma->vm_start : 0) + slot * PAGE_SIZE, .status = 99,
	};
	struct xentap_query query = { .entries = (uintptr_t)&entry, .nr = 1 };

	kshim_must(!kshim_ioctl(rig->file, XENTAP_IOC_QUERY, &query));
	return entry;
}

int rig_read(struct rig *rig, struct xentap_drained *record)
{
	return kshim_read(rig->file, record, sizeof(*record));
}

/* The file's private data begin with its arena. */
struct page *rig_page(const struct rig *rig, u32 slot)
{
	struct xentap_arena *arena = *(struct xentap_arena **)rig->file->private_data;

	return arena->pages[slot];
}
