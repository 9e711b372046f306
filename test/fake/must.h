/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A check that ends the program: for fuzzers, which have no test framework around them. */
#ifndef FAKE_MUST_H
#define FAKE_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition)								\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();						\
		}								\
	} while (0)

#endif /* FAKE_MUST_H */
