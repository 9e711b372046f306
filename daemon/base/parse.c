// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/parse.h"

#include <errno.h>

int parse_u64(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;
	unsigned int digit;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		digit = (unsigned int)(*text - '0');
		if (digit > max || number > (max - digit) / 10)
			return -ERANGE;
		number = number * 10 + digit;
	}
	*value = number;
	return 0;
}

int parse_u32(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t number;
	int err = parse_u64(text, max, &number);

	if (!err)
		*value = (uint32_t)number;
	return err;
}
