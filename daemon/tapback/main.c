// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tapback: the daemon that answers guests' frontends in xenstore. One process
 * and one thread for all disks; it sees no guest's data.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/paths.h"
#include "tapback/devices.h"
#include "tapback/frontend.h"
#include "tapback/xentop.h"

/* The first release whose xl accepts backendtype=tap. */
#define XEN_MAJOR	4
#define XEN_MINOR	19

struct daemon {
	struct loop loop;
	struct store store;
	struct tapback tapback;
	struct devices devices;
	struct loop_source watches;	/* of xenstore */
	struct loop_source signals;
	unsigned int max_queues;
	int err;			/* why the loop was stopped, or 0 */
};

static struct daemon *daemon_of_watches(struct loop_source *source)
{
	return (struct daemon *)((char *)source - offsetof(struct daemon, watches));
}

static void store_lost(struct daemon *daemon, int err)
{
	daemon->err = err;
	log_error("xenstored ended or does not answer (%s); disks keep running, "
		  "tapback must be started again", strerror(-err));
	loop_stop(&daemon->loop);
}

static void watches_ready(struct loop_source *source)
{
	struct daemon *daemon = daemon_of_watches(source);
	int err = devices_read_watches(&daemon->devices);

	if (err)
		store_lost(daemon, err);
}

/* libxenstore does not tell who waits for watches that there will be none any more. */
static void ask_store(struct daemon *daemon)
{
	uint32_t domid;
	int err = store_read_u32(&daemon->store, XBT_NULL, "domid", UINT16_MAX, &domid);

	if (err)
		store_lost(daemon, err);
}

static void signals_ready(struct loop_source *source)
{
	struct daemon *daemon = (struct daemon *)
		((char *)source - offsetof(struct daemon, signals));

	log_info("stopping; disks keep running");
	loop_stop(&daemon->loop);
}

/* Receive SIGTERM and SIGINT in the loop. 0 or -errno. */
static int init_signals(struct daemon *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	daemon->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (daemon->signals.fd < 0)
		return -errno;
	daemon->signals.ready = signals_ready;
	return loop_add(&daemon->loop, &daemon->signals);
}

/* The number in file @path, or -1. */
static int number_in_file(const char *path)
{
	FILE *file = fopen(path, "re");
	int number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

/* What will keep disks from working, though nothing keeps us from running. */
static void warn_about_host(void)
{
	int major = number_in_file("/sys/hypervisor/version/major");
	int minor = number_in_file("/sys/hypervisor/version/minor");

	if (major >= 0 && minor >= 0 &&
	    (major < XEN_MAJOR || (major == XEN_MAJOR && minor < XEN_MINOR)))
		log_warning("this is Xen %d.%d, whose xl refuses backendtype=tap; "
			    "use Xen %d.%d or later (Debian 13 has 4.20)",
			    major, minor, XEN_MAJOR, XEN_MINOR);
	if (access(XENTAP_NODE, F_OK))
		log_warning("%s is missing; %s; run \"modprobe xentap\", and "
			    "\"dkms status xentap\" if that fails", XENTAP_NODE,
			    access(GNTDEV_NODE, F_OK) ? "no disk can be connected" :
			    "all data is copied, by " GNTDEV_NODE
			    ", which cannot be restricted to one guest");
}

/* 0 or -errno, having said why. */
static int open_store(struct store *store)
{
	int err = store_open(store);

	if (!err)
		return 0;
	if (access("/proc/xen/capabilities", F_OK) && access("/sys/hypervisor/type", F_OK))
		log_error("this host does not run under Xen; boot it as dom0 of Xen");
	else
		log_error("xenstore is not there, or does not say our domain's number (%s); "
			  "start xenstored and xen-init-dom0", strerror(-err));
	return err;
}

static int daemon_init(struct daemon *daemon)
{
	int err;

	*daemon = (struct daemon){
		.loop.epoll_fd = -1, .watches.fd = -1, .signals.fd = -1,
		.max_queues = daemon->max_queues,
	};
	err = open_store(&daemon->store);
	if (err)
		return err;
	err = loop_init(&daemon->loop);
	if (!err)
		err = init_signals(daemon);
	if (err) {
		log_error("cannot set up the event loop: %s", strerror(-err));
		return err;
	}
	daemon->tapback = (struct tapback){
		.loop = &daemon->loop,
		.store = &daemon->store,
		.run_dir = XENTAP_RUN_DIR,
		.xentop_dir = XENTOP_DIR,
		.max_queues = daemon->max_queues,
		.first = &daemon->devices.first,
	};
	err = devices_init(&daemon->devices, &daemon->tapback);
	if (!err) {
		daemon->watches.fd = xs_fileno(daemon->store.xs);
		daemon->watches.ready = watches_ready;
		err = loop_add(&daemon->loop, &daemon->watches);
	}
	if (err)
		log_error("cannot watch xenstore: %s", strerror(-err));
	return err;
}

static void daemon_uninit(struct daemon *daemon)
{
	devices_uninit(&daemon->devices);
	loop_uninit(&daemon->loop);
	fd_close(&daemon->signals.fd);
	store_close(&daemon->store);
}

/* Until a signal or an error. The watchdog is fed by the loop itself. */
static int daemon_run(struct daemon *daemon)
{
	uint64_t watchdog_us = 0;
	int watchdog_ms = -1, timeout_ms, err = 0;
	uint64_t asked_ms = clock_ms();
	bool ready = false;

	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		watchdog_ms = (int)(watchdog_us / 2000);
	while (!daemon->loop.stopped && !err) {
		timeout_ms = devices_run(&daemon->devices);
		if (!ready)
			sd_notify(0, "READY=1");
		ready = true;
		if (watchdog_ms >= 0)
			sd_notify(0, "WATCHDOG=1");
		if (watchdog_ms >= 0 && clock_ms() - asked_ms >= (uint64_t)watchdog_ms) {
			ask_store(daemon);
			asked_ms = clock_ms();
		}
		if (timeout_ms < 0 || (watchdog_ms >= 0 && watchdog_ms < timeout_ms))
			timeout_ms = watchdog_ms;
		err = loop_once(&daemon->loop, timeout_ms);
	}
	sd_notify(0, "STOPPING=1");
	return err ? err : daemon->err;
}

static void print_help(void)
{
	printf("usage: tapback [-v] [-q NUMBER]\n"
	       "Answers the frontends of disks with backendtype=tap; see tapback(8).\n"
	       "  -q, --max-queues=NUMBER  queues offered for each disk, 1 to %u\n"
	       "  -v, --verbose  also messages for debugging\n"
	       "  -h, --help     this text\n"
	       "  -V, --version  the version\n", QUEUES_MAX);
}

/* More queues than processors to serve them gain nothing. */
static unsigned int default_queues(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus < 1)
		return 1;
	return cpus < (long)QUEUES_MAX ? (unsigned int)cpus : QUEUES_MAX;
}

static int parse_queues(const char *text, unsigned int *max_queues)
{
	uint32_t number;

	if (parse_u32(text, QUEUES_MAX, &number) || !number) {
		log_error("--max-queues %s is not a number from 1 to %u", text, QUEUES_MAX);
		return -EINVAL;
	}
	*max_queues = number;
	return 0;
}

/* 0: go on; 1: done; -EINVAL. */
static int parse_options(int argc, char **argv, unsigned int *max_queues)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "max-queues", required_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ 0 }
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "hVvq:", options, NULL)) != -1) {
		switch (letter) {
		case 'h':
			print_help();
			return 1;
		case 'V':
			printf("tapback %s\n", XENTAP_VERSION);
			return 1;
		case 'v':
			log_set_level(LOG_DEBUG);
			break;
		case 'q':
			if (parse_queues(optarg, max_queues))
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	log_error("unexpected argument %s", argv[optind]);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct daemon daemon;
	int err;

	log_init("tapback", true);
	daemon.max_queues = default_queues();
	err = parse_options(argc, argv, &daemon.max_queues);
	if (err)
		return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	err = daemon_init(&daemon);
	if (!err) {
		warn_about_host();
		err = daemon_run(&daemon);
	}
	daemon_uninit(&daemon);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
