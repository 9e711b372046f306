// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages, load and unload, allocations, small maps. */
#include <pthread.h>
#include <stdarg.h>

#include "kshim.h"
#include "control.h"

static pthread_mutex_t message_lock = PTHREAD_MUTEX_INITIALIZER;
static char message[256];
static int module_refs;
static long live_allocations;
static long nr_allocations;
static long failing_allocation;

void kshim_bug(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("kshim: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void kshim_printk(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&message_lock);
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	pthread_mutex_unlock(&message_lock);
}

void kshim_last_message(char *text, size_t size)
{
	pthread_mutex_lock(&message_lock);
	snprintf(text, size, "%s", message);
	pthread_mutex_unlock(&message_lock);
}

void kshim_module_get(void)
{
	__atomic_fetch_add(&module_refs, 1, __ATOMIC_RELAXED);
}

void kshim_module_put(void)
{
	if (__atomic_sub_fetch(&module_refs, 1, __ATOMIC_SEQ_CST) < 0)
		kshim_bug("module_put() once too often");
}

int kshim_load(bool pv)
{
	int err;

	kshim_pv = pv;
	message[0] = '\0';
	err = kshim_module_init();
	if (!err)
		kshim_zero_counters();
	else if (kshim_live_allocations())
		kshim_bug("load failed and left %ld allocations", kshim_live_allocations());
	return err;
}

void kshim_unload(void)
{
	kshim_run(1000);
	if (module_refs)
		kshim_bug("unload with %d references on the module", module_refs);
	kshim_module_exit();
	if (kshim_live_allocations())
		kshim_bug("unload left %ld allocations", kshim_live_allocations());
	if (xen_count(false) || xen_count(true))
		kshim_bug("unload left %u kernel and %u user mappings", xen_count(false),
			  xen_count(true));
}

/* Allocations. */
bool kshim_allocation_fails(void)
{
	kshim_may_sleep("an allocation");
	return __atomic_add_fetch(&nr_allocations, 1, __ATOMIC_RELAXED) ==
	       READ_ONCE(failing_allocation);
}

void kshim_fail_allocation(long nth)
{
	WRITE_ONCE(failing_allocation, nth ? READ_ONCE(nr_allocations) + nth : 0);
}

long kshim_allocations(void)
{
	return __atomic_exchange_n(&nr_allocations, 0, __ATOMIC_RELAXED);
}

long kshim_live_allocations(void)
{
	return READ_ONCE(live_allocations);
}

void *kshim_alloc(size_t nr, size_t size)
{
	void *memory;

	if (kshim_allocation_fails())
		return NULL;
	memory = calloc(nr, size);
	if (memory)
		__atomic_fetch_add(&live_allocations, 1, __ATOMIC_RELAXED);
	return memory;
}

void kfree(const void *memory)
{
	if (!memory)
		return;
	__atomic_fetch_sub(&live_allocations, 1, __ATOMIC_RELAXED);
	free((void *)memory);
}

unsigned long *bitmap_zalloc(unsigned int bits, unsigned int flags)
{
	return kshim_alloc((bits + BITS_PER_LONG - 1) / BITS_PER_LONG, sizeof(long));
}

void bitmap_free(unsigned long *map)
{
	kfree(map);
}

/* Numbers. */
static pthread_mutex_t ida_lock = PTHREAD_MUTEX_INITIALIZER;

int ida_alloc(struct ida *ida, unsigned int flags)
{
	int id = 0;

	if (kshim_allocation_fails())
		return -ENOMEM;
	pthread_mutex_lock(&ida_lock);
	while (id < KSHIM_IDA_MAX && ida->used[id])
		id++;
	if (id < KSHIM_IDA_MAX)
		ida->used[id] = true;
	else
		id = -ENOSPC;
	pthread_mutex_unlock(&ida_lock);
	return id;
}

void ida_free(struct ida *ida, unsigned int id)
{
	pthread_mutex_lock(&ida_lock);
	kshim_must(id < KSHIM_IDA_MAX && ida->used[id]);
	ida->used[id] = false;
	pthread_mutex_unlock(&ida_lock);
}

/* The reader side is ordered as by rcu_dereference(). */
void *xa_load(struct xarray *xa, unsigned long index)
{
	return index < KSHIM_PAGES ? __atomic_load_n(&xa->entries[index], __ATOMIC_ACQUIRE) : NULL;
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, unsigned int flags)
{
	kshim_must(index < KSHIM_PAGES);
	if (kshim_allocation_fails())
		return ERR_PTR(-ENOMEM);
	return __atomic_exchange_n(&xa->entries[index], entry, __ATOMIC_ACQ_REL);
}

void *xa_erase(struct xarray *xa, unsigned long index)
{
	kshim_must(index < KSHIM_PAGES);
	return __atomic_exchange_n(&xa->entries[index], NULL, __ATOMIC_ACQ_REL);
}
