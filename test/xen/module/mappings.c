// SPDX-License-Identifier: GPL-2.0-or-later
/* Everything a process can do to its address space, and others to it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define ADVICES	26		/* the generic ones are 0 to 25 */

/* After the abuse the arena must do its work: unmap, map, touch, end. */
static void expect_it_works(struct arena *arena)
{
	unmap_all(arena, 0);
	map_all(arena, 0);
	expect_eq(touch(slot_page(arena, 1)), 0);
	unmap_all(arena, 0);
	arena_end(arena);
}

static void parts_cannot_be_changed(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	const int both = PROT_READ | PROT_WRITE;

	map_all(&arena, 0);
	expect(munmap(slot_page(&arena, 4), PAGE) == -1);
	expect(munmap(arena.base, PAGE) == -1);
	expect(munmap(slot_page(&arena, SLOTS - 1), PAGE) == -1);
	expect(mmap(slot_page(&arena, 7), PAGE, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0) == MAP_FAILED);
	expect(mprotect(arena.base, arena_bytes(&arena), PROT_READ) == -1);
	expect(mprotect(slot_page(&arena, 3), PAGE, PROT_NONE) == -1);
	expect(pkey_mprotect(slot_page(&arena, 3), PAGE, PROT_READ, -1) == -1);
	expect(mremap(arena.base, arena_bytes(&arena), arena_bytes(&arena) + PAGE,
		      MREMAP_MAYMOVE) == MAP_FAILED);
	expect(mremap(arena.base, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      (char *)arena.base + (1l << 32)) == MAP_FAILED);
	expect_eq(touch(slot_page(&arena, 5)), 0);
	expect_it_works(&arena);
}

/* Moving is refused, too, but perhaps after mm/ took the entries away. */
static void moving_loses_the_view_only(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	void *elsewhere = mmap(NULL, arena_bytes(&arena), PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	map_all(&arena, 0);
	expect(mremap(arena.base, arena_bytes(&arena), arena_bytes(&arena),
		      MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == MAP_FAILED);
	expect(mremap(arena.base, 0, arena_bytes(&arena), MREMAP_MAYMOVE) == MAP_FAILED);
	expect(mremap(arena.base, arena_bytes(&arena), arena_bytes(&arena),
		      MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED);
	expect_it_works(&arena);
	munmap(elsewhere, arena_bytes(&arena));
}

/* mmap() over the whole arena is its munmap(). */
static void covered_by_another_mapping(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	uint8_t *cover;

	map_all(&arena, 0);
	cover = mmap(arena.base, arena_bytes(&arena), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	expect(cover == arena.base);
	cover[0] = 1;
	wait_nothing_mapped();
	expect_eq(map_one(&arena, 0, gref[0]), -ESHUTDOWN);
	expect_eq(cover[0], 1);
	arena_end(&arena);
}

/*
 * Some advice is refused, none may do harm. Without 100 and 101, which poison
 * the memory for the whole host, and do so as asked.
 */
static void advise(int advice)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	madvise(arena.base, arena_bytes(&arena), advice);
	touch(slot_page(&arena, 1));
	unmap_all(&arena, 0);
	map_all(&arena, 0);
	madvise(slot_page(&arena, 1), PAGE, advice);
	touch(slot_page(&arena, 1));
	touch(slot_page(&arena, 2));
	expect_it_works(&arena);
}

static void madvise_is_survived(void)
{
	int advice;

	for (advice = 0; advice < ADVICES; advice++)
		advise(advice);
	advise(102);	/* MADV_GUARD_INSTALL */
	advise(103);	/* MADV_GUARD_REMOVE */
}

/* An address that lost its page gives the error, not another page. */
static void dontneed_loses_the_view_only(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = open_direct(data_file);

	map_all(&arena, 0);
	expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_DONTNEED), 0);
	expect_user_ptes(0);
	expect_eq(touch(slot_page(&arena, 0)), SIGBUS);
	expect_error(pwrite(fd, slot_page(&arena, 0), PAGE, 0), EFAULT);
	expect_eq(counter("mapped"), GRANTS);
	expect_it_works(&arena);
	close(fd);
}

static void advice_from_another_process(void)
{
	static const int advices[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
				       25 /* collapse */ };
	struct arena arena = arena_make(SLOTS, 0);
	struct iovec whole = { arena.base, arena_bytes(&arena) };
	pid_t child;

	map_all(&arena, 0);
	child = child_start();
	if (!child) {
		int pidfd = (int)syscall(SYS_pidfd_open, getppid(), 0);
		unsigned int i;

		expect(pidfd >= 0);
		for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
			syscall(SYS_process_madvise, pidfd, &whole, 1, advices[i], 0);
		_exit(0);
	}
	child_end(child);
	touch(slot_page(&arena, 1));
	expect_it_works(&arena);
}

static void clear_refs_is_survived(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	map_all(&arena, 0);
	expect_eq(write(fd, "1", 1), 1);
	expect_eq(write(fd, "3", 1), 1);
	expect_eq(touch(slot_page(&arena, 1)), 0);
	/* This one announces itself; it may take the view away. */
	expect_eq(write(fd, "4", 1), 1);
	touch(slot_page(&arena, 1));
	expect_it_works(&arena);
	close(fd);
}

static void read_whole(const char *path)
{
	char buffer[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* A kernel without NUMA has no numa_maps. */
	if (fd < 0 && errno == ENOENT)
		return;
	expect(fd >= 0);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	close(fd);
}

static void looked_at_through_proc(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	uint64_t entry;
	int fd;

	map_all(&arena, 0);
	read_whole("/proc/self/maps");
	read_whole("/proc/self/smaps");
	read_whole("/proc/self/smaps_rollup");
	read_whole("/proc/self/numa_maps");
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	expect_eq(pread(fd, &entry, 8, (off_t)((uintptr_t)slot_page(&arena, 1) / PAGE * 8)), 8);
	close(fd);
	expect_eq(touch(slot_page(&arena, 1)), 0);
	expect_it_works(&arena);
}

/* Locking, binding and moving memory: for pages of the kernel's own. */
static void memory_policy_calls(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	unsigned long nodes = 1;
	unsigned char resident[SLOTS];
	void *page;
	int status = 1;
	int node = 0;

	map_all(&arena, 0);
	page = slot_page(&arena, 2);
	mlock(arena.base, arena_bytes(&arena));
	mlock2(arena.base, arena_bytes(&arena), MLOCK_ONFAULT);
	munlock(arena.base, arena_bytes(&arena));
	mlock(page, PAGE);
	munlock(page, PAGE);
	expect_eq(mlockall(MCL_CURRENT), 0);
	expect_eq(munlockall(), 0);
	mincore(arena.base, arena_bytes(&arena), resident);
	msync(arena.base, arena_bytes(&arena), MS_SYNC);
	syscall(SYS_mbind, arena.base, arena_bytes(&arena), 2 /* bind */, &nodes, 8, 3 /* move */);
	syscall(SYS_mbind, page, PAGE, 2, &nodes, 8, 3);
	syscall(SYS_move_pages, 0, 1, &page, &node, &status, 4 /* all */);
	syscall(SYS_migrate_pages, 0, 8, &nodes, &nodes);
	syscall(SYS_set_mempolicy_home_node, arena.base, arena_bytes(&arena), 0, 0);
	syscall(SYS_remap_file_pages, page, PAGE, 0, 3, 0);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, arena.base, PAGE, "name");
	touch(slot_page(&arena, 2));
	expect_it_works(&arena);
}

/* A futex is keyed by its page; one that is no file's cannot be a key. */
static void futexes_and_faults_by_the_kernel(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	expect_error(syscall(SYS_futex, slot_page(&arena, 0), FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	expect_eq(syscall(SYS_futex, slot_page(&arena, 0), FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	/* The kernel's own accesses: a call that writes into a slot, live and free. */
	expect_eq(pipe((int *)(void *)slot_page(&arena, 0)), 0);
	close(((int *)(void *)slot_page(&arena, 0))[0]);
	close(((int *)(void *)slot_page(&arena, 0))[1]);
	expect_error(pipe((int *)(void *)slot_page(&arena, GRANTS)), EFAULT);
	expect_it_works(&arena);
}

/* ---- children */

static void child_of(const struct arena *arena, int signo)
{
	pid_t child = child_start();

	if (!child) {
		/* No page, and no say over the parent's. */
		expect_eq(touch(slot_page(arena, 0)), signo);
		expect_eq(unmap_one(arena, 0), -EPERM);
		_exit(0);
	}
	child_end(child);
}

static void child_inherits_nothing(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	child_of(&arena, SIGSEGV);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	expect_it_works(&arena);
}

/* The address range can be inherited, if the owner insists; pages cannot. */
static void child_by_dofork_inherits_no_page(void)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_DOFORK), 0);
	child_of(&arena, SIGBUS);
	expect_user_ptes(0);
	expect_it_works(&arena);
}

/*
 * Before Linux 6.9, fork() copies entries before it asks the module, which then is too
 * late: Xen refuses the child's page tables.
 */
static bool fork_copies_first(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	expect_eq(uname(&name), 0);
	expect_eq(sscanf(name.release, "%u.%u", &major, &minor), 2);
	if (auto_translated || major > 6 || (major == 6 && minor >= 9))
		return false;
	printf("   not with Linux %u.%u, which copies entries first\n", major, minor);
	return true;
}

/* If it insists twice. */
static void child_by_keeponfork_inherits_no_page(void)
{
	struct arena arena;

	if (fork_copies_first())
		return;
	arena = arena_make(SLOTS, 0);
	map_all(&arena, 0);
	expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_DOFORK), 0);
	expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_KEEPONFORK), 0);
	if (auto_translated) {
		/* It may see what is mapped, as long as it is; no more. */
		pid_t child = child_start();

		if (!child) {
			touch(slot_page(&arena, 0));
			expect_eq(unmap_one(&arena, 0), -EPERM);
			_exit(0);
		}
		child_end(child);
	} else {
		child_of(&arena, SIGBUS);
		expect_user_ptes(0);
	}
	expect_it_works(&arena);
}

/* A child that has the range by MADV_DOFORK does not keep the grants. */
static void child_by_dofork_loses_what_is_unmapped(void)
{
	struct gate ready = gate_make();
	struct gate go = gate_make();
	struct arena arena = arena_make(SLOTS, 0);
	pid_t child;

	map_all(&arena, 0);
	expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_DOFORK), 0);
	child = child_start();
	if (!child) {
		gate_open(&ready);
		gate_wait(&go);
		expect_eq(touch(slot_page(&arena, 0)), SIGBUS);
		munmap(slot_page(&arena, 0), PAGE);
		munmap(arena.base, arena_bytes(&arena));
		_exit(0);
	}
	gate_wait(&ready);
	unmap_all(&arena, 0);
	wait_nothing_mapped();
	gate_open(&go);
	child_end(child);
	map_all(&arena, 0);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	arena_end(&arena);
}

/* The arena outlives the process that made it in a child that has the range. */
static void owner_dies_before_its_child(void)
{
	struct gate ready = gate_make();
	struct gate go = gate_make();
	struct gate done = gate_make();
	pid_t child;

	child = child_start();
	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);
		pid_t grandchild;

		map_all(&arena, 0);
		expect_eq(madvise(arena.base, arena_bytes(&arena), MADV_DOFORK), 0);
		grandchild = fork();
		if (!grandchild) {
			alarm(60);
			gate_wait(&go);
			expect_eq(touch(slot_page(&arena, 0)), SIGBUS);
			expect(map_one(&arena, 0, gref[0]) < 0);
			gate_open(&done);
			_exit(0);
		}
		gate_open(&ready);
		pause();
	}
	gate_wait(&ready);
	child_kill(child);
	wait_nothing_mapped();
	gate_open(&go);
	gate_wait(&done);
}

/* vfork(), posix_spawn() and threads share the address space: no copy at all. */
static void programs_are_started_meanwhile(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	int i;

	map_all(&arena, 0);
	for (i = 0; i < 3; i++)
		expect_eq(system("/bin/true"), 0);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	expect_user_ptes(GRANTS);
	expect_it_works(&arena);
}

/* ---- ends */

static void closing_in_any_order(void)
{
	struct arena arena;

	arena = arena_make(SLOTS, 0);
	map_all(&arena, 0);
	close(arena.fd);
	expect_eq(touch(slot_page(&arena, 0)), 0);
	munmap(arena.base, arena_bytes(&arena));
	wait_nothing_mapped();

	arena = arena_make(SLOTS, 0);
	map_all(&arena, 0);
	munmap(arena.base, arena_bytes(&arena));
	wait_nothing_mapped();
	expect_eq(map_one(&arena, 0, gref[0]), -ESHUTDOWN);
	close(arena.fd);
	wait_counter("arenas", 0);
}

enum way { BY_EXEC, BY_EXIT, BY_KILL, BY_FAULT, WAYS };

/* Run by exec(): the file has stayed open, its mapping has not. */
#define NOTHING_MAPPED \
	"i=0; until grep -q '^mapped 0$' /sys/kernel/debug/xentap/counters; do " \
	"i=$((i + 1)); [ $i -lt 20 ] || exit 1; sleep 0.2; done; " \
	"grep -q '^arenas 1$' /sys/kernel/debug/xentap/counters"

static void end_by(enum way way)
{
	struct arena arena = arena_make(SLOTS, 0);

	map_all(&arena, 0);
	expect_eq(fcntl(arena.fd, F_SETFD, 0), 0);
	switch (way) {
	case BY_EXEC:
		execl("/bin/sh", "sh", "-c", NOTHING_MAPPED, NULL);
		fail("there is no shell");
	case BY_KILL:
		kill(getpid(), SIGKILL);
		break;
	case BY_FAULT:
		kill(getpid(), SIGSEGV);
		break;
	default:
		_exit(0);
	}
	fail("it lives on");
}

static void ends_by_exec_exit_and_signals(void)
{
	static const int signals[WAYS] = { [BY_KILL] = SIGKILL, [BY_FAULT] = SIGSEGV };
	enum way way;

	for (way = 0; way < WAYS; way++) {
		pid_t child = child_start();
		int status;

		if (!child)
			end_by(way);
		expect_eq(waitpid(child, &status, 0), child);
		expect_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, signals[way]);
		expect(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
		wait_nothing_mapped();
		wait_counter("arenas", 0);
	}
}

/* Text that stands in no program, since it is made when it is wanted. */
static void write_marker(uint8_t *place, const char *word)
{
	size_t i;

	for (i = 0; i <= strlen(word); i++)
		place[i] = (uint8_t)(word[i] ? word[i] ^ 0x20 : 0);
}

/* A core has the process's memory in it, and nothing of a guest's. */
static void core_dump_leaves_guests_out(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char folder[] = "/var/tmp/xentap-core.XXXXXX";
	char command[300];
	pid_t child;
	int status;

	expect(mkdtemp(folder));
	child = child_start();
	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);

		expect_eq(chdir(folder), 0);
		expect_eq(setrlimit(RLIMIT_CORE, &unlimited), 0);
		map_all(&arena, 0);
		write_marker(slot_page(&arena, 3), "this.is.the.guests.own");
		write_marker(malloc(100), "this.is.the.process.own");
		abort();
	}
	expect_eq(waitpid(child, &status, 0), child);
	expect_eq(WTERMSIG(status), SIGABRT);
	expect(WCOREDUMP(status));
	wait_nothing_mapped();
	snprintf(command, sizeof(command),
		 "cd %s; grep -qaE 'THIS.IS.THE.PROCESS.OWN' core* &&"
		 "! grep -qaE 'THIS.IS.THE.GUESTS.OWN' core*; s=$?; rm -r %s; exit $s",
		 folder, folder);
	expect_eq(system(command), 0);
}

/* ---- other processes look in */

static void other_processes_read_and_write(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	pid_t parent = getpid();
	pid_t child;

	map_all(&arena, 0);
	memset(slot_page(&arena, 2), 0x42, PAGE);
	child = child_start();
	if (!child) {
		uint8_t buffer[PAGE];
		struct iovec here = { buffer, PAGE };
		struct iovec there = { slot_page(&arena, 2), PAGE };

		expect_eq(process_vm_readv(parent, &here, 1, &there, 1, 0), PAGE);
		expect_eq(buffer[PAGE - 1], 0x42);
		memset(buffer, 0x43, PAGE);
		expect_eq(process_vm_writev(parent, &here, 1, &there, 1, 0), PAGE);
		there.iov_base = slot_page(&arena, GRANTS);
		expect_error(process_vm_readv(parent, &here, 1, &there, 1, 0), EFAULT);
		_exit(0);
	}
	child_end(child);
	expect_eq(slot_page(&arena, 2)[PAGE - 1], 0x43);
	expect_it_works(&arena);
}

static void read_and_write_by_proc_mem(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct arena rdonly = arena_make(SLOTS, XENTAP_ARENA_F_RDONLY);
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint8_t buffer[PAGE];

	map_all(&arena, 0);
	map_all(&rdonly, 0);
	memset(buffer, 0x61, PAGE);
	expect_eq(pwrite(fd, buffer, PAGE, (off_t)(uintptr_t)slot_page(&arena, 4)), PAGE);
	expect_eq(slot_page(&arena, 4)[9], 0x61);
	expect_eq(pread(fd, buffer, PAGE, (off_t)(uintptr_t)slot_page(&rdonly, 4)), PAGE);
	expect_eq(buffer[9], 0x61);
	/* A debugger's write, which overrides protections, does not override this one. */
	expect_error(pwrite(fd, buffer, PAGE, (off_t)(uintptr_t)slot_page(&rdonly, 4)), EIO);
	expect_error(pread(fd, buffer, PAGE, (off_t)(uintptr_t)slot_page(&rdonly, GRANTS)), EIO);
	unmap_all(&rdonly, 0);
	arena_end(&rdonly);
	expect_it_works(&arena);
	close(fd);
}

static void traced(void)
{
	struct gate ready = gate_make();
	struct arena arena;
	pid_t child;
	int status;

	child = child_start();
	if (!child) {
		arena = arena_make(SLOTS, 0);
		map_all(&arena, 0);
		*(long *)(void *)slot_page(&arena, 6) = 0x1234567;
		expect_eq(write(ready.ends[1], &arena, sizeof(arena)), sizeof(arena));
		pause();
	}
	expect_eq(read(ready.ends[0], &arena, sizeof(arena)), sizeof(arena));
	expect_eq(ptrace(PTRACE_ATTACH, child, NULL, NULL), 0);
	expect_eq(waitpid(child, &status, 0), child);
	expect_eq(ptrace(PTRACE_PEEKDATA, child, slot_page(&arena, 6), NULL), 0x1234567);
	expect_eq(ptrace(PTRACE_POKEDATA, child, slot_page(&arena, 6), 0x7654321l), 0);
	expect_eq(ptrace(PTRACE_PEEKDATA, child, slot_page(&arena, 6), NULL), 0x7654321);
	expect_eq(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	child_kill(child);
}

/* ---- all at once */

static volatile bool racing;

static void *advise_at_random(void *context)
{
	static const int advices[] = { MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
				       MADV_POPULATE_READ, MADV_POPULATE_WRITE };
	const struct arena *arena = context;
	unsigned int i = 0;

	while (racing) {
		madvise(slot_page(arena, i % GRANTS), PAGE * (1 + i % 3), advices[i % 6]);
		i++;
	}
	return NULL;
}

static void *fork_repeatedly(void *context)
{
	while (racing) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	return NULL;
}

static void *clear_refs_repeatedly(void *context)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	unsigned int i = 0;

	while (racing)
		expect_eq(write(fd, i++ % 2 ? "1" : "4", 1), 1);
	close(fd);
	return NULL;
}

/* The kernel takes pages for writing, and drops entries, where slots come and go. */
static void *populate_and_drop(void *context)
{
	const struct arena *arena = context;

	while (racing) {
		madvise(arena->base, GRANTS * PAGE, MADV_POPULATE_WRITE);
		madvise(arena->base, GRANTS * PAGE, MADV_DONTNEED);
	}
	return NULL;
}

static void unmaps_race_with_populating(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	double end = now() + 5;
	unsigned int rounds = 0;
	pthread_t threads[2];

	racing = true;
	expect_eq(pthread_create(&threads[0], NULL, populate_and_drop, &arena), 0);
	expect_eq(pthread_create(&threads[1], NULL, populate_and_drop, &arena), 0);
	while (now() < end) {
		map_all(&arena, 0);
		wait_drained(&arena, unmap_some(&arena, 0, GRANTS));
		rounds++;
	}
	racing = false;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	expect(rounds > 5);
	map_all(&arena, 0);
	expect_it_works(&arena);
}

static void maps_race_with_everything(void)
{
	static void *(*const others[])(void *) = {
		advise_at_random, fork_repeatedly, clear_refs_repeatedly,
	};
	struct arena arena = arena_make(SLOTS, 0);
	pthread_t threads[3];
	double end = now() + 8;
	unsigned int rounds = 0;
	unsigned int i;

	racing = true;
	for (i = 0; i < 3; i++)
		expect_eq(pthread_create(&threads[i], NULL, others[i], &arena), 0);
	while (now() < end) {
		map_all(&arena, 0);
		touch(slot_page(&arena, rounds % GRANTS));
		wait_drained(&arena, unmap_some(&arena, 0, GRANTS));
		rounds++;
	}
	racing = false;
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	expect(rounds > 5);
	map_all(&arena, 0);
	expect_it_works(&arena);
}

const struct check checks[] = {
	CHECK(parts_cannot_be_changed),
	CHECK(moving_loses_the_view_only),
	CHECK(covered_by_another_mapping),
	CHECK(madvise_is_survived),
	CHECK(dontneed_loses_the_view_only),
	CHECK(advice_from_another_process),
	CHECK(clear_refs_is_survived),
	CHECK(looked_at_through_proc),
	CHECK(memory_policy_calls),
	CHECK(futexes_and_faults_by_the_kernel),
	CHECK(child_inherits_nothing),
	CHECK(child_by_dofork_inherits_no_page),
	CHECK(child_by_keeponfork_inherits_no_page),
	CHECK(child_by_dofork_loses_what_is_unmapped),
	CHECK(owner_dies_before_its_child),
	CHECK(programs_are_started_meanwhile),
	CHECK(closing_in_any_order),
	CHECK(ends_by_exec_exit_and_signals),
	CHECK(core_dump_leaves_guests_out),
	CHECK(other_processes_read_and_write),
	CHECK(read_and_write_by_proc_mem),
	CHECK(traced),
	CHECK(unmaps_race_with_populating),
	CHECK(maps_race_with_everything),
	{ 0 }
};
