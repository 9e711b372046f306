// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest's I/O costs each domain, by Xen's own accounting of processor time.
 *
 *	cputime DOMID WORDS
 *
 * The guest writes "begin KEY=VALUE ..." and "end" to the node data/mark of its
 * own before and after some I/O. For each such pair a line is printed:
 *
 *	RESULT WORDS KEY=VALUE ... dom0_ns=... guest_ns=...
 *
 * It ends with the mark "done". What comes between the guest's write and this
 * program's look at the clocks is in the figures; it is the same each time, and
 * measured by a pair with next to no I/O in it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>
#include <xenstore.h>

struct times {
	uint64_t dom0, guest;		/* ns that their processors ran */
};

static uint64_t cpu_time(xc_interface *xc, uint32_t domid)
{
	xc_domaininfo_t info;

	if (xc_domain_getinfolist(xc, domid, 1, &info) != 1 || info.domain != domid) {
		fprintf(stderr, "cputime: there is no domain %u\n", domid);
		exit(1);
	}
	return info.cpu_time;
}

static struct times now(xc_interface *xc, uint32_t domid)
{
	return (struct times){ .dom0 = cpu_time(xc, 0), .guest = cpu_time(xc, domid) };
}

/* The value of the mark, to be freed, or NULL; @at is as early as can be. */
static char *next_mark(xc_interface *xc, struct xs_handle *xs, const char *path,
		       uint32_t domid, struct times *at)
{
	unsigned int nr;
	char **event = xs_read_watch(xs, &nr);

	if (!event) {
		perror("cputime: xenstore");
		exit(1);
	}
	*at = now(xc, domid);
	free(event);
	return xs_read(xs, XBT_NULL, path, &nr);
}

static void watch(xc_interface *xc, struct xs_handle *xs, uint32_t domid, const char *words)
{
	struct times begin = { 0 }, at;
	char what[256] = "";
	char path[64];
	char *mark;
	bool done = false;

	snprintf(path, sizeof(path), "/local/domain/%u/data/mark", domid);
	xs_rm(xs, XBT_NULL, path);
	if (!xs_watch(xs, path, "")) {
		perror("cputime: watch");
		exit(1);
	}
	while (!done) {
		mark = next_mark(xc, xs, path, domid, &at);
		if (mark && strncmp(mark, "begin ", 6) == 0) {
			snprintf(what, sizeof(what), "%s", mark + 6);
			begin = at;
		} else if (mark && strcmp(mark, "end") == 0) {
			printf("RESULT %s %s dom0_ns=%llu guest_ns=%llu\n", words, what,
			       (unsigned long long)(at.dom0 - begin.dom0),
			       (unsigned long long)(at.guest - begin.guest));
			fflush(stdout);
		}
		done = mark && strcmp(mark, "done") == 0;
		free(mark);
	}
}

int main(int argc, char **argv)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	struct xs_handle *xs = xs_open(0);

	if (argc != 3 || !xc || !xs) {
		fprintf(stderr, "usage: cputime DOMID WORDS, as root in dom0\n");
		return 2;
	}
	watch(xc, xs, (uint32_t)atoi(argv[1]), argv[2]);
	return 0;
}
