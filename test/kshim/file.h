/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files, devices, debugfs. */
#ifndef KSHIM_FILE_H
#define KSHIM_FILE_H

#include <fcntl.h>
#include <sys/epoll.h>

#include "base.h"
#include "mm.h"

struct inode { int unused; };
typedef struct { int unused; } poll_table;
typedef unsigned int __poll_t;

struct file {
	atomic_t refs;			/* the opener's, and each VMA's */
	unsigned int f_flags;
	struct address_space *f_mapping;
	void *private_data;
};

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	int (*mmap)(struct file *file, struct vm_area_struct *vma);
	ssize_t (*read)(struct file *file, char *buffer, size_t size, loff_t *offset);
	__poll_t (*poll)(struct file *file, poll_table *table);
	long (*unlocked_ioctl)(struct file *file, unsigned int command, unsigned long value);
	long (*compat_ioctl)(struct file *file, unsigned int command, unsigned long value);
};

struct miscdevice {
	int minor;
	const char *name;
	const char *nodename;
	unsigned short mode;
	const struct file_operations *fops;
};

#define MISC_DYNAMIC_MINOR	255
#define compat_ptr_ioctl	NULL
#define nonseekable_open(inode, file) 0
#define poll_wait(file, head, table) ((void)(file), (void)(head), (void)(table))
int misc_register(struct miscdevice *device);
void misc_deregister(struct miscdevice *device);

/* debugfs: files of one folder, each a function that prints. */
struct seq_file {
	char *text;
	size_t size;
	size_t used;
};

struct dentry { int unused; };
typedef int (*kshim_show_t)(struct seq_file *m, void *unused);

void seq_printf(struct seq_file *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define seq_puts(m, text) seq_printf(m, "%s", text)
#define DEFINE_SHOW_ATTRIBUTE(name) \
	static const kshim_show_t name##_fops = name##_show
struct dentry *debugfs_create_dir(const char *name, struct dentry *parent);
void debugfs_create_file(const char *name, unsigned int mode, struct dentry *parent, void *data,
			 const kshim_show_t *show);
void debugfs_remove(struct dentry *folder);

#endif
