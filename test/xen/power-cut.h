/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What power-cut-write.c writes and power-cut-check.c reads: sectors that say
 * what they are.
 */
#ifndef POWER_CUT_H
#define POWER_CUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SECTOR_BYTES 512
#define SECTOR_WORDS (SECTOR_BYTES / sizeof(uint64_t))

/* The first words of a sector; the others follow from these. */
struct sector_head {
	uint64_t magic;
	uint64_t sector;	/* its place on the disk */
	uint64_t write;		/* writes are numbered from 1, in the order they were issued */
	uint64_t acked;		/* the last flush whose answer came before that */
};

#define SECTOR_MAGIC 0x7475632d7265776full

static inline void sector_fill(uint64_t *word, uint64_t sector, uint64_t write, uint64_t acked)
{
	struct sector_head head = { SECTOR_MAGIC, sector, write, acked };
	uint64_t x = sector << 40 ^ write << 16 ^ acked;
	unsigned int i;

	memcpy(word, &head, sizeof(head));
	for (i = sizeof(head) / sizeof(*word); i < SECTOR_WORDS; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		word[i] = x;
	}
}

static inline bool sector_is_whole(const void *data, uint64_t sector)
{
	struct sector_head head;
	uint64_t expected[SECTOR_WORDS];

	memcpy(&head, data, sizeof(head));
	sector_fill(expected, sector, head.write, head.acked);
	return !memcmp(data, expected, SECTOR_BYTES);
}

#endif
