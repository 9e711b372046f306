// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens to grants that a process mapped and somebody still holds:
 * through the kernel's own gntdev or through xentap, the same steps for both.
 *
 *	hazards gntdev|xentap busy HOLD END [DOMID GREF...]
 *	hazards gntdev|xentap rdonly pinned|written [DOMID GREF...]
 *	hazards gntdev|xentap rdonly-arena [DOMID GREF...]
 *	hazards gntdev|xentap longterm [DOMID GREF...]
 *
 * HOLD: pipe (vmsplice), uring (a direct read that the device holds back),
 * fixed (the same with registered buffers), aio (the same by libaio).
 * END: munmap, kill, exit, exec, dontneed, mprotect.
 *
 * Without DOMID, dom0 grants pages to itself. It only says what it sees; the
 * host may not survive it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <libaio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/gntalloc.h>
#include <xen/gntdev.h>

#include "../../../include/uapi/xentap.h"
#include "../module/held.h"
#include "../module/uring.h"

/* <xen/privcmd.h> wants headers that are not installed everywhere. */
struct hypercall {
	uint64_t op;
	uint64_t arg[5];
};

#define IOCTL_HYPERCALL	_IOC(_IOC_NONE, 'P', 0, sizeof(struct hypercall))

#define PAGE	4096u
#define GRANTS	4u

static bool use_xentap;
static uint32_t owner;
static uint32_t gref[GRANTS];
static uint8_t *granted;		/* NULL: a guest's */

static void say(const char *what, long value)
{
	printf("%-44s %ld%s%s\n", what, value, value < 0 ? " " : "",
	       value < 0 ? strerror((int)-value) : "");
	fflush(stdout);
	fsync(1);
}

static long result(long value)
{
	return value < 0 ? -errno : value;
}

/* What the kernel has logged since, without the traces' bodies. */
static void kernel_says(const char *when)
{
	printf("-- the kernel, %s:\n", when);
	fflush(stdout);
	if (system("dmesg | cut -c1-150 | grep -aE 'WARNING|BUG|[Bb]ad |Oops|fault|RIP: e|"
		   "Comm|xentap:|addr:|protection|refuse'; dmesg -C") < 0)
		error(0, errno, "dmesg");
}

static void grant_pages(void)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + GRANTS * sizeof(uint32_t);
	struct ioctl_gntalloc_alloc_gref *request = calloc(1, size);
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);

	request->flags = GNTALLOC_FLAG_WRITABLE;
	request->count = GRANTS;
	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, request))
		error(1, errno, "gntalloc");
	granted = mmap(NULL, GRANTS * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       (off_t)request->index);
	if (granted == MAP_FAILED)
		error(1, errno, "mapping of gntalloc");
	memset(granted, 0x11, GRANTS * PAGE);
	memcpy(gref, request->gref_ids, sizeof(gref));
	free(request);
}

/* ---- mapping, by either device ---- */

static uint8_t *map_gntdev(int protection)
{
	size_t size = sizeof(struct ioctl_gntdev_map_grant_ref) +
		      GRANTS * sizeof(struct ioctl_gntdev_grant_ref);
	struct ioctl_gntdev_map_grant_ref *request = calloc(1, size);
	int fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	unsigned int i;
	uint8_t *base;

	request->count = GRANTS;
	for (i = 0; i < GRANTS; i++)
		request->refs[i] = (struct ioctl_gntdev_grant_ref){ .domid = owner, .ref = gref[i] };
	if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, request))
		error(1, errno, "gntdev");
	base = mmap(NULL, GRANTS * PAGE, protection, MAP_SHARED, fd, (off_t)request->index);
	if (base == MAP_FAILED)
		error(1, errno, "mapping of gntdev");
	free(request);
	return base;
}

static uint8_t *map_xentap(int protection)
{
	struct xentap_arena_create create = {
		.nr_slots = GRANTS,
		.flags = protection & PROT_WRITE ? 0 : XENTAP_ARENA_F_RDONLY,
	};
	struct xentap_map maps[GRANTS];
	struct xentap_batch batch = { .maps = (uintptr_t)maps, .nr_maps = GRANTS };
	int fd = open("/dev/xen/tap", O_RDWR | O_CLOEXEC);
	unsigned int i;
	uint8_t *base;

	if (ioctl(fd, XENTAP_IOC_ARENA_CREATE, &create))
		error(1, errno, "arena");
	base = mmap(NULL, GRANTS * PAGE, protection, MAP_SHARED, fd, 0);
	for (i = 0; i < GRANTS; i++)
		maps[i] = (struct xentap_map){ .slot = i, .gref = gref[i], .domid = owner };
	if (base == MAP_FAILED || ioctl(fd, XENTAP_IOC_BATCH, &batch) || maps[0].status)
		error(1, errno, "mapping of xentap (%d)", maps[0].status);
	return base;
}

static uint8_t *map_grants(int protection)
{
	return use_xentap ? map_xentap(protection) : map_gntdev(protection);
}

/* ---- who holds page 0, and how it is let go ---- */

static int ends[2];

static void hold_by_pipe(uint8_t *base)
{
	say("vmsplice", result(vmsplice(ends[1], &(struct iovec){ base, PAGE }, 1, 0)));
}

static int open_held(void)
{
	int fd = open(HELD_PATH, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		error(1, errno, HELD_PATH);
	return fd;
}

static void wait_held(void)
{
	int tries = 500;

	while (held_waiting() != 1 && tries--)
		usleep(10000);
	say("requests that the device holds", held_waiting());
}

static void hold_by_uring(uint8_t *base, bool fixed)
{
	static struct uring ring;
	int fd = open_held();

	say("io_uring", uring_open(&ring, 4));
	if (fixed)
		say("registration of the buffer",
		    uring_register(&ring, &(struct iovec){ base, GRANTS * PAGE }, 1));
	uring_rw(&ring, 0, fd, base, PAGE, 0, fixed ? 0 : URING_NOT_FIXED);
	say("submission", uring_submit(&ring, 1));
	wait_held();
}

static void hold_by_aio(uint8_t *base)
{
	static struct iocb iocb;
	struct iocb *list[] = { &iocb };
	io_context_t context = NULL;
	int fd = open_held();

	io_prep_pread(&iocb, fd, base, PAGE, 0);
	say("io_setup", io_setup(4, &context));
	say("io_submit", io_submit(context, 1, list));
	wait_held();
}

static void hold(const char *how, uint8_t *base)
{
	if (!strcmp(how, "pipe"))
		hold_by_pipe(base);
	else if (!strcmp(how, "aio"))
		hold_by_aio(base);
	else
		hold_by_uring(base, !strcmp(how, "fixed"));
}

static void let_go(const char *how)
{
	uint8_t sink[PAGE];

	if (strcmp(how, "pipe"))
		say("the device goes on", held_release());
	else
		say("the pipe is drained", result(read(ends[0], sink, PAGE)));
}

/* ---- busy: the end of a mapping while page 0 is held ---- */

static void finish(const char *how, uint8_t *base)
{
	if (!strcmp(how, "kill"))
		kill(getpid(), SIGKILL);
	if (!strcmp(how, "exec"))
		execl("/bin/true", "true", NULL);
	if (!strcmp(how, "exit"))
		_exit(0);
	if (!strcmp(how, "munmap"))
		say("munmap", result(munmap(base, GRANTS * PAGE)));
	if (!strcmp(how, "dontneed"))
		say("madvise", result(madvise(base, GRANTS * PAGE, MADV_DONTNEED)));
	if (!strcmp(how, "mprotect"))
		say("mprotect", result(mprotect(base, GRANTS * PAGE, PROT_READ)));
	say("the mapping's end is done; the process lives", 0);
	sleep(3);
	_exit(0);
}

static void wait_child(pid_t child, unsigned int seconds)
{
	int status = 0;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (!seconds--) {
			say("the process is still there", child);
			return;
		}
		sleep(1);
	}
	say("the process is gone, its status", status);
}

static void busy(const char *how, const char *end)
{
	const char *destroy = getenv("DESTROY");
	pid_t child;

	if (pipe(ends))
		error(1, errno, "pipe");
	child = fork();
	if (!child) {
		uint8_t *base = map_grants(PROT_READ | PROT_WRITE);

		memset(base, 0x22, GRANTS * PAGE);
		hold(how, base);
		finish(end, base);
	}
	wait_child(child, 8);
	kernel_says("while the page is held");
	if (destroy && *destroy)
		say("end of the guest", system(destroy));
	let_go(how);
	sleep(2);
	wait_child(child, 2);
	kernel_says("after it was let go");
	if (granted)
		say("first byte of the granted page", granted[0]);
}

/* ---- rdonly: a read-only entry in a writable mapping ---- */

/* As a driver does that maps a read-only grant where the process may write. */
static long map_rdonly_at(uint8_t *address, uint32_t *handle)
{
	static gnttab_map_grant_ref_t op;
	struct hypercall call = {
		.op = __HYPERVISOR_grant_table_op,
		.arg = { GNTTABOP_map_grant_ref, (uintptr_t)&op, 1 },
	};
	int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);

	op = (gnttab_map_grant_ref_t){
		.host_addr = (uintptr_t)address,
		.flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_readonly |
			 1u << _GNTMAP_guest_avail0,
		.ref = gref[0], .dom = (domid_t)owner,
	};
	if (ioctl(fd, IOCTL_HYPERCALL, &call))
		return -errno;
	close(fd);
	*handle = op.handle;
	return op.status;
}

/*
 * The kernel's mapping is gone with gntdev's entries, so that no device may use
 * the page here; xentap keeps it.
 */
static void direct_io_on_rdonly(uint8_t *base)
{
	int fd = open(HELD_BELOW, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (!use_xentap)
		return;
	say("direct write from it", result(pwrite(fd, base, PAGE, 0)));
	say("direct read into it", result(pread(fd, base, PAGE, PAGE)));
}

static void write_into_rdonly(const char *how)
{
	uint8_t *base = map_grants(PROT_READ | PROT_WRITE);
	struct uring ring;
	uint32_t handle;

	/* Xen takes the entries away; the mapping stays what it is. */
	say("madvise(MADV_DONTNEED)", result(madvise(base, GRANTS * PAGE, MADV_DONTNEED)));
	say("read-only entry (Xen's status)", map_rdonly_at(base, &handle));
	say("its first byte", *(volatile uint8_t *)base);
	if (!strcmp(how, "pinned")) {
		say("io_uring", uring_open(&ring, 4));
		say("registration, which pins for writing",
		    uring_register(&ring, &(struct iovec){ base, PAGE }, 1));
		direct_io_on_rdonly(base);
	} else {
		*(volatile uint8_t *)base = 0x33;
		say("the processor wrote to it", *(volatile uint8_t *)base);
	}
	if (granted)
		say("first byte of the granted page", granted[0]);
	_exit(0);
}

static void rdonly(const char *how)
{
	pid_t child = fork();

	if (!child)
		write_into_rdonly(how);
	wait_child(child, 10);
	kernel_says("at the end");
}

/* What a read-only mapping of its own kind does with the same attempts. */
static void rdonly_arena(void)
{
	pid_t child = fork();

	if (!child) {
		uint8_t *base = map_grants(PROT_READ);
		int fd = open(HELD_BELOW, O_RDWR | O_DIRECT | O_CLOEXEC);

		say("direct write from it", result(pwrite(fd, base, PAGE, 0)));
		say("direct read into it", result(pread(fd, base, PAGE, PAGE)));
		say("mprotect to writable", result(mprotect(base, GRANTS * PAGE, PROT_READ | PROT_WRITE)));
		say("the processor writes", 0);
		*(volatile uint8_t *)base = 0x33;
		say("it could", 0);
		_exit(0);
	}
	wait_child(child, 10);
	kernel_says("at the end");
}

/* ---- longterm: registered buffers ---- */

static void counters(void)
{
	if (use_xentap && system("grep -E 'mapped|draining|ptes' /sys/kernel/debug/xentap/counters"))
		error(0, 0, "no counters");
}

static void longterm(void)
{
	uint8_t *base = map_grants(PROT_READ | PROT_WRITE);
	int fd = open(HELD_BELOW, O_RDWR | O_DIRECT | O_CLOEXEC);
	struct uring ring;
	int got = 0;

	memset(base, 0x44, GRANTS * PAGE);
	say("io_uring", uring_open(&ring, 4));
	say("registration of the buffer",
	    uring_register(&ring, &(struct iovec){ base, GRANTS * PAGE }, 1));
	uring_rw(&ring, 1, fd, base, GRANTS * PAGE, 0, 0);
	say("submission of a write", uring_submit(&ring, 1));
	say("wait", uring_wait(&ring, &got));
	say("written", got);
	memset(base, 0, GRANTS * PAGE);
	uring_rw(&ring, 0, fd, base, GRANTS * PAGE, 0, 0);
	say("submission of a read", uring_submit(&ring, 1));
	say("wait", uring_wait(&ring, &got));
	say("read", got);
	say("first byte of the mapping", base[0]);
	say("munmap with the buffer registered", result(munmap(base, GRANTS * PAGE)));
	counters();
	say("buffer given back", uring_unregister(&ring));
	sleep(2);
	counters();
	kernel_says("at the end");
}

/* Words of the command line before the domain. */
static int words_of(const char *what)
{
	if (!strcmp(what, "busy"))
		return 5;
	return strcmp(what, "rdonly") ? 3 : 4;
}

int main(int argc, char **argv)
{
	int first = argc > 2 ? words_of(argv[2]) : 3;
	unsigned int i;

	if (argc < first || (argc > first && argc < first + 1 + (int)GRANTS))
		error(2, 0, "usage: hazards gntdev|xentap busy HOLD END | rdonly pinned|written | "
		      "rdonly-arena | longterm [DOMID GREF...]");
	use_xentap = !strcmp(argv[1], "xentap");
	if (argc > first) {
		owner = (uint32_t)strtoul(argv[first], NULL, 0);
		for (i = 0; i < GRANTS; i++)
			gref[i] = (uint32_t)strtoul(argv[first + 1 + i], NULL, 0);
	} else {
		grant_pages();
	}
	if (!strcmp(argv[2], "busy"))
		busy(argv[3], argv[4]);
	else if (!strcmp(argv[2], "rdonly"))
		rdonly(argv[3]);
	else if (!strcmp(argv[2], "rdonly-arena"))
		rdonly_arena();
	else
		longterm();
	return 0;
}
