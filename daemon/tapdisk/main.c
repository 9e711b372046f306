// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tapdisk: serves one disk to Xen guests. Starts as root, binds its control
 * socket, becomes an ordinary user, and from then on has nothing but what
 * tap-ctl and tapback hand to it. One thread and one loop, and more of them for
 * guests that use several queues.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "filter/filter.h"
#include "tapdisk/commands.h"
#include "tapdisk/privilege.h"
#include "tapdisk/seccomp.h"

#define POLL_US_MAX	1000u

/* The command line. */
struct options {
	int ready_fd;			/* or -1 */
	enum data_way way;
	uint32_t poll_us;
	char filters[FILTERS_MAX][SPEC_BYTES_MAX];
	const char *specs[FILTERS_MAX];
	unsigned int nr_filters;
};

struct process {
	struct loop loop;
	struct loop_source signals;
	struct tapdisk tapdisk;
	struct server *server;
};

static const char usage[] =
	"Usage: tapdisk [--data=WAY] [--poll=MICROSECONDS] [--ready-fd=N]\n"
	"               [--filter=NAME[:KEY=VALUE[,KEY=VALUE]...]]...\n"
	"Serve one disk to Xen guests; started by tap-ctl(8) or systemd, in the\n"
	"foreground, as root, which it soon ceases to be.\n"
	"\n"
	"  --data=WAY     how data moves: auto, map, copy or persistent\n"
	"  --poll=US      look out for more requests for so long, up to 1000 us\n"
	"  --ready-fd=N   write one byte to descriptor N when ready, and close it\n"
	"  --filter=SPEC  put a filter above what the disk has; see tapdisk(8)\n"
	"  --version      print the version and exit\n"
	"  --help         print this and exit\n";

/*
 * Files are opened while we may: when the filter is made, for a disk, it is too
 * late. Exits if the filter will not do.
 */
static void add_filter(struct options *options, const char *text)
{
	unsigned int nr = options->nr_filters;
	char *spec_text = options->filters[nr];
	char why[SPEC_BYTES_MAX] = "too many filters";
	struct spec spec;
	int err = nr == FILTERS_MAX ? -EINVAL : 0;

	if (!err)
		err = spec_parse(&spec, text, why, sizeof(why));
	if (!err && spec_value(&spec, "file")) {
		int fd = spec_open_file(&spec, why, sizeof(why));

		err = fd < 0 ? fd : 0;
		if (!err)
			spec_format_fd(&spec, fd, spec_text);
	} else if (!err) {
		snprintf(spec_text, SPEC_BYTES_MAX, "%s", text);
	}
	if (!err) {
		options->specs[nr] = spec_text;
		err = filters_check(&options->specs[nr], 1, why, sizeof(why));
	}
	if (err) {
		log_error("--filter=%s: %s", text, why);
		exit(-err);
	}
	options->nr_filters++;
}

__attribute__((format(printf, 1, 2), noreturn))
static void refuse(const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	log_error("%s; see tapdisk(8)", why);
	exit(EINVAL);
}

static void set_option(struct options *options, int option, const char *value)
{
	uint32_t number;

	switch (option) {
	case 'd':
		if (data_way_parse(value, &options->way))
			refuse("--data=%s is none of auto, map, copy and persistent", value);
		break;
	case 'p':
		if (parse_u32(value, POLL_US_MAX, &options->poll_us))
			refuse("--poll=%s is not a number of microseconds from 0 to %u", value,
			       POLL_US_MAX);
		break;
	case 'r':
		if (parse_u32(value, INT32_MAX, &number))
			refuse("--ready-fd=%s is not the number of a descriptor", value);
		options->ready_fd = (int)number;
		break;
	default:
		add_filter(options, value);
	}
}

/* Exits on anything but a start. */
static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "poll", required_argument, NULL, 'p' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ "filter", required_argument, NULL, 'f' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, at;

	for (;;) {
		at = optind;
		option = getopt_long(argc, argv, "+:", long_options, NULL);
		if (option < 0)
			break;
		switch (option) {
		case 'V':
			puts("tapdisk " XENTAP_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case ':':
			refuse("option %s needs a value", argv[at]);
		case '?':
			refuse("there is no option %s", argv[at]);
		default:
			set_option(options, option, optarg);
		}
	}
	if (optind != argc)
		refuse("unexpected argument %s", argv[optind]);
}

static void disk_closed(void *context)
{
	struct process *process = context;

	disk_detach(process->tapdisk.disk);
	process->tapdisk.disk = NULL;
	loop_stop(&process->loop);
}

/*
 * End in order: answer what is in flight, give every grant back. After SIGHUP another
 * tapdisk goes on, for guests that it finds in the journal.
 */
static void signal_ready(struct loop_source *source)
{
	struct process *process =
		(struct process *)((char *)source - offsetof(struct process, signals));
	enum vbd_end how = VBD_END;
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) < 0)
		return;
	if (info.ssi_signo == SIGHUP)
		how = VBD_LEAVE;
	process->tapdisk.leaving = how == VBD_LEAVE;
	log_info("signal %u: ending%s", info.ssi_signo,
		 how == VBD_LEAVE ? "; guests wait for another tapdisk" : "");
	process->tapdisk.stopping = true;
	if (!process->tapdisk.disk)
		loop_stop(&process->loop);
	else
		disk_close(process->tapdisk.disk, how, disk_closed, process);
}

static int watch_signals(struct process *process)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
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
	/* Before any thread, and before anybody is answered. */
	if (!err)
		err = seccomp_confine();
	return err;
}

int main(int argc, char **argv)
{
	struct process process = { .signals.fd = -1 };
	static struct options options = { .ready_fd = -1, .way = DATA_AUTO };
	int err;

	log_init("tapdisk", false);
	parse_options(argc, argv, &options);
	log_init("tapdisk", options.ready_fd >= 0);
	if (geteuid() != 0) {
		log_error("must be started as root: tap-ctl spawn does it");
		return EPERM;
	}
	process.tapdisk.options = (struct disk_options){
		.way = options.way, .copy_max = DATA_COPY_MAX_DEFAULT,
		.poll_ns = options.poll_us * 1000ull, .nbd_fd = -1,
	};
	process.tapdisk.filters = options.specs;
	process.tapdisk.nr_filters = options.nr_filters;
	err = loop_init(&process.loop);
	if (!err)
		err = process_start(&process);
	if (!err) {
		tell_ready(options.ready_fd);
		err = loop_run(&process.loop);
	}
	if (process.server)
		server_destroy(process.server, !err && !process.tapdisk.leaving);
	fd_close(&process.signals.fd);
	loop_uninit(&process.loop);
	return -err;
}
