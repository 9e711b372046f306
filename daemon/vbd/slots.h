/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which slots of an arena, or pages of a pool, are in use. Handed out in runs,
 * so that the pages of one request are neighbours in memory.
 */
#ifndef VBD_SLOTS_H
#define VBD_SLOTS_H

#include <stdint.h>

#define SLOTS_NONE UINT32_MAX

struct slots {
	uint64_t *used;		/* a bit for each */
	uint32_t nr;
	uint32_t nr_free;
	uint32_t next;		/* where to look first */
};

/* @nr is rounded down to a multiple of 64. 0 or -ENOMEM. */
int slots_init(struct slots *slots, uint32_t nr);
void slots_uninit(struct slots *slots);

/* The first of @nr free ones in a row, or SLOTS_NONE. */
uint32_t slots_take(struct slots *slots, uint32_t nr);
void slots_give(struct slots *slots, uint32_t first, uint32_t nr);

#endif /* VBD_SLOTS_H */
