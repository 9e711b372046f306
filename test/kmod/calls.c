// SPDX-License-Identifier: GPL-2.0-only
/*
 * First user of the kernel interface of xentap (include/linux/xentap.h), and a
 * saboteur: it can unmap a grant that xentap believes to be its own, and slow down
 * page faults.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/xentap.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>
#include <xen/grant_table.h>
#include <xen/page.h>

#include "faults.h"
#include "xentap_test.h"

struct test_file {
	struct mutex lock;	/* all of it */
	struct xentap_grant holds[XT_HOLDS];
	bool held[XT_HOLDS];
	struct page *granted;
	int grefs[2];
};

static void tell(struct xt_lookup *lookup, unsigned int i,
		 const struct xentap_grant *grant)
{
	lookup->grants[i] = (struct xt_grant){
		.mfn = grant->mfn,
		.pfn = page_to_pfn(grant->page),
		.gref = grant->gref,
		.handle = grant->handle,
		.domid = grant->domid,
		.rdonly = grant->rdonly,
	};
}

static int mfn_grants(struct xt_lookup *lookup)
{
	struct xentap_grant grants[XT_GRANTS];
	unsigned int room = min_t(u32, lookup->nr, XT_GRANTS);
	unsigned int i;

	lookup->nr = xentap_mfn_grants(lookup->key, grants, room);
	for (i = 0; i < min(room, lookup->nr); i++)
		tell(lookup, i, &grants[i]);
	return 0;
}

static int mfn_get(struct test_file *file, struct xt_lookup *lookup)
{
	u32 place = lookup->place;

	if (place >= XT_HOLDS || file->held[place])
		return -EINVAL;
	lookup->result = xentap_mfn_get(lookup->key, &file->holds[place]);
	if (!lookup->result) {
		file->held[place] = true;
		tell(lookup, 0, &file->holds[place]);
	}
	return 0;
}

/* By page; the page is found as a driver finds it, by the caller's address. */
static int page_lookup(struct test_file *file, struct xt_lookup *lookup,
		       bool hold)
{
	u32 place = lookup->place;
	struct xentap_grant grant;
	struct page *page;

	if (place >= XT_HOLDS || (hold && file->held[place]))
		return -EINVAL;
	if (get_user_pages_fast(lookup->key, 1, 0, &page) != 1)
		return -EFAULT;
	lookup->result = hold ? xentap_page_get(page, &grant) :
				xentap_page_grant(page, &grant);
	put_page(page);
	if (lookup->result)
		return 0;
	tell(lookup, 0, &grant);
	if (hold) {
		file->holds[place] = grant;
		file->held[place] = true;
	}
	return 0;
}

static int hold_check(const struct test_file *file, u32 place)
{
	return place < XT_HOLDS && file->held[place] ? 0 : -ENOENT;
}

static int put(struct test_file *file, u32 place)
{
	int err = hold_check(file, place);

	if (!err) {
		xentap_grant_put(&file->holds[place]);
		file->held[place] = false;
	}
	return err;
}

static int peek(const struct test_file *file, struct xt_lookup *lookup)
{
	int err = hold_check(file, lookup->place);

	if (!err)
		lookup->byte = *(u8 *)page_address(file->holds[lookup->place].page);
	return err;
}

static int mfn_to_own_page(struct xt_lookup *lookup)
{
	struct page *page = xentap_mfn_to_page(lookup->key);

	lookup->nr = !!page;
	if (page) {
		lookup->grants[0].pfn = page_to_pfn(page);
		put_page(page);
	}
	return 0;
}

static int grant_twice(struct test_file *file, struct xt_lookup *lookup)
{
	unsigned int i;

	if (file->granted)
		return -EBUSY;
	file->granted = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!file->granted)
		return -ENOMEM;
	*(u8 *)page_address(file->granted) = 0x6b;
	for (i = 0; i < 2; i++) {
		file->grefs[i] = gnttab_grant_foreign_access(0,
					xen_page_to_gfn(file->granted), 0);
		lookup->grants[i].gref = file->grefs[i];
	}
	lookup->nr = 2;
	lookup->grants[0].pfn = page_to_pfn(file->granted);
	lookup->grants[0].mfn = pfn_to_mfn(page_to_pfn(file->granted));
	return file->grefs[0] < 0 || file->grefs[1] < 0 ? -ENOSPC : 0;
}

/* A page that is mapped still must not be freed: it is lost, and said so. */
static void ungrant(struct test_file *file)
{
	bool ended = true;
	unsigned int i;

	if (!file->granted)
		return;
	for (i = 0; i < 2; i++)
		if (file->grefs[i] >= 0 &&
		    !gnttab_try_end_foreign_access(file->grefs[i]))
			ended = false;
	if (ended)
		__free_page(file->granted);
	else
		pr_err("a page that was granted twice is still mapped\n");
}

static int raw_unmap(const struct test_file *file, struct xt_lookup *lookup)
{
	const struct xentap_grant *grant = &file->holds[lookup->place];
	struct gnttab_unmap_grant_ref op;
	u32 flags = GNTMAP_host_map;
	int err = hold_check(file, lookup->place);

	if (err)
		return err;
	if (grant->rdonly)
		flags |= GNTMAP_readonly;
	gnttab_set_unmap_op(&op, (unsigned long)page_address(grant->page),
			    flags, grant->handle);
	op.status = GNTST_general_error;
	err = HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
	lookup->result = op.status;
	return err;
}

struct storm {
	u64 mfn;
	atomic_t found, missed, wrong;
};

static void storm_once(void *data)
{
	struct storm *storm = data;
	struct xentap_grant grant;

	if (xentap_mfn_get(storm->mfn, &grant)) {
		atomic_inc(&storm->missed);
		return;
	}
	atomic_inc(&storm->found);
	if (grant.mfn != storm->mfn)
		atomic_inc(&storm->wrong);
	xentap_grant_put(&grant);
}

static int storm(void __user *arg)
{
	struct storm storm = { .found = ATOMIC_INIT(0) };
	unsigned long end;
	struct xt_storm s;

	if (copy_from_user(&s, arg, sizeof(s)))
		return -EFAULT;
	storm.mfn = s.mfn;
	end = jiffies + msecs_to_jiffies(min_t(u32, s.ms, 20000));
	while (time_before(jiffies, end) && !signal_pending(current)) {
		on_each_cpu(storm_once, &storm, 1);
		cond_resched();
	}
	s.found = atomic_read(&storm.found);
	s.missed = atomic_read(&storm.missed);
	s.wrong = atomic_read(&storm.wrong);
	return copy_to_user(arg, &s, sizeof(s)) ? -EFAULT : 0;
}

static int faults_end(void __user *arg)
{
	struct xt_faults faults;
	int err = faults_watched(&faults);

	if (err)
		return err;
	return copy_to_user(arg, &faults, sizeof(faults)) ? -EFAULT : 0;
}

static int lookup_call(struct test_file *file, unsigned int cmd,
		       struct xt_lookup *lookup)
{
	switch (cmd) {
	case XT_MFN_GRANTS:
		return mfn_grants(lookup);
	case XT_MFN_GET:
		return mfn_get(file, lookup);
	case XT_PAGE_GRANT:
		return page_lookup(file, lookup, false);
	case XT_PAGE_GET:
		return page_lookup(file, lookup, true);
	case XT_PUT:
		return put(file, lookup->place);
	case XT_PEEK:
		return peek(file, lookup);
	case XT_MFN_TO_PAGE:
		return mfn_to_own_page(lookup);
	case XT_GRANT_TWICE:
		return grant_twice(file, lookup);
	case XT_RAW_UNMAP:
		return raw_unmap(file, lookup);
	default:
		return -ENOTTY;
	}
}

static long test_ioctl(struct file *filp, unsigned int cmd, unsigned long value)
{
	struct test_file *file = filp->private_data;
	void __user *arg = (void __user *)value;
	struct xt_lookup lookup;
	int err;

	if (cmd == XT_STORM)
		return storm(arg);
	if (cmd == XT_FAULTS_BEGIN)
		return faults_watch();
	if (cmd == XT_FAULTS_END)
		return faults_end(arg);
	if (copy_from_user(&lookup, arg, sizeof(lookup)))
		return -EFAULT;
	mutex_lock(&file->lock);
	err = lookup_call(file, cmd, &lookup);
	mutex_unlock(&file->lock);
	if (!err && copy_to_user(arg, &lookup, sizeof(lookup)))
		err = -EFAULT;
	return err;
}

static int test_open(struct inode *inode, struct file *filp)
{
	struct test_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int test_release(struct inode *inode, struct file *filp)
{
	struct test_file *file = filp->private_data;
	struct xt_faults faults;
	u32 i;

	faults_watched(&faults);
	for (i = 0; i < XT_HOLDS; i++)
		put(file, i);
	ungrant(file);
	kfree(file);
	return 0;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xentap-test",
	.mode = 0600,
	.fops = &test_fops,
};

module_misc_device(test_device);

MODULE_DESCRIPTION("Test of the kernel interface of xentap");
MODULE_LICENSE("GPL");
