// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/slots.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

int slots_init(struct slots *slots, uint32_t nr)
{
	*slots = (struct slots){ .nr = nr / 64 * 64 };
	slots->nr_free = slots->nr;
	/* One word more, so that there is one even for none. */
	slots->used = calloc(slots->nr / 64 + 1, sizeof(*slots->used));
	return slots->used ? 0 : -ENOMEM;
}

void slots_uninit(struct slots *slots)
{
	free(slots->used);
	slots->used = NULL;
}

static bool is_used(const struct slots *slots, uint32_t slot)
{
	return slots->used[slot / 64] >> (slot % 64) & 1;
}

/*
 * A run of @nr that starts in @from..@until-1, at whole words where the word
 * is full.
 */
static uint32_t find(const struct slots *slots, uint32_t from, uint32_t until, uint32_t nr)
{
	uint32_t first = from;
	uint32_t end = from;

	while (first < until && first + nr <= slots->nr) {
		if (end - first == nr)
			return first;
		if (end % 64 == 0 && slots->used[end / 64] == UINT64_MAX)
			first = end += 64;
		else if (end % 64 == 0 && !slots->used[end / 64] && end - first + 64 <= nr)
			end += 64;
		else if (is_used(slots, end))
			first = ++end;
		else
			end++;
	}
	return SLOTS_NONE;
}

uint32_t slots_take(struct slots *slots, uint32_t nr)
{
	uint32_t first;
	uint32_t i;

	if (nr > slots->nr_free)
		return SLOTS_NONE;
	first = find(slots, slots->next, slots->nr, nr);
	if (first == SLOTS_NONE)
		first = find(slots, 0, slots->next, nr);
	if (first == SLOTS_NONE)
		return SLOTS_NONE;
	for (i = first; i < first + nr; i++)
		slots->used[i / 64] |= 1ull << (i % 64);
	slots->nr_free -= nr;
	slots->next = first + nr < slots->nr ? first + nr : 0;
	return first;
}

void slots_give(struct slots *slots, uint32_t first, uint32_t nr)
{
	uint32_t i;

	for (i = first; i < first + nr; i++)
		slots->used[i / 64] &= ~(1ull << (i % 64));
	slots->nr_free += nr;
	/* What is warm in the caches first, unless others wait in a row. */
	if (slots->nr_free == slots->nr)
		slots->next = 0;
}
