// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The checker of test/xen/power-cut.sh: it has nothing against disks that keep what they
 * promise, and finds each way of breaking that. The drive and the log are played.
 */
#undef _GNU_SOURCE
#define main power_cut_main
#include "../xen/power-cut-check.c"
#undef main

#include <setjmp.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

/* The checker frees nothing: it is done. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

#define SECTORS 64u
#define ROUNDS 10u
#define FAULT_ROUND 6u
#define MAX_WRITES 200u

enum fault {
	FAULT_NONE,
	FAULT_ANSWERED_EARLY,	/* a flush is, before it is done */
	FAULT_NO_FLUSH,		/* it is answered and never done */
	FAULT_LATE_MARK,	/* the same, and dom0 is slow to make its mark */
	FAULT_WRITE_IN_CACHE,	/* a write is answered before the drive has it */
	FAULT_WRITE_GONE,	/* it is answered and never comes */
	FAULT_WRITE_AGAIN,	/* an old one comes once more */
	FAULT_WRONG_DATA,
};

struct drive {
	FILE *log;
	FILE *history;
	uint64_t entries;
	unsigned int sector_of[MAX_WRITES];	/* of a write; each is two sectors long */
	unsigned int acked_at[MAX_WRITES];
	unsigned int cached[MAX_WRITES];	/* completed, no flush has come since */
	unsigned int nr_cached;
	unsigned int last_write;
	unsigned int acked;
	unsigned int first[ROUNDS + 1];		/* a round's write to sector 0 */
	char disk[SECTORS * SECTOR_BYTES];
	bool spoil;				/* the next write's data */
};

static void log_entry(struct drive *d, uint64_t sector, uint64_t sectors, uint64_t flags,
		      const char *text)
{
	uint64_t raw[SECTOR_WORDS] = { sector, sectors, flags, strlen(text) };

	memcpy((char *)raw + sizeof(struct log_entry), text, strlen(text));
	assert_int_equal(fwrite(raw, SECTOR_BYTES, 1, d->log), 1);
	d->entries++;
}

static void log_write(struct drive *d, unsigned int number)
{
	uint64_t data[2][SECTOR_WORDS];
	unsigned int i;

	for (i = 0; i < 2; i++)
		sector_fill(data[i], d->sector_of[number] + i, number, d->acked_at[number]);
	data[1][40] ^= d->spoil;
	d->spoil = false;
	log_entry(d, d->sector_of[number], 2, 0, "");
	assert_int_equal(fwrite(data, sizeof(data), 1, d->log), 1);
	memcpy(d->disk + d->sector_of[number] * SECTOR_BYTES, data, sizeof(data));
}

static unsigned int issue_at(struct drive *d, unsigned int sector)
{
	unsigned int number = ++d->last_write;

	d->sector_of[number] = sector;
	d->acked_at[number] = d->acked;
	fprintf(d->history, "write %u %u 2\n", number, sector);
	return number;
}

/* At any sector from 8 on. */
static unsigned int issue(struct drive *d)
{
	return issue_at(d, 8 + 2 * ((unsigned int)random() % (SECTORS / 2 - 4)));
}

static void complete(struct drive *d, unsigned int number)
{
	d->cached[d->nr_cached++] = number;
}

static void answer(struct drive *d, unsigned int number)
{
	fprintf(d->history, "done %u\n", number);
}

static void answer_flush(struct drive *d, unsigned int flush)
{
	d->acked = flush;
	fprintf(d->history, "acked %u\n", flush);
}

static void mark(struct drive *d, unsigned int flush)
{
	char text[20];

	snprintf(text, sizeof(text), "ack-%u", flush);
	log_entry(d, 0, 0, LOG_MARK, text);
}

/* The writes in the cache when it begins, then itself. */
static void end_flush(struct drive *d, unsigned int cached)
{
	unsigned int i;

	for (i = 0; i < cached; i++)
		log_write(d, d->cached[i]);
	d->nr_cached -= cached;
	memmove(d->cached, d->cached + cached, d->nr_cached * sizeof(*d->cached));
	log_entry(d, 0, 0, LOG_FLUSH, "");
}

/* Some writes, issued, done and answered one after the other. */
static void play_writes(struct drive *d)
{
	unsigned int left;

	for (left = (unsigned int)random() % 6; left > 0; left--) {
		unsigned int number = issue(d);

		complete(d, number);
		answer(d, number);
	}
}

/* A flush and its answer; the first @cached writes were there when it came. */
static void play_flush(struct drive *d, unsigned int flush, unsigned int cached, enum fault fault)
{
	bool is_done = fault != FAULT_NO_FLUSH && fault != FAULT_LATE_MARK;

	if (is_done && fault != FAULT_ANSWERED_EARLY)
		end_flush(d, cached);
	answer_flush(d, flush);
	if (fault != FAULT_LATE_MARK)
		mark(d, flush);
	if (fault == FAULT_ANSWERED_EARLY)
		end_flush(d, cached);
}

/* Before the flush there is a write to sector 0, and while it is under way one to 4. */
static void play_round(struct drive *d, unsigned int round, enum fault fault)
{
	unsigned int cached, late;

	play_writes(d);
	d->first[round] = issue_at(d, 0);
	if (fault != FAULT_WRITE_IN_CACHE && fault != FAULT_WRITE_GONE)
		complete(d, d->first[round]);
	answer(d, d->first[round]);
	d->spoil = fault == FAULT_WRONG_DATA;
	fprintf(d->history, "flush %u\n", round);
	cached = d->nr_cached;
	late = issue_at(d, 4);
	complete(d, late);
	answer(d, late);
	if (fault == FAULT_WRITE_IN_CACHE)
		complete(d, d->first[round]);
	play_flush(d, round, cached, fault);
	if (fault == FAULT_WRITE_AGAIN)
		complete(d, d->first[round - 1]);
}

static void drive_init(struct drive *d, const char *folder, char path[3][100])
{
	static const char *const names[] = { "log", "history", "disk" };
	char super[SECTOR_BYTES] = "";
	int i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < 3; i++)
		snprintf(path[i], 100, "%s/%s", folder, names[i]);
	d->log = fopen(path[0], "w+");
	d->history = fopen(path[1], "w");
	assert_true(d->log && d->history);
	assert_int_equal(fwrite(super, sizeof(super), 1, d->log), 1);
}

static void drive_uninit(struct drive *d, const char *disk)
{
	struct log_super super = { LOG_MAGIC, LOG_VERSION, 0, SECTOR_BYTES };
	FILE *file = fopen(disk, "w");
	unsigned int i;

	/* What is in the cache is logged when the device goes. */
	for (i = 0; i < d->nr_cached; i++)
		log_write(d, d->cached[i]);
	super.nr_entries = d->entries;
	assert_non_null(file);
	assert_int_equal(fwrite(d->disk, sizeof(d->disk), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	rewind(d->log);
	assert_int_equal(fwrite(&super, sizeof(super), 1, d->log), 1);
	assert_int_equal(fclose(d->log), 0);
	assert_int_equal(fclose(d->history), 0);
}

/* The status of "blocks" for a guest's run with a fault in its middle. */
static int status_with(unsigned int seed, enum fault fault)
{
	char folder[] = "/tmp/power-cut.XXXXXX", path[3][100];
	char *argv[] = { "check", "blocks", path[0], path[1], path[2], NULL };
	static struct drive d;
	unsigned int round;
	int status;
	pid_t child;

	assert_non_null(mkdtemp(folder));
	drive_init(&d, folder, path);
	srandom(seed);
	for (round = 1; round <= ROUNDS; round++) {
		play_round(&d, round, round == FAULT_ROUND ? fault : FAULT_NONE);
		if (fault == FAULT_LATE_MARK && round == FAULT_ROUND + 1)
			mark(&d, FAULT_ROUND);
	}
	drive_uninit(&d, path[2]);
	child = fork();
	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout) || 0)
			_exit(99);
		exit(power_cut_main(5, argv));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	for (round = 0; round < 3; round++)
		unlink(path[round]);
	rmdir(folder);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void honest_disks_pass(void **state)
{
	unsigned int seed;

	(void)state;
	for (seed = 0; seed < 50; seed++)
		assert_int_equal(status_with(seed, FAULT_NONE), 0);
}

static void each_fault_is_found(void **state)
{
	unsigned int seed, fault;

	(void)state;
	for (fault = FAULT_NONE + 1; fault <= FAULT_WRONG_DATA; fault++)
		for (seed = 0; seed < 20; seed++)
			assert_int_equal(status_with(seed, fault), STATUS_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_disks_pass),
		cmocka_unit_test(each_fault_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
