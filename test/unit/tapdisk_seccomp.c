// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The filter of system calls: what serving a disk takes is let through, what a
 * taken-over tapdisk would want kills it. Each case is a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libaio.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenevtchn.h>
#include <xen/xen.h>
#include <xen/sys/evtchn.h>

#include "tapdisk/keep.h"
#include "tapdisk/seccomp.h"
#include "uapi/xentap.h"

#define SURVIVED	77	/* the exit status of a process that was not killed */

/* Run @action under the filter: its wait status. */
static int run_confined(int (*action)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		const struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (seccomp_confine())
			_exit(1);
		_exit(action());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_survives(int (*action)(void))
{
	int status = run_confined(action);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SURVIVED);
}

static void assert_killed(int (*action)(void))
{
	int status = run_confined(action);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int survived_if(int condition)
{
	return condition ? SURVIVED : 2;
}

/* ---- let through ---- */

static void *add_one(void *arg)
{
	++*(int *)arg;
	return NULL;
}

static int start_thread(void)
{
	pthread_t thread;
	int number = 0;

	if (pthread_create(&thread, NULL, add_one, &number) || pthread_join(thread, NULL))
		return 2;
	return survived_if(number == 1);
}

static int aio_and_wait(void)
{
	char buffer[512] = "";
	struct iocb iocb, *list = &iocb;
	struct io_event event;
	io_context_t context = 0;
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) || io_setup(4, &context))
		return 2;
	io_prep_pwrite(&iocb, fd, buffer, sizeof(buffer), 0);
	if (io_submit(context, 1, &list) != 1 ||
	    io_getevents(context, 1, 1, &event, NULL) != 1)
		return 3;
	io_destroy(context);
	return survived_if(event.res == sizeof(buffer) && epoll_create1(EPOLL_CLOEXEC) >= 0);
}

static int read_world_readable(void)
{
	return survived_if(open("/proc/self/status", O_RDONLY | O_CLOEXEC) >= 0);
}

/* Of a descriptor that is none: past the filter, an error of the kernel. */
static int own_ioctls(void)
{
	static const unsigned long requests[] = {
		XENTAP_IOC_GET_INFO, XENTAP_IOC_ARENA_CREATE, XENTAP_IOC_BATCH,
		XENTAP_IOC_POOL_CREATE, XENTAP_IOC_COPY, IOCTL_EVTCHN_BIND_INTERDOMAIN,
		IOCTL_EVTCHN_NOTIFY, IOCTL_EVTCHN_UNBIND, BLKGETSIZE64, BLKSSZGET, BLKPBSZGET,
		BLKDISCARD, BLKSECDISCARD, BLKZEROOUT,
	};
	size_t i;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (ioctl(-1, requests[i], NULL) != -1 || errno != EBADF)
			return 2;
	return SURVIVED;
}

static int notify_socket(void)
{
	return survived_if(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}

/* Beside its own calls, it makes itself a logger, which looks at stderr. */
static int event_channel_library(void)
{
	int fds[2];

	return survived_if(!pipe(fds) && xenevtchn_fdopen(NULL, fds[0], 0));
}

/* What it leaves to a successor. */
static int keep_journal(void)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);
	void *memory;

	if (fd < 0 || ftruncate(fd, 65536) || !keep_lock(fd) || keep_is_locked(fd, 1ull << 62))
		return 2;
	if (keep_map(fd, 65536, &memory))
		return 3;
	memset(memory, 1, 65536);
	keep_unmap(memory, 65536);
	return SURVIVED;
}

static void test_work_goes_on(void **state)
{
	(void)state;
	assert_survives(start_thread);
	assert_survives(aio_and_wait);
	assert_survives(read_world_readable);
	assert_survives(own_ioctls);
	assert_survives(notify_socket);
	assert_survives(event_channel_library);
	assert_survives(keep_journal);
}

/* ---- refused, but no reason to die ---- */

static int unlink_refused(void)
{
	return survived_if(unlink("/nonexistent") == -1 && errno == EACCES);
}

static int mkdir_refused(void)
{
	return survived_if(mkdir("/nonexistent", 0700) == -1 && errno == EACCES);
}

static int no_terminal(void)
{
	return survived_if(!isatty(STDERR_FILENO) && errno == ENOTTY);
}

static void test_habits_are_refused(void **state)
{
	(void)state;
	assert_survives(unlink_refused);
	assert_survives(mkdir_refused);
	assert_survives(no_terminal);
}

/* ---- killed ---- */

static int open_for_writing(void)
{
	open("/dev/null", O_RDWR | O_CLOEXEC);
	return SURVIVED;
}

static int create_file(void)
{
	open("/nonexistent/file", O_RDONLY | O_CREAT, 0600);
	return SURVIVED;
}

static int run_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return SURVIVED;
}

static int fork_child(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	return SURVIVED;
}

static int executable_memory(void)
{
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return SURVIVED;
}

static int make_memory_executable(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	return SURVIVED;
}

static int internet_socket(void)
{
	socket(AF_INET, SOCK_STREAM, 0);
	return SURVIVED;
}

static int stream_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
	return SURVIVED;
}

static int trace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	return SURVIVED;
}

static int kill_others(void)
{
	kill(1, 0);
	return SURVIVED;
}

static int lift_restriction(void)
{
	ioctl(-1, XENTAP_IOC_RESTRICT, NULL);
	return SURVIVED;
}

static int query_frames(void)
{
	ioctl(-1, XENTAP_IOC_QUERY_MFN, NULL);
	return SURVIVED;
}

/* TIOCSTI types into a terminal. */
static int type_into_terminal(void)
{
	ioctl(0, TIOCSTI, "x");
	return SURVIVED;
}

static int uring(void)
{
	syscall(SYS_io_uring_setup, 1, NULL);
	return SURVIVED;
}

static int become_root(void)
{
	syscall(SYS_setuid, 0);
	return SURVIVED;
}

static void test_violations_kill(void **state)
{
	(void)state;
	assert_killed(open_for_writing);
	assert_killed(create_file);
	assert_killed(run_program);
	assert_killed(fork_child);
	assert_killed(executable_memory);
	assert_killed(make_memory_executable);
	assert_killed(internet_socket);
	assert_killed(stream_socket);
	assert_killed(trace);
	assert_killed(kill_others);
	assert_killed(lift_restriction);
	assert_killed(query_frames);
	assert_killed(type_into_terminal);
	assert_killed(uring);
	assert_killed(become_root);
}

/* ---- a thread that was there before the filter ---- */

static int go[2];

static void *violate_when_told(void *arg)
{
	char byte;

	if (read(go[0], &byte, 1) == 1)
		syscall(SYS_setuid, 0);
	return arg;
}

static void test_earlier_threads_too(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		pthread_t thread;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (pipe(go) || pthread_create(&thread, NULL, violate_when_told, NULL) ||
		    seccomp_confine() || write(go[1], "", 1) != 1)
			_exit(1);
		pthread_join(thread, NULL);
		_exit(SURVIVED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work_goes_on),
		cmocka_unit_test(test_habits_are_refused),
		cmocka_unit_test(test_violations_kill),
		cmocka_unit_test(test_earlier_threads_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
