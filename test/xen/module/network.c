// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that TCP still holds for a retransmission after the sender has
 * finished, which is what a network block device leaves behind. A network
 * namespace whose loopback loses or delays packets stands for the network.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "harness.h"

#define SENT	8u			/* pages, the arena's first */

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY	60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY	0x4000000
#endif

struct link {
	int sender, receiver;
};

static void shell(const char *command)
{
	if (system(command))
		fail("this failed: %s", command);
}

/* By its path: busybox's shell has a tc of its own, which knows no netem. */
#define TC	"/usr/sbin/tc qdisc"

static void network_of_its_own(void)
{
	expect_eq(unshare(CLONE_NEWNET), 0);
	shell("ip link set lo up");
}

static void network_loses_all(void)
{
	shell(TC " add dev lo root netem loss 100%");
}

static void network_delays(void)
{
	shell(TC " add dev lo root netem delay 1500ms");
}

static void network_heals(void)
{
	shell(TC " del dev lo root");
}

static struct link link_make(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int one = 1;
	struct link link;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	expect_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	expect_eq(listen(listener, 1), 0);
	expect_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	link.sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect_eq(connect(link.sender, (struct sockaddr *)&address, size), 0);
	link.receiver = accept(listener, NULL, NULL);
	expect(link.receiver >= 0);
	expect_eq(setsockopt(link.sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	expect_eq(setsockopt(link.sender, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), 0);
	close(listener);
	return link;
}

static void link_end(const struct link *link)
{
	close(link->sender);
	close(link->receiver);
}

static void send_zerocopy(const struct link *link, const struct arena *arena)
{
	expect_eq(send(link->sender, arena->base, SENT * PAGE, MSG_ZEROCOPY), SENT * PAGE);
}

/* As drivers of network disks do: pages go into packets by reference. */
static void send_spliced(const struct link *link, const struct arena *arena)
{
	struct iovec pages = { arena->base, SENT * PAGE };
	int ends[2];

	expect_eq(pipe(ends), 0);
	expect_eq(vmsplice(ends[1], &pages, 1, 0), SENT * PAGE);
	expect_eq(splice(ends[0], NULL, link->sender, NULL, SENT * PAGE, 0), SENT * PAGE);
	close(ends[0]);
	close(ends[1]);
}

typedef void send_function(const struct link *link, const struct arena *arena);

static uint8_t mark(size_t i)
{
	return (uint8_t)(i * 7 + i / PAGE);
}

static void fill(const struct arena *arena)
{
	size_t i;

	for (i = 0; i < SENT * PAGE; i++)
		arena->base[i] = mark(i);
}

static void receive(const struct link *link)
{
	static uint8_t got[SENT * PAGE];
	size_t done = 0;
	size_t i;

	while (done < sizeof(got)) {
		struct pollfd ready = { .fd = link->receiver, .events = POLLIN };
		ssize_t n;

		expect_eq(poll(&ready, 1, 60000), 1);
		n = recv(link->receiver, got + done, sizeof(got) - done, 0);
		expect(n > 0);
		done += (size_t)n;
	}
	for (i = 0; i < sizeof(got); i++)
		expect_eq(got[i], mark(i));
}

/* Lost packets are kept for as long as the network is bad, then drain. */
static void kept_until_acknowledged(send_function *send_pages)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct link link = link_make();

	map_all(&arena, 0);
	fill(&arena);
	network_loses_all();
	send_pages(&link, &arena);
	expect_eq(unmap_some(&arena, 0, GRANTS), SENT);
	usleep(700000);
	expect_eq(counter("draining"), SENT);
	expect_eq(unmap_one(&arena, 0), -EINPROGRESS);
	expect_eq(map_one(&arena, 0, gref[0]), -EBUSY);
	network_heals();
	receive(&link);
	wait_drained(&arena, SENT);
	expect_eq(map_one(&arena, 0, gref[0]), 0);
	arena_end(&arena);
	link_end(&link);
}

static void zerocopy_kept_until_acknowledged(void)
{
	kept_until_acknowledged(send_zerocopy);
}

static void splice_kept_until_acknowledged(void)
{
	kept_until_acknowledged(send_spliced);
}

/* Slow only: each slot is busy for a time that nobody has to end. */
static void drains_by_itself_when_slow(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct link link = link_make();
	double begin;

	map_all(&arena, 0);
	fill(&arena);
	network_delays();
	send_spliced(&link, &arena);
	begin = now();
	expect_eq(unmap_some(&arena, 0, GRANTS), SENT);
	receive(&link);
	wait_drained(&arena, SENT);
	expect(now() - begin > 1.0);
	network_heals();
	arena_end(&arena);
	link_end(&link);
}

/* Who sent it is dead; the kernel goes on sending from the guest's pages. */
static void kept_after_the_sender_was_killed(void)
{
	struct link link = link_make();
	pid_t child;

	network_loses_all();
	child = child_start();
	if (!child) {
		struct arena arena = arena_make(SLOTS, 0);

		map_all(&arena, 0);
		fill(&arena);
		send_spliced(&link, &arena);
		kill(getpid(), SIGKILL);
	}
	child_wait_killed(child);
	close(link.sender);
	wait_counter("mapped", SENT);
	expect_eq(counter("draining"), SENT);
	expect_user_ptes(0);
	usleep(300000);
	expect_eq(counter("draining"), SENT);
	network_heals();
	receive(&link);
	wait_nothing_mapped();
	close(link.receiver);
}

/* The connection is torn down: nothing will ever be acknowledged. */
static void reset_lets_go(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct link link = link_make();

	map_all(&arena, 0);
	network_loses_all();
	send_zerocopy(&link, &arena);
	expect_eq(unmap_some(&arena, 0, GRANTS), SENT);
	expect_eq(setsockopt(link.sender, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	link_end(&link);
	wait_drained(&arena, SENT);
	network_heals();
	arena_end(&arena);
}

/* Received, but not read: pages that were spliced are in the receiver's queue. */
static void unread_data_is_held_too(void)
{
	struct arena arena = arena_make(SLOTS, 0);
	struct link link = link_make();

	map_all(&arena, 0);
	fill(&arena);
	send_spliced(&link, &arena);
	usleep(300000);
	expect_eq(unmap_some(&arena, 0, GRANTS), SENT);
	receive(&link);
	wait_drained(&arena, SENT);
	arena_end(&arena);
	link_end(&link);
}

/* The first check: the others live in its network, too. */
static void loopback_works(void)
{
	struct link link;
	cpu_set_t first;

	/* Packets freed on another processor may wait there for the next ones. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	expect_eq(sched_setaffinity(0, sizeof(first), &first), 0);
	network_of_its_own();
	link = link_make();
	link_end(&link);
}

const struct check checks[] = {
	CHECK(loopback_works),
	CHECK(zerocopy_kept_until_acknowledged),
	CHECK(splice_kept_until_acknowledged),
	CHECK(drains_by_itself_when_slow),
	CHECK(kept_after_the_sender_was_killed),
	CHECK(reset_lets_go),
	CHECK(unread_data_is_held_too),
	{ 0 }
};
