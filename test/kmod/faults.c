// SPDX-License-Identifier: GPL-2.0-only
/*
 * A slow page fault: who touches a slot without an entry is held up in the fault
 * handler, so that the entry can be there before the handler looks. What the handler
 * then wants to write to the entry is counted.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/mm.h>

#include "faults.h"

#define FAULT_DELAY_MS	3
#define WRITE_DELAY_MS	6

/* One process at a time; its tgid, or 0. */
static int watched;
static atomic_t looked, wrote;

static bool is_watched(const struct vm_area_struct *vma)
{
	return READ_ONCE(watched) == task_tgid_nr(current) &&
	       (vma->vm_flags & VM_MIXEDMAP);
}

static int fault_begins(struct kprobe *probe, struct pt_regs *regs)
{
	const struct vm_area_struct *vma = (void *)regs_get_kernel_argument(regs, 0);

	if (is_watched(vma))
		mdelay(FAULT_DELAY_MS);
	return 0;
}

/* ptep_set_access_flags(vma, address, entry's place, entry, dirty) */
static int entry_is_set(struct kprobe *probe, struct pt_regs *regs)
{
	const struct vm_area_struct *vma = (void *)regs_get_kernel_argument(regs, 0);
	const pte_t *place = (void *)regs_get_kernel_argument(regs, 2);
	pteval_t entry = regs_get_kernel_argument(regs, 3);

	if (!is_watched(vma))
		return 0;
	atomic_inc(&looked);
	if (READ_ONCE(place->pte) == entry)
		return 0;
	atomic_inc(&wrote);
	mdelay(WRITE_DELAY_MS);
	return 0;
}

static struct kprobe probes[] = {
	{ .symbol_name = "handle_mm_fault", .pre_handler = fault_begins },
	{ .symbol_name = "ptep_set_access_flags", .pre_handler = entry_is_set },
};

static struct kprobe *probe_list[] = { &probes[0], &probes[1] };

int faults_watch(void)
{
	int err;

	if (cmpxchg(&watched, 0, task_tgid_nr(current)))
		return -EBUSY;
	atomic_set(&looked, 0);
	atomic_set(&wrote, 0);
	err = register_kprobes(probe_list, ARRAY_SIZE(probe_list));
	if (err)
		WRITE_ONCE(watched, 0);
	return err;
}

int faults_watched(struct xt_faults *faults)
{
	unsigned int i;

	if (READ_ONCE(watched) != task_tgid_nr(current))
		return -ENOENT;
	unregister_kprobes(probe_list, ARRAY_SIZE(probe_list));
	/* As unregistering leaves them, they cannot be registered again. */
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i].addr = NULL;
		probes[i].flags = 0;
	}
	faults->looked = atomic_read(&looked);
	faults->wrote = atomic_read(&wrote);
	WRITE_ONCE(watched, 0);
	return 0;
}
