/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists, bitmaps, and the small maps: ida, xarray. */
#ifndef KSHIM_LISTS_H
#define KSHIM_LISTS_H

#include "base.h"

struct list_head { struct list_head *next, *prev; };

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}

static inline void list_del(struct list_head *entry)
{
	/* Twice would go unseen otherwise. */
	kshim_must(entry->next && entry->next->prev == entry && entry->prev->next == entry);
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
	entry->next = NULL;
	entry->prev = NULL;
}

#define list_for_each_entry(pos, head, member) \
	for (pos = container_of((head)->next, typeof(*pos), member); \
	     &pos->member != (head); \
	     pos = container_of(pos->member.next, typeof(*pos), member))

struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	kshim_must(!node->pprev);
	node->next = head->first;
	if (node->next)
		node->next->pprev = &node->next;
	head->first = node;
	node->pprev = &head->first;
}

static inline void hlist_del_init(struct hlist_node *node)
{
	kshim_must(node->pprev && *node->pprev == node);
	*node->pprev = node->next;
	if (node->next)
		node->next->pprev = node->pprev;
	node->next = NULL;
	node->pprev = NULL;
}

#define hlist_entry(ptr, type, member) container_of(ptr, type, member)
#define kshim_hlist_entry_or_null(node, type, member) \
	({ struct hlist_node *node_ = (node); node_ ? container_of(node_, type, member) : NULL; })
#define hlist_for_each_entry(pos, head, member) \
	for (pos = kshim_hlist_entry_or_null((head)->first, typeof(*pos), member); pos; \
	     pos = kshim_hlist_entry_or_null(pos->member.next, typeof(*pos), member))

/* Bitmaps. */
#define BITS_PER_LONG	64u

static inline void __set_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] |= 1ul << nr % BITS_PER_LONG;
}

static inline void __clear_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] &= ~(1ul << nr % BITS_PER_LONG);
}

static inline void set_bit(unsigned long nr, unsigned long *map)
{
	__atomic_fetch_or(&map[nr / BITS_PER_LONG], 1ul << nr % BITS_PER_LONG,
			  __ATOMIC_RELAXED);
}

static inline void clear_bit(unsigned long nr, unsigned long *map)
{
	__atomic_fetch_and(&map[nr / BITS_PER_LONG], ~(1ul << nr % BITS_PER_LONG),
			   __ATOMIC_RELAXED);
}

static inline unsigned long find_next_bit(const unsigned long *map, unsigned long bits,
					  unsigned long from)
{
	while (from < bits &&
	       !(READ_ONCE(map[from / BITS_PER_LONG]) >> from % BITS_PER_LONG & 1))
		from++;
	return from;
}

static inline bool bitmap_empty(const unsigned long *map, unsigned long bits)
{
	return find_next_bit(map, bits, 0) == bits;
}

#define for_each_set_bit(bit, map, bits) \
	for ((bit) = find_next_bit(map, bits, 0); (bit) < (bits); \
	     (bit) = find_next_bit(map, bits, (bit) + 1))

unsigned long *bitmap_zalloc(unsigned int bits, unsigned int flags);
void bitmap_free(unsigned long *map);

/* Numbers: the lowest free one. */
#define KSHIM_IDA_MAX	1024

struct ida { bool used[KSHIM_IDA_MAX]; };

#define DEFINE_IDA(name) struct ida name
int ida_alloc(struct ida *ida, unsigned int flags);
void ida_free(struct ida *ida, unsigned int id);

/* By page frame number: one array. Changes need not be serialized here. */
#define KSHIM_PAGES	65536u

struct xarray { void *entries[KSHIM_PAGES]; };

#define DEFINE_XARRAY(name) struct xarray name
void *xa_load(struct xarray *xa, unsigned long index);
void *xa_store(struct xarray *xa, unsigned long index, void *entry, unsigned int flags);
void *xa_erase(struct xarray *xa, unsigned long index);

static inline int xa_err(void *entry)
{
	return IS_ERR(entry) ? (int)PTR_ERR(entry) : 0;
}

#endif
