// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xen/tap: copies arguments in, checks them, calls, copies results out.
 * The contract is include/uapi/xentap.h.
 */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

/*
 * One open file. The pool is set once and stays; whoever sees it may use it
 * without a lock.
 */
struct tap_file {
	struct xentap_arena *arena;
	struct xentap_pool *pool;	/* NULL: none yet */
};

static int tap_open(struct inode *inode, struct file *file)
{
	struct tap_file *tap;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	tap = kzalloc(sizeof(*tap), GFP_KERNEL);
	if (!tap)
		return -ENOMEM;
	tap->arena = xentap_arena_new(file->f_mapping);
	if (!tap->arena) {
		kfree(tap);
		return -ENOMEM;
	}
	file->private_data = tap;
	return nonseekable_open(inode, file);
}

static int tap_release(struct inode *inode, struct file *file)
{
	struct tap_file *tap = file->private_data;

	xentap_arena_release(tap->arena);
	xentap_pool_free(tap->pool);
	kfree(tap);
	return 0;
}

static int tap_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct tap_file *tap = file->private_data;
	/* Pairs with the exchange in ioctl_pool_create(). */
	struct xentap_pool *pool = smp_load_acquire(&tap->pool);

	if (vma->vm_pgoff < XENTAP_POOL_PGOFF)
		return xentap_vma_mmap(tap->arena, vma);
	return pool ? xentap_pool_mmap(pool, vma) : -ENXIO;
}

static long ioctl_get_info(void __user *arg)
{
	struct xentap_info info = {
		.abi_version = XENTAP_ABI_VERSION,
		.features = XENTAP_FEAT_COPY |
			    (xentap_mmu ? XENTAP_FEAT_USER_MAP |
					  XENTAP_FEAT_QUERY |
					  XENTAP_FEAT_QUERY_MFN : 0),
		.max_slots = xentap_max_slots,
		.max_batch = XENTAP_BATCH_MAX,
		.max_grants = xentap_max_grants,
		.max_grants_domid = xentap_max_grants_domid,
		.max_pool_pages = xentap_max_pool_pages,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long ioctl_restrict(struct xentap_arena *arena, void __user *arg)
{
	struct xentap_restrict restrict_to;
	int err;

	if (copy_from_user(&restrict_to, arg, sizeof(restrict_to)))
		return -EFAULT;
	if (restrict_to.reserved)
		return -EINVAL;

	mutex_lock(&arena->batch_lock);
	err = xentap_arena_restrict(arena, restrict_to.domid);
	mutex_unlock(&arena->batch_lock);
	return err;
}

static long ioctl_arena_create(struct xentap_arena *arena, void __user *arg)
{
	struct xentap_arena_create create;
	int err;

	if (copy_from_user(&create, arg, sizeof(create)))
		return -EFAULT;
	if (create.flags & ~XENTAP_ARENA_F_RDONLY || create.reserved ||
	    !create.nr_slots || create.nr_slots > xentap_max_slots)
		return -EINVAL;

	mutex_lock(&arena->batch_lock);
	err = xentap_arena_create(arena, create.nr_slots,
				  create.flags & XENTAP_ARENA_F_RDONLY);
	mutex_unlock(&arena->batch_lock);
	return err;
}

static int batch_copy_in(struct xentap_arena *arena,
			 const struct xentap_batch *batch)
{
	struct xentap_scratch *s = &arena->scratch;

	if (copy_from_user(s->unmaps, u64_to_user_ptr(batch->unmaps),
			   batch->nr_unmaps * sizeof(*s->unmaps)) ||
	    copy_from_user(s->maps, u64_to_user_ptr(batch->maps),
			   batch->nr_maps * sizeof(*s->maps)))
		return -EFAULT;
	return 0;
}

static int batch_copy_out(const struct xentap_arena *arena,
			  const struct xentap_batch *batch)
{
	const struct xentap_scratch *s = &arena->scratch;

	if (copy_to_user(u64_to_user_ptr(batch->unmaps), s->unmaps,
			 batch->nr_unmaps * sizeof(*s->unmaps)) ||
	    copy_to_user(u64_to_user_ptr(batch->maps), s->maps,
			 batch->nr_maps * sizeof(*s->maps)))
		return -EFAULT;
	return 0;
}

static long ioctl_batch(struct xentap_arena *arena, void __user *arg)
{
	struct xentap_batch batch;
	int err;

	if (copy_from_user(&batch, arg, sizeof(batch)))
		return -EFAULT;
	if (batch.flags || batch.reserved ||
	    batch.nr_unmaps > XENTAP_BATCH_MAX ||
	    batch.nr_maps > XENTAP_BATCH_MAX)
		return -EINVAL;

	err = mutex_lock_killable(&arena->batch_lock);
	if (err)
		return err;
	err = xentap_batch_check(arena);
	if (!err)
		err = batch_copy_in(arena, &batch);
	if (!err) {
		xentap_stat_batch(batch.nr_unmaps + batch.nr_maps);
		xentap_batch_unmap(arena, batch.nr_unmaps);
		xentap_batch_map(arena, batch.nr_maps);
		err = batch_copy_out(arena, &batch);
	}
	mutex_unlock(&arena->batch_lock);
	return err;
}

/* Entries of a query that are answered at one go; nothing is allocated. */
#define QUERY_CHUNK	32u

static int query_chunk(struct xentap_arena *arena,
		       struct xentap_query_addr __user *user, u32 nr)
{
	bool show_mfn = capable(CAP_SYS_ADMIN);
	struct xentap_query_addr entries[QUERY_CHUNK];
	u32 i;

	if (copy_from_user(entries, user, nr * sizeof(*entries)))
		return -EFAULT;
	mutex_lock(&arena->batch_lock);
	for (i = 0; i < nr; i++)
		xentap_query_addr(arena, &entries[i], show_mfn);
	mutex_unlock(&arena->batch_lock);
	return copy_to_user(user, entries, nr * sizeof(*entries)) ? -EFAULT : 0;
}

static long ioctl_query(struct xentap_arena *arena, void __user *arg)
{
	struct xentap_query_addr __user *entries;
	struct xentap_query query;
	int err = 0;
	u32 done;
	u32 nr;

	if (copy_from_user(&query, arg, sizeof(query)))
		return -EFAULT;
	if (query.reserved || !query.nr || query.nr > XENTAP_BATCH_MAX)
		return -EINVAL;

	entries = u64_to_user_ptr(query.entries);
	for (done = 0; done < query.nr && !err; done += nr) {
		nr = min(query.nr - done, QUERY_CHUNK);
		err = query_chunk(arena, entries + done, nr);
	}
	return err;
}

static long ioctl_pool_create(struct tap_file *tap, void __user *arg)
{
	struct xentap_pool_create create;
	struct xentap_pool *pool;

	if (copy_from_user(&create, arg, sizeof(create)))
		return -EFAULT;
	if (create.flags || create.reserved || !create.nr_pages ||
	    create.nr_pages > xentap_max_pool_pages)
		return -EINVAL;
	if (READ_ONCE(tap->pool))
		return -EBUSY;
	pool = xentap_pool_new(create.nr_pages);
	if (!pool)
		return -ENOMEM;
	/* Another thread was faster. */
	if (cmpxchg(&tap->pool, NULL, pool)) {
		xentap_pool_free(pool);
		return -EBUSY;
	}
	return 0;
}

static long ioctl_copy(struct tap_file *tap, void __user *arg)
{
	/* Pairs with the exchange in ioctl_pool_create(). */
	struct xentap_pool *pool = smp_load_acquire(&tap->pool);
	struct xentap_copy_list list;

	if (copy_from_user(&list, arg, sizeof(list)))
		return -EFAULT;
	if (list.reserved || !list.nr || list.nr > XENTAP_BATCH_MAX)
		return -EINVAL;
	if (!pool)
		return -ENXIO;
	return xentap_pool_copy(pool, u64_to_user_ptr(list.entries), list.nr,
				READ_ONCE(tap->arena->restrict_domid));
}

static void show_grants(const struct xentap_grant *grants,
			struct xentap_mfn_grant *records, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		records[i] = (struct xentap_mfn_grant){
			.domid = grants[i].domid,
			.gref = grants[i].gref,
			.handle = grants[i].handle,
			.flags = grants[i].rdonly ? XENTAP_GRANT_F_RDONLY : 0,
		};
}

/* Room for @nr answers as the index gives them, and as user space gets them. */
static long query_mfn(struct xentap_query_mfn *query,
		      struct xentap_grant *grants,
		      struct xentap_mfn_grant *records)
{
	if (!grants || !records)
		return -ENOMEM;
	query->total = xentap_index_find(query->mfn, grants, query->nr);
	query->nr = min(query->nr, query->total);
	show_grants(grants, records, query->nr);
	if (copy_to_user(u64_to_user_ptr(query->grants), records,
			 query->nr * sizeof(*records)))
		return -EFAULT;
	return 0;
}

static long ioctl_query_mfn(const struct xentap_arena *arena, void __user *arg)
{
	struct xentap_mfn_grant *records;
	struct xentap_grant *grants;
	struct xentap_query_mfn query;
	long err;

	if (!capable(CAP_SYS_ADMIN) ||
	    READ_ONCE(arena->restrict_domid) != XENTAP_NO_DOMID)
		return -EPERM;
	if (copy_from_user(&query, arg, sizeof(query)))
		return -EFAULT;
	if (!query.nr || query.nr > XENTAP_BATCH_MAX)
		return -EINVAL;

	grants = kvcalloc(query.nr, sizeof(*grants), GFP_KERNEL);
	records = kvcalloc(query.nr, sizeof(*records), GFP_KERNEL);
	err = query_mfn(&query, grants, records);
	if (!err && copy_to_user(arg, &query, sizeof(query)))
		err = -EFAULT;
	kvfree(records);
	kvfree(grants);
	return err;
}

static long tap_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	struct tap_file *tap = file->private_data;
	struct xentap_arena *arena = tap->arena;
	void __user *arg = (void __user *)value;

	switch (cmd) {
	case XENTAP_IOC_GET_INFO:
		return ioctl_get_info(arg);
	case XENTAP_IOC_RESTRICT:
		return ioctl_restrict(arena, arg);
	case XENTAP_IOC_ARENA_CREATE:
		return ioctl_arena_create(arena, arg);
	case XENTAP_IOC_BATCH:
		return ioctl_batch(arena, arg);
	case XENTAP_IOC_QUERY:
		return ioctl_query(arena, arg);
	case XENTAP_IOC_QUERY_MFN:
		return ioctl_query_mfn(arena, arg);
	case XENTAP_IOC_POOL_CREATE:
		return ioctl_pool_create(tap, arg);
	case XENTAP_IOC_COPY:
		return ioctl_copy(tap, arg);
	default:
		return -ENOTTY;
	}
}

static bool has_report(struct xentap_arena *arena)
{
	/* Pairs with the release in xentap_arena_create(). */
	u32 nr_slots = smp_load_acquire(&arena->nr_slots);

	return nr_slots && !bitmap_empty(arena->report, nr_slots);
}

static int report_wait(struct file *file, struct xentap_arena *arena)
{
	if (has_report(arena))
		return 0;
	if (file->f_flags & O_NONBLOCK)
		return -EAGAIN;
	return wait_event_interruptible(arena->report_wait, has_report(arena));
}

/* As many records as fit in @size bytes; 0 when another reader was faster. */
static ssize_t report_slots(struct xentap_arena *arena, char __user *buffer,
			    size_t size)
{
	struct xentap_drained record;
	ssize_t done = 0;
	u32 i;

	lockdep_assert_held(&arena->batch_lock);
	for_each_set_bit(i, arena->report, arena->nr_slots) {
		struct xentap_slot *slot = &arena->slots[i];

		if (size - done < sizeof(record))
			break;
		record.slot = i;
		record.status = slot->state == XENTAP_SLOT_DRAINED ? 0 : -EIO;
		if (copy_to_user(buffer + done, &record, sizeof(record)))
			return done ?: -EFAULT;
		clear_bit(i, arena->report);
		if (!record.status)
			WRITE_ONCE(slot->state, XENTAP_SLOT_FREE);
		done += sizeof(record);
	}
	return done;
}

static ssize_t tap_read(struct file *file, char __user *buffer, size_t size,
			loff_t *offset)
{
	struct tap_file *tap = file->private_data;
	struct xentap_arena *arena = tap->arena;
	ssize_t done;

	if (size < sizeof(struct xentap_drained))
		return -EINVAL;
	do {
		int err = report_wait(file, arena);

		if (err)
			return err;
		mutex_lock(&arena->batch_lock);
		done = report_slots(arena, buffer, size);
		mutex_unlock(&arena->batch_lock);
	} while (!done);
	return done;
}

static __poll_t tap_poll(struct file *file, poll_table *wait)
{
	struct tap_file *tap = file->private_data;
	struct xentap_arena *arena = tap->arena;

	poll_wait(file, &arena->report_wait, wait);
	return has_report(arena) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations tap_fops = {
	.owner = THIS_MODULE,
	.open = tap_open,
	.release = tap_release,
	.mmap = tap_mmap,
	.read = tap_read,
	.poll = tap_poll,
	.unlocked_ioctl = tap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice tap_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/tap",
	.nodename = "xen/tap",
	.mode = 0600,
	.fops = &tap_fops,
};

int xentap_chardev_init(void)
{
	return misc_register(&tap_device);
}

void xentap_chardev_uninit(void)
{
	misc_deregister(&tap_device);
}
