// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xentap-bench: what a benchmark can only measure in the kernel.
 */
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <linux/xentap.h>
#include <asm/tsc.h>
#include <asm/xen/hypercall.h>
#include <xen/interface/vcpu.h>
#include <xen/xen.h>

#include "bench.h"

#define FIND_MAX	65536u

static DEFINE_MUTEX(bench_lock);

/* Page-table entries for Xen to write, in BENCH_IOC_BARE only. */
static int bench_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_pgoff || vma_pages(vma) != BENCH_PAGES_MAX ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY | VM_MIXEDMAP);
	vma->vm_private_data = file;
	file->private_data = (void *)vma->vm_start;
	return 0;
}

static long ioctl_bare(struct file *file, void __user *arg)
{
	struct vm_area_struct *vma;
	struct bench_bare bare;
	long err = -ENXIO;

	if (copy_from_user(&bare, arg, sizeof(bare)))
		return -EFAULT;
	if (!bare.nr || bare.nr > BENCH_PAGES_MAX)
		return -EINVAL;
	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, (unsigned long)file->private_data);
	if (vma && vma->vm_file == file)
		err = bench_bare(&bare, vma);
	mmap_read_unlock(current->mm);
	if (!err && copy_to_user(arg, &bare, sizeof(bare)))
		err = -EFAULT;
	return err;
}

static long find_all(struct bench_find *find, const u64 *mfns)
{
	typeof(&xentap_mfn_grants) find_grants = symbol_get(xentap_mfn_grants);
	struct xentap_grant grant;
	u64 begin;
	u32 i;

	if (!find_grants)
		return -ENXIO;
	find->found = 0;
	begin = rdtsc_ordered();
	for (i = 0; i < find->nr; i++)
		find->found += find_grants(mfns[i], &grant, 1);
	find->time = rdtsc_ordered() - begin;
	symbol_put(xentap_mfn_grants);
	return 0;
}

static long ioctl_find(void __user *arg)
{
	struct bench_find find;
	u64 *mfns;
	long err;

	if (copy_from_user(&find, arg, sizeof(find)))
		return -EFAULT;
	if (!find.nr || find.nr > FIND_MAX)
		return -EINVAL;
	mfns = vmemdup_user(u64_to_user_ptr(find.mfns), find.nr * sizeof(*mfns));
	if (IS_ERR(mfns))
		return PTR_ERR(mfns);
	err = find_all(&find, mfns);
	kvfree(mfns);
	if (!err && copy_to_user(arg, &find, sizeof(find)))
		err = -EFAULT;
	return err;
}

static long ioctl_tables(void __user *arg)
{
	struct bench_tables tables;
	long err;

	if (copy_from_user(&tables, arg, sizeof(tables)))
		return -EFAULT;
	err = bench_tables(&tables);
	if (!err && copy_to_user(arg, &tables, sizeof(tables)))
		err = -EFAULT;
	return err;
}

static long ioctl_runtime(void __user *arg)
{
	struct vcpu_runstate_info info;
	u64 sum = 0;
	int cpu;

	for_each_online_cpu(cpu) {
		if (HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, cpu, &info))
			return -EIO;
		sum += info.time[RUNSTATE_running];
	}
	return put_user(sum, (u64 __user *)arg);
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	void __user *arg = (void __user *)value;
	long err;

	/* Not under the lock: it is called around what takes it. */
	if (cmd == BENCH_IOC_RUNTIME)
		return ioctl_runtime(arg);
	mutex_lock(&bench_lock);
	switch (cmd) {
	case BENCH_IOC_BARE:
		err = ioctl_bare(file, arg);
		break;
	case BENCH_IOC_FIND:
		err = ioctl_find(arg);
		break;
	case BENCH_IOC_TABLES:
		err = ioctl_tables(arg);
		break;
	default:
		err = -ENOTTY;
	}
	mutex_unlock(&bench_lock);
	return err;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.mmap = bench_mmap,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice bench_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xentap-bench",
	.mode = 0600,
	.fops = &bench_fops,
};

static int __init bench_init(void)
{
	int err;

	if (!xen_pv_domain())
		return -ENODEV;
	err = bench_bare_init();
	if (err)
		return err;
	err = misc_register(&bench_device);
	if (err)
		bench_bare_exit();
	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&bench_device);
	bench_bare_exit();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmarks of xentap");
MODULE_LICENSE("GPL");
