/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in a guest: shares pages with another domain and says which.
 *
 * usage: guest-grant DOMID PAGES
 *
 * Fills PAGES pages with a pattern, grants them to DOMID, and writes
 * "SEED GREF..." to the guest's xenstore node data/grants. On SIGUSR1 it
 * counts the pages in which the other side has inverted every bit, and writes
 * that number to data/inverted. Ends by SIGTERM.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/gntalloc.h>

#define PAGE_BYTES 4096
#define WORDS (PAGE_BYTES / sizeof(uint64_t))
/* 128 numbers of up to 8 digits fit the 2048 bytes a guest may write. */
#define MAX_PAGES 128

/* Any number that is not likely to be in memory by chance. */
static const uint64_t seed = 0x5eedf00dcafe1234;

/* The same formula stands in grant-probe.c. */
static uint64_t pattern(size_t page, size_t word)
{
	return seed ^ ((uint64_t)(page + 1) << 32 | word);
}

static void xenstore_write(const char *node, const char *value)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execlp("xenstore-write", "xenstore-write", node, value, NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		error(1, 0, "xenstore-write %s failed", node);
}

static uint64_t *share_pages(unsigned int domid, unsigned int pages,
			     struct ioctl_gntalloc_alloc_gref *grefs)
{
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	uint64_t *mem;

	if (fd < 0)
		error(1, errno, "/dev/xen/gntalloc");
	grefs->domid = domid;
	grefs->flags = GNTALLOC_FLAG_WRITABLE;
	grefs->count = pages;
	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, grefs) < 0)
		error(1, errno, "allocating %u grants", pages);
	mem = mmap(NULL, (size_t)pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_SHARED, fd, grefs->index);
	if (mem == MAP_FAILED)
		error(1, errno, "mapping %u granted pages", pages);
	return mem;
}

static void publish(const struct ioctl_gntalloc_alloc_gref *grefs)
{
	char text[2048];
	size_t len = snprintf(text, sizeof(text), "%#jx", (uintmax_t)seed);

	for (unsigned int i = 0; i < grefs->count; i++)
		len += snprintf(text + len, sizeof(text) - len, " %u",
				grefs->gref_ids[i]);
	xenstore_write("data/grants", text);
}

static unsigned int count_inverted(const volatile uint64_t *mem,
				   unsigned int pages)
{
	unsigned int inverted = 0;

	for (size_t i = 0; i < pages; i++) {
		size_t w = 0;

		while (w < WORDS && mem[i * WORDS + w] == ~pattern(i, w))
			w++;
		inverted += w == WORDS;
	}
	return inverted;
}

int main(int argc, char **argv)
{
	unsigned int pages = argc == 3 ? atoi(argv[2]) : 0;
	struct ioctl_gntalloc_alloc_gref *grefs;
	sigset_t signals;
	uint64_t *mem;
	int sig;

	if (pages < 1 || pages > MAX_PAGES)
		error(2, 0, "usage: guest-grant DOMID PAGES(1-%d)", MAX_PAGES);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	grefs = calloc(1, sizeof(*grefs) + pages * sizeof(grefs->gref_ids[0]));
	if (!grefs)
		error(1, errno, "memory");
	mem = share_pages(atoi(argv[1]), pages, grefs);
	for (size_t i = 0; i < pages * WORDS; i++)
		mem[i] = pattern(i / WORDS, i % WORDS);
	publish(grefs);
	for (;;) {
		char text[16];

		sigwait(&signals, &sig);
		snprintf(text, sizeof(text), "%u", count_inverted(mem, pages));
		xenstore_write("data/inverted", text);
	}
}
