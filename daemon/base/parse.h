/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers in text that somebody else wrote: a guest, the toolstack, an
 * administrator. Strict, so that nothing means two things.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdint.h>

/*
 * A decimal number of ASCII digits and nothing else: no sign, no space, no
 * prefix, not empty. 0, -EINVAL (not such a number), -ERANGE (above @max).
 */
int parse_u64(const char *text, uint64_t max, uint64_t *value);
int parse_u32(const char *text, uint32_t max, uint32_t *value);

#endif /* BASE_PARSE_H */
