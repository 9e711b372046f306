// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xen/gntalloc.h>

#include "harness.h"

#define CHECK_SECONDS	120
#define NOBODY		65534

const char *data_file;
uint8_t *granted;
uint32_t gref[GRANTS];
uint32_t owner;
bool auto_translated;

static const char *check_name = "start";
static unsigned int patience = 1;	/* factor for all time limits */

void fail(const char *format, ...)
{
	int err = errno;
	va_list args;

	fprintf(stderr, "FAIL: %s: ", check_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (errno %d: %s)\n", err, strerror(err));
	fflush(NULL);
	_exit(1);
}

static void on_alarm(int signo)
{
	fail("not done within %u seconds", CHECK_SECONDS * patience);
}

/* ---- the granting side */

struct grants *grants_make(uint32_t domid, unsigned int nr, bool writable)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + nr * sizeof(uint32_t);
	struct ioctl_gntalloc_alloc_gref *request = calloc(1, size);
	struct grants *grants = malloc(sizeof(*grants) + nr * sizeof(uint32_t));

	expect(request && grants);
	grants->nr = nr;
	grants->fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	expect(grants->fd >= 0);
	request->domid = (uint16_t)domid;
	request->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	request->count = (uint16_t)nr;
	expect_eq(ioctl(grants->fd, IOCTL_GNTALLOC_ALLOC_GREF, request), 0);
	grants->mem = mmap(NULL, (size_t)nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   grants->fd, (off_t)request->index);
	expect(grants->mem != MAP_FAILED);
	memcpy(grants->ref, request->gref_ids, nr * sizeof(uint32_t));
	free(request);
	return grants;
}

void grants_end(struct grants *grants)
{
	munmap(grants->mem, (size_t)grants->nr * PAGE);
	close(grants->fd);
	free(grants);
}

uint8_t painted(size_t i)
{
	return (uint8_t)(i * 31 + i / PAGE);
}

void paint(void)
{
	size_t i;

	for (i = 0; i < GRANTS * PAGE; i++)
		granted[i] = painted(i);
}

/* ---- the arena */

int tap_open(void)
{
	int fd = open("/dev/xen/tap", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	expect(fd >= 0);
	return fd;
}

struct arena arena_make(uint32_t slots, uint32_t flags)
{
	struct xentap_arena_create create = { .nr_slots = slots, .flags = flags };
	struct arena arena = { .fd = tap_open(), .slots = slots };
	int protection = flags & XENTAP_ARENA_F_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;

	expect_eq(ioctl(arena.fd, XENTAP_IOC_ARENA_CREATE, &create), 0);
	arena.base = mmap(NULL, (size_t)slots * PAGE, protection, MAP_SHARED, arena.fd, 0);
	expect(arena.base != MAP_FAILED);
	return arena;
}

size_t arena_bytes(const struct arena *arena)
{
	return (size_t)arena->slots * PAGE;
}

void arena_end(struct arena *arena)
{
	munmap(arena->base, arena_bytes(arena));
	close(arena->fd);
}

uint8_t *slot_page(const struct arena *arena, uint32_t slot)
{
	return arena->base + (size_t)slot * PAGE;
}

int batch(const struct arena *arena, struct xentap_unmap *unmaps, uint32_t nr_unmaps,
	  struct xentap_map *maps, uint32_t nr_maps)
{
	struct xentap_batch b = {
		.unmaps = (uintptr_t)unmaps, .nr_unmaps = nr_unmaps,
		.maps = (uintptr_t)maps, .nr_maps = nr_maps,
	};

	return ioctl(arena->fd, XENTAP_IOC_BATCH, &b) ? -errno : 0;
}

int map_of(const struct arena *arena, uint32_t slot, uint32_t domid, uint32_t ref)
{
	struct xentap_map map = { .slot = slot, .gref = ref, .domid = domid, .status = 99 };
	int err = batch(arena, NULL, 0, &map, 1);

	return err ? err : map.status;
}

int map_one(const struct arena *arena, uint32_t slot, uint32_t ref)
{
	return map_of(arena, slot, owner, ref);
}

int unmap_one(const struct arena *arena, uint32_t slot)
{
	struct xentap_unmap unmap = { .slot = slot, .status = 99 };
	int err = batch(arena, &unmap, 1, NULL, 0);

	return err ? err : unmap.status;
}

void map_all(const struct arena *arena, uint32_t first)
{
	struct xentap_map maps[GRANTS];
	unsigned int i;

	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){ .slot = first + i, .gref = gref[i], .domid = owner };
	expect_eq(batch(arena, NULL, 0, maps, GRANTS), 0);
	for (i = 0; i < GRANTS; i++)
		expect_eq(maps[i].status, 0);
}

unsigned int unmap_some(const struct arena *arena, uint32_t first, uint32_t nr)
{
	struct xentap_unmap unmaps[GRANTS];
	unsigned int held = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		unmaps[i] = (struct xentap_unmap){ .slot = first + i, .status = 99 };
	expect_eq(batch(arena, unmaps, nr, NULL, 0), 0);
	for (i = 0; i < nr; i++) {
		if (unmaps[i].status == -EINPROGRESS)
			held++;
		else
			expect_eq(unmaps[i].status, 0);
	}
	return held;
}

void unmap_all(const struct arena *arena, uint32_t first)
{
	expect_eq(unmap_some(arena, first, GRANTS), 0);
}

void wait_drained(const struct arena *arena, unsigned int nr)
{
	struct pollfd ready = { .fd = arena->fd, .events = POLLIN };
	struct xentap_drained record;

	while (nr--) {
		expect_eq(poll(&ready, 1, 20000 * (int)patience), 1);
		expect_eq(read(arena->fd, &record, sizeof(record)), sizeof(record));
		expect_eq(record.status, 0);
	}
}

/* ---- counters */

long counter(const char *name)
{
	FILE *file = fopen("/sys/kernel/debug/xentap/counters", "re");
	char word[32];
	long value;

	expect(file);
	while (fscanf(file, "%31s %ld", word, &value) == 2) {
		if (strcmp(word, name) == 0) {
			fclose(file);
			return value;
		}
	}
	fail("no counter %s", name);
}

void wait_counter(const char *name, long value)
{
	unsigned int tries = 1000 * patience;

	while (counter(name) != value && tries--)
		usleep(20000);
	if (counter(name) != value)
		fail("counter %s is %ld, not %ld", name, counter(name), value);
}

void wait_nothing_mapped(void)
{
	wait_counter("mapped", 0);
	wait_counter("draining", 0);
	wait_counter("user_ptes", 0);
}

void expect_user_ptes(long value)
{
	if (!auto_translated)
		expect_eq(counter("user_ptes"), value);
}

/* ---- memory that may not be there */

/* Of each thread: where its attempt goes on after a fault, while it makes one. */
static _Thread_local sigjmp_buf fault;
static _Thread_local volatile sig_atomic_t attempting;

static void on_fault(int signo)
{
	if (attempting)
		siglongjmp(fault, signo);
	/* Nobody's attempt: the signal kills, as soon as this returns. */
	signal(signo, SIG_DFL);
	raise(signo);
}

static int attempt(volatile uint8_t *p, const uint8_t *value)
{
	struct sigaction action = { .sa_handler = on_fault };
	int signo;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	signo = sigsetjmp(fault, 1);
	if (!signo) {
		attempting = 1;
		if (value)
			*p = *value;
		else
			(void)*p;
	}
	attempting = 0;
	return signo;
}

int touch(const volatile uint8_t *p)
{
	return attempt((volatile uint8_t *)p, NULL);
}

int scribble(volatile uint8_t *p, uint8_t value)
{
	return attempt(p, &value);
}

/* ---- processes */

pid_t child_start(void)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	expect(child >= 0);
	if (!child) {
		/* However the check ends, its children end with it. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(CHECK_SECONDS * patience);
	}
	return child;
}

void child_end(pid_t child)
{
	int status;

	expect_eq(waitpid(child, &status, 0), child);
	expect_eq(status, 0);
}

void child_wait_killed(pid_t child)
{
	int status;

	expect_eq(waitpid(child, &status, 0), child);
	expect(WIFSIGNALED(status));
	expect_eq(WTERMSIG(status), SIGKILL);
}

void child_kill(pid_t child)
{
	kill(child, SIGKILL);
	child_wait_killed(child);
}

void child_leaves_page(int ends[2])
{
	pid_t child;

	expect_eq(pipe(ends), 0);
	child = child_start();
	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);
		struct iovec page = { slot_page(&arena, 3), PAGE };

		map_all(&arena, 0);
		expect_eq(vmsplice(ends[1], &page, 1, 0), PAGE);
		kill(getpid(), SIGKILL);
	}
	child_wait_killed(child);
}

struct gate gate_make(void)
{
	struct gate gate;

	expect_eq(pipe2(gate.ends, O_CLOEXEC), 0);
	return gate;
}

void gate_open(const struct gate *gate)
{
	expect_eq(write(gate->ends[1], "", 1), 1);
}

void gate_wait(const struct gate *gate)
{
	struct pollfd ready = { .fd = gate->ends[0], .events = POLLIN };
	char byte;

	expect_eq(poll(&ready, 1, CHECK_SECONDS * 1000 * (int)patience), 1);
	expect_eq(read(gate->ends[0], &byte, 1), 1);
}

void drop_rights(void)
{
	expect_eq(setgroups(0, NULL), 0);
	expect_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
	expect_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
	/* That also took this away. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int open_direct(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	expect(fd >= 0);
	return fd;
}

int open_data(unsigned int pages)
{
	uint8_t *bytes = aligned_alloc(PAGE, (size_t)pages * PAGE);
	int fd = open_direct(data_file);

	expect(bytes);
	memset(bytes, 0x4d, (size_t)pages * PAGE);
	expect_eq(ftruncate(fd, 0), 0);
	expect_eq(pwrite(fd, bytes, (size_t)pages * PAGE, 0), (size_t)pages * PAGE);
	free(bytes);
	return fd;
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the runner */

static void run(const struct check *check)
{
	double begin = now();
	long lost;

	check_name = check->name;
	alarm(CHECK_SECONDS * patience);
	lost = counter("quarantined");
	check->run();
	wait_nothing_mapped();
	wait_counter("arenas", 0);
	if (!check->loses)
		expect_eq(counter("quarantined"), lost);
	alarm(0);
	printf("ok: %s (%.1f s)\n", check->name, now() - begin);
	fflush(stdout);
}

static void find_mode(void)
{
	FILE *file = fopen("/sys/hypervisor/guest_type", "re");
	char type[16] = "PV";

	if (file) {
		expect(fscanf(file, "%15s", type) == 1);
		fclose(file);
	}
	auto_translated = strcmp(type, "PV") != 0;
}

static void own_grants(void)
{
	struct grants *grants = grants_make(0, GRANTS, true);

	granted = grants->mem;
	memcpy(gref, grants->ref, sizeof(gref));
}

static void guest_grants(char **arguments)
{
	unsigned int i;

	owner = (uint32_t)strtoul(arguments[0], NULL, 0);
	for (i = 0; i < GRANTS; i++)
		gref[i] = (uint32_t)strtoul(arguments[1 + i], NULL, 0);
}

static bool is_wanted(const struct check *check)
{
	const char *list = getenv("CHECKS");
	size_t size = strlen(check->name);
	const char *found;

	if (check->of && (check->of == OF_OWN) != !!granted)
		return false;
	if (!list)
		return true;
	for (found = list; (found = strstr(found, check->name)); found += size)
		if ((found == list || found[-1] == ' ') && strchr(" ", found[size]))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const struct check *check;
	unsigned int done = 0;

	if (argc != 2 && argc != 3 + (int)GRANTS) {
		fprintf(stderr, "usage: %s FILE [DOMID GREF (%u of them)]\n", argv[0], GRANTS);
		return 2;
	}
	data_file = argv[1];
	if (getenv("XENTAP_PATIENCE"))
		patience = (unsigned int)atoi(getenv("XENTAP_PATIENCE"));
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	find_mode();
	if (argc == 2)
		own_grants();
	else
		guest_grants(argv + 2);
	for (check = checks; check->name; check++) {
		if (!is_wanted(check))
			continue;
		run(check);
		done++;
	}
	if (!done)
		fail("there is no check to run");
	return 0;
}
