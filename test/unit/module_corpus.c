// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The streams of module_fuzz.c without libFuzzer: those in test/kshim/corpus, and
 * some thousands that are made of the same numbers each time.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kshim/rig.h"

#define CORPUS	"../kshim/corpus"
#define STREAMS	3000u
#define LENGTH	400u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void run_file(const char *name)
{
	static u8 data[65536];
	char path[512];
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), CORPUS "/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	print_message("%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
}

static void known_streams(void **state)
{
	DIR *folder = opendir(CORPUS);
	struct dirent *entry;
	unsigned int nr = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(entry->d_name);
		nr++;
	}
	closedir(folder);
	assert_int_not_equal(nr, 0);
}

static void made_streams(void **state)
{
	u64 random = 1;
	u8 data[LENGTH];
	u32 i, n;

	for (n = 0; n < STREAMS; n++) {
		for (i = 0; i < LENGTH; i++) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			data[i] = random >> 56;
		}
		LLVMFuzzerTestOneInput(data, LENGTH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_streams),
		cmocka_unit_test(made_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
