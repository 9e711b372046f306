// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tapdisk: serves one disk to Xen guests. Starts as root, binds its control
 * socket, becomes an ordinary user, and from then on has nothing but what
 * tap-ctl and tapback hand to it. One thread, one loop.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "tapdisk/commands.h"
#include "tapdisk/privilege.h"

struct process {
	struct loop loop;
	struct loop_source signals;
	struct tapdisk tapdisk;
	struct server *server;
};

static const char usage[] =
	"Usage: tapdisk [--ready-fd=N]\n"
	"Serve one disk to Xen guests; started by tap-ctl(8) or systemd, in the\n"
	"foreground, as root, which it soon ceases to be.\n"
	"\n"
	"  --ready-fd=N  write one byte to descriptor N when ready, and close it\n"
	"  --version     print the version and exit\n"
	"  --help        print this and exit\n";

/* Exits on anything but a start. Returns the descriptor, or -1. */
static int parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int ready_fd = -1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			ready_fd = atoi(optarg);
			break;
		case 'V':
			puts("tapdisk " XENTAP_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(EINVAL);
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		exit(EINVAL);
	}
	return ready_fd;
}

static void disk_closed(void *context)
{
	struct process *process = context;

	disk_detach(process->tapdisk.disk);
	process->tapdisk.disk = NULL;
	loop_stop(&process->loop);
}

/* End in order: answer what is in flight, give every grant back. */
static void signal_ready(struct loop_source *source)
{
	struct process *process =
		(struct process *)((char *)source - offsetof(struct process, signals));
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) < 0)
		return;
	log_info("signal %u: ending", info.ssi_signo);
	process->tapdisk.stopping = true;
	if (!process->tapdisk.disk)
		loop_stop(&process->loop);
	else
		disk_close(process->tapdisk.disk, disk_closed, process);
}

static int watch_signals(struct process *process)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	process->signals.ready = signal_ready;
	process->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (process->signals.fd < 0)
		return -errno;
	return loop_add(&process->loop, &process->signals);
}

static void tell_ready(int ready_fd)
{
	sd_notify(0, "READY=1\nSTATUS=no disk yet");
	if (ready_fd < 0)
		return;
	if (write(ready_fd, "", 1) != 1)
		log_warning("nobody waits for us to be ready");
	close(ready_fd);
}

static int process_start(struct process *process)
{
	int socket_fd = server_bind();
	int err;

	if (socket_fd < 0)
		return socket_fd;
	/* Not one byte from outside is read before this. */
	err = privilege_drop();
	if (err) {
		close(socket_fd);
		return err;
	}
	process->tapdisk.loop = &process->loop;
	err = server_create(&process->loop, socket_fd, commands_handle, &process->tapdisk,
			    &process->server);
	if (!err)
		err = watch_signals(process);
	return err;
}

int main(int argc, char **argv)
{
	struct process process = { .signals.fd = -1 };
	int ready_fd = parse_options(argc, argv);
	int err;

	log_init("tapdisk", ready_fd >= 0);
	if (geteuid() != 0) {
		log_error("must be started as root: tap-ctl spawn does it");
		return EPERM;
	}
	err = loop_init(&process.loop);
	if (!err)
		err = process_start(&process);
	if (!err) {
		tell_ready(ready_fd);
		err = loop_run(&process.loop);
	}
	if (process.server)
		server_destroy(process.server);
	fd_close(&process.signals.fd);
	loop_uninit(&process.loop);
	return -err;
}
