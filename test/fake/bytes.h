/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a fuzz target, which is one file: the bytes it decides by, and what must be so.
 * No byte left is a zero.
 */
#ifndef FAKE_BYTES_H
#define FAKE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "fake/must.h"

static struct {
	const uint8_t *data;
	size_t left;
} fuzz_bytes;

static inline void bytes_are(const uint8_t *data, size_t size)
{
	fuzz_bytes.data = data;
	fuzz_bytes.left = size;
}

static inline size_t bytes_left(void)
{
	return fuzz_bytes.left;
}

static inline uint32_t byte(void)
{
	if (!fuzz_bytes.left)
		return 0;
	fuzz_bytes.left--;
	return *fuzz_bytes.data++;
}

static inline uint32_t below(uint32_t limit)
{
	return byte() % limit;
}

static inline uint32_t word(void)
{
	uint32_t low = byte();

	return low | byte() << 8;
}

#endif /* FAKE_BYTES_H */
