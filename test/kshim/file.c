// SPDX-License-Identifier: GPL-2.0-or-later
/* The device's files, and debugfs. */
#include <stdarg.h>

#include "kshim.h"
#include "control.h"
#include "internal.h"

static const struct file_operations *fops;
static struct address_space mapping;
static int failing_misc;

int misc_register(struct miscdevice *device)
{
	if (failing_misc) {
		int err = failing_misc;

		failing_misc = 0;
		return err;
	}
	kshim_must(!fops && (device->mode == 0600));
	fops = device->fops;
	return 0;
}

void misc_deregister(struct miscdevice *device)
{
	kshim_must(fops == device->fops);
	fops = NULL;
}

void kshim_fail_misc(int err)
{
	failing_misc = err;
}

struct address_space *kshim_mapping(void)
{
	return &mapping;
}

struct file *kshim_open(unsigned int flags)
{
	struct file *file = calloc(1, sizeof(*file));
	int err;

	atomic_set(&file->refs, 1);
	file->f_flags = flags;
	file->f_mapping = &mapping;
	err = fops->open(NULL, file);
	if (!err)
		return file;
	free(file);
	return ERR_PTR(err);
}

void kshim_put_file(struct file *file)
{
	if (!atomic_dec_and_test(&file->refs))
		return;
	fops->release(NULL, file);
	free(file);
}

void kshim_close(struct file *file)
{
	kshim_put_file(file);
}

int kshim_call_mmap(struct file *file, struct vm_area_struct *vma)
{
	return fops->mmap(file, vma);
}

long kshim_ioctl(struct file *file, unsigned int command, const void *argument)
{
	return fops->unlocked_ioctl(file, command, (unsigned long)argument);
}

ssize_t kshim_read(struct file *file, void *buffer, size_t size)
{
	loff_t offset = 0;

	return fops->read(file, buffer, size, &offset);
}

unsigned int kshim_poll(struct file *file)
{
	poll_table table;

	return fops->poll(file, &table);
}

static void give_quota(const struct xen_mapping *lost)
{
	xentap_quota_give(lost->domid);
	xentap_stat_add(XENTAP_STAT_QUARANTINED, -1);
}

unsigned int kshim_forget_lost(void)
{
	return xen_forget(give_quota);
}

/* debugfs */
static struct {
	const char *name;
	kshim_show_t show;
} shown[8];
static unsigned int nr_shown;
static struct dentry the_folder;

void seq_printf(struct seq_file *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	m->used += vsnprintf(m->text + m->used, m->size - m->used, format, args);
	va_end(args);
	kshim_must(m->used < m->size);
}

struct dentry *debugfs_create_dir(const char *name, struct dentry *parent)
{
	return &the_folder;
}

void debugfs_create_file(const char *name, unsigned int mode, struct dentry *parent, void *data,
			 const kshim_show_t *show)
{
	kshim_must(nr_shown < ARRAY_SIZE(shown) && parent == &the_folder);
	shown[nr_shown].name = name;
	shown[nr_shown++].show = *show;
}

void debugfs_remove(struct dentry *folder)
{
	kshim_must(folder == &the_folder);
	nr_shown = 0;
}

void kshim_debugfs(const char *name, char *text, size_t size)
{
	struct seq_file m = { .text = text, .size = size };
	unsigned int i;

	text[0] = '\0';
	for (i = 0; i < nr_shown; i++)
		if (!strcmp(shown[i].name, name)) {
			shown[i].show(&m, NULL);
			return;
		}
	kshim_bug("debugfs has no file %s", name);
}

void kshim_counters(long *values)
{
	char text[1024], *line, *rest = text;
	unsigned int nr = 0;

	kshim_debugfs("counters", text, sizeof(text));
	while ((line = strsep(&rest, "\n")) && *line && nr < XENTAP_NR_STATS)
		values[nr++] = atol(strchr(line, ' '));
	kshim_must(nr == XENTAP_NR_STATS);
}

/* As those of a module that was just loaded. */
void kshim_zero_counters(void)
{
	long values[XENTAP_NR_STATS];
	unsigned int i;

	kshim_counters(values);
	for (i = 0; i < XENTAP_NR_STATS; i++)
		xentap_stat_add(i, -values[i]);
}

long kshim_counter(const char *name)
{
	char text[1024], *line, *rest = text;
	size_t length = strlen(name);

	kshim_debugfs("counters", text, sizeof(text));
	while ((line = strsep(&rest, "\n")))
		if (!strncmp(line, name, length) && line[length] == ' ')
			return atol(line + length + 1);
	kshim_bug("no counter %s", name);
}
