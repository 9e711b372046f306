// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake/streams.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define LENGTH_MAX	4096

static void run_file(const char *folder, const char *name)
{
	static uint8_t data[LENGTH_MAX];
	char path[512];
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	assert_non_null(file);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	print_message("%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
}

void known_streams(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned int nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(folder, entry->d_name);
		nr++;
	}
	closedir(dir);
	assert_int_not_equal(nr, 0);
}

void made_streams(unsigned int nr, size_t length)
{
	uint8_t data[LENGTH_MAX];
	uint64_t random = 1;
	size_t i;

	assert_true(length <= sizeof(data));
	while (nr--) {
		for (i = 0; i < length; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			data[i] = (uint8_t)(random >> 56);
		}
		LLVMFuzzerTestOneInput(data, length);
	}
}
