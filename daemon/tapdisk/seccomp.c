// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of system calls. What a thread of tapdisk starts to use is added here, with
 * the narrowest arguments that do.
 */
#include "tapdisk/seccomp.h"

#include <errno.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "xen/xenio_ioctls.h"

/* Allowed with any arguments. */
static const int allowed[] = {
	/* I/O on descriptors we were given */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2),
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range),
	SCMP_SYS(fallocate), SCMP_SYS(ftruncate), SCMP_SYS(fadvise64), SCMP_SYS(lseek),
	SCMP_SYS(copy_file_range), SCMP_SYS(flock), SCMP_SYS(fcntl), SCMP_SYS(dup),
	SCMP_SYS(dup3), SCMP_SYS(close), SCMP_SYS(close_range),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
	SCMP_SYS(io_setup), SCMP_SYS(io_submit), SCMP_SYS(io_getevents),
	SCMP_SYS(io_pgetevents), SCMP_SYS(io_cancel), SCMP_SYS(io_destroy),
	/* waiting */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2), SCMP_SYS(signalfd4), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(pipe2),
	/* sockets that others connect to; how one is made is below */
	SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	/* memory; not executable, see below */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(memfd_create), SCMP_SYS(membarrier),
	/* threads and signals */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(gettid),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* harmless questions */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
	SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage), SCMP_SYS(getcpu),
};

/*
 * What libraries try and can do without, and what fails anyhow for a user without
 * rights: refused, so that nobody dies of a habit of the C library.
 */
static const struct {
	int call;
	int error;
} refused[] = {
	{ SCMP_SYS(open), EACCES }, { SCMP_SYS(access), EACCES },
	{ SCMP_SYS(faccessat), EACCES }, { SCMP_SYS(faccessat2), EACCES },
	{ SCMP_SYS(stat), EACCES }, { SCMP_SYS(readlink), EACCES },
	{ SCMP_SYS(readlinkat), EACCES }, { SCMP_SYS(mkdir), EACCES },
	{ SCMP_SYS(mkdirat), EACCES }, { SCMP_SYS(unlink), EACCES },
	{ SCMP_SYS(unlinkat), EACCES }, { SCMP_SYS(prlimit64), EPERM },
	{ SCMP_SYS(getrlimit), EPERM }, { SCMP_SYS(sched_setaffinity), EPERM },
	/* Its flags cannot be looked at; the C library takes clone() instead. */
	{ SCMP_SYS(clone3), ENOSYS },
};

/* Of image/ and store/, on a block device. */
static const uint32_t device_ioctls[] = {
	BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKIOMIN, BLKIOOPT, BLKROGET,
	BLKDISCARD, BLKSECDISCARD, BLKZEROOUT,
};

static const uint32_t terminal_ioctls[] = { TCGETS, TCGETS2, TIOCGWINSZ };

static int allow_ioctls(scmp_filter_ctx filter, const uint32_t *requests, size_t nr)
{
	size_t i;
	int err = 0;

	/* The kernel looks at 32 bits of it. */
	for (i = 0; !err && i < nr; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
	return err;
}

/* @call, when none of @bits is set in argument @arg; else the process is killed. */
static int allow_without(scmp_filter_ctx filter, int call, unsigned int arg, uint64_t bits)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, bits, 0));
}

/* Those whose arguments matter. */
static int add_narrow_rules(scmp_filter_ctx filter)
{
	const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
	size_t nr;
	int err;

	/* Reading what everybody may read, as sysfs. The image is opened for us. */
	err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
	if (!err)
		err = allow_without(filter, SCMP_SYS(mmap), 2, PROT_EXEC);
	if (!err)
		err = allow_without(filter, SCMP_SYS(mprotect), 2, PROT_EXEC);
	/* A thread, not a process. */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
					       CLONE_THREAD | CLONE_VM));
	/* To systemd and syslog; nothing else is spoken to by its address. */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				       SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* abort() and raise() */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (!err)
		err = allow_ioctls(filter, device_ioctls,
				   sizeof(device_ioctls) / sizeof(device_ioctls[0]));
	if (!err) {
		const uint32_t *requests = xenio_ioctls(&nr);

		err = allow_ioctls(filter, requests, nr);
	}
	return err;
}

static int add_rules(scmp_filter_ctx filter)
{
	size_t i;
	int err = add_narrow_rules(filter);

	/* Libraries ask whether stderr is a terminal. */
	for (i = 0; !err && i < sizeof(terminal_ioctls) / sizeof(terminal_ioctls[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX,
					       terminal_ioctls[i]));
	for (i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (i = 0; !err && i < sizeof(refused) / sizeof(refused[0]); i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)refused[i].error),
				       refused[i].call, 0);
	return err;
}

int seccomp_confine(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = filter ? 0 : -ENOMEM;

	/* Threads that exist already, too. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = add_rules(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	if (err)
		log_error("cannot filter system calls: %s", strerror(-err));
	return err;
}
