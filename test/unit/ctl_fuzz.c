// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stream of bytes as what clients of tapdisk's control socket send, for libFuzzer:
 * packets of any bytes, and commands whose members are right, missing, of another type
 * or out of range, with descriptors that are too many, too few or none of those. It is
 * answered by the real server, commands and disk. What must not happen ends the program, in a
 * sanitizer or here: each packet has one reply, in order, or the end of its
 * connection; in the end "list" is answered, and no descriptor is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "fake/bytes.h"
#include "fake/ctl_rig.h"

#define ACTS		40u		/* of one stream, at most */
#define CLIENTS		3u
#define PATIENCE_MS	5000u
#define TEXT_MAX	(CTL_MSG_MAX + 64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was sent and is not answered yet. */
struct client_end {
	int fd;				/* -1: none */
	unsigned int nr;
	bool says_pid[ACTS];		/* is this the reply that has "pid"? */
};

enum kind {
	DEVICE, IMAGE, IMAGE_READONLY, MARKER, JOURNAL, PIPE_IN,
	NOT_SEALED, SMALL, PIPE_OUT, PIPE_BROKEN, BUFFERED, LISTENER, SOCKET, NR_KINDS,
};

static struct {
	struct ctl_rig rig;
	struct client_end clients[CLIENTS];
	int kinds[NR_KINDS];		/* made when needed; -1: not yet */
	char text[TEXT_MAX];		/* of the packet that is made */
	size_t used;
} f;

/* ---- descriptors ---- */

static int make_memfd(size_t bytes, int seals)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && !ftruncate(fd, (off_t)bytes) && !fcntl(fd, F_ADD_SEALS, seals));
	return fd;
}

static int make_socket(bool listens)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	if (listens)
		must(!bind(fd, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)) &&
		     !listen(fd, 4));
	return fd;
}

/* Both ends stay, but for that of a broken one. */
static void make_pipe(enum kind kind)
{
	int fds[2];

	must(!pipe2(fds, O_CLOEXEC));
	if (kind == PIPE_BROKEN) {
		close(fds[0]);
		f.kinds[PIPE_BROKEN] = fds[1];
		return;
	}
	f.kinds[PIPE_IN] = fds[1];
	f.kinds[PIPE_OUT] = fds[0];
}

static int make_kind(enum kind kind)
{
	switch (kind) {
	case DEVICE:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case IMAGE:
		return ctl_rig_image(&f.rig, O_RDWR | O_DIRECT);
	case IMAGE_READONLY:
		return ctl_rig_image(&f.rig, O_RDONLY | O_DIRECT);
	case BUFFERED:
		return ctl_rig_image(&f.rig, O_RDWR);
	case JOURNAL:
		return make_memfd(CTL_JOURNAL_BYTES, F_SEAL_SHRINK | F_SEAL_GROW);
	case NOT_SEALED:
		return make_memfd(CTL_JOURNAL_BYTES, 0);
	case LISTENER:
	case SOCKET:
		return make_socket(kind == LISTENER);
	default:
		return make_memfd(100, 0);
	}
}

static int fd_of(enum kind kind)
{
	if (f.kinds[kind] >= 0)
		return f.kinds[kind];
	if (kind == PIPE_IN || kind == PIPE_OUT || kind == PIPE_BROKEN)
		make_pipe(kind);
	else
		f.kinds[kind] = make_kind(kind);
	must(f.kinds[kind] >= 0);
	return f.kinds[kind];
}

/* ---- text ---- */

__attribute__((format(printf, 1, 2)))
static void put(const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(f.text + f.used, TEXT_MAX - f.used, format, args);
	va_end(args);
	f.used += (size_t)length < TEXT_MAX - f.used ? (size_t)length : TEXT_MAX - f.used - 1;
}

/* JSON's own rules for them are the parser's matter. */
static void put_long_string(void)
{
	static const char fill[] = { 'x', '\1', '\n', '\377' };
	size_t n = word(), i;
	char with = fill[below(4)];

	put("\"");
	for (i = 0; i < n && f.used < TEXT_MAX - 64; i++)
		f.text[f.used++] = with;
	put("\"");
}

static void put_any(void)
{
	static const char *const values[] = {
		"null", "true", "false", "0", "-1", "1", "3", "512", "16383", "16384", "32752",
		"4294967295", "4294967296", "9223372036854775808", "99999999999999999999", "1.5",
		"1e3", "\"\"", "\"3\"", "\"a\\u0000b\"", "\"\\ud800\"", "\"%n%s\"", "[]", "{}",
		"[null]", "[[[[[[1]]]]]]", "{\"grefs\":[1],\"port\":1}", "[1,2,3]", "nothing",
	};
	uint32_t how = byte();

	if (how < 8)
		put_long_string();
	else
		put("%s", values[how % (sizeof(values) / sizeof(values[0]))]);
}

static void put_gref(uint32_t i)
{
	if (byte() < 248)
		put("%s%u", i ? "," : "", 1 + i);
	else
		put("%s", i ? "," : ""), put_any();
}

static void put_grefs(void)
{
	uint32_t how = byte(), nr = how < 240 ? 1u << how / 16 % 5 : how % 40, i;

	put("[");
	for (i = 0; i < nr; i++)
		put_gref(i);
	put("]");
}

/* Ports begin anew after three. */
static uint32_t put_queues(void)
{
	uint32_t how = byte(), nr = how < 200 ? 1 + how % 3 : how % 11, i;

	put("[");
	for (i = 0; i < nr; i++) {
		how = byte();
		put("%s{\"grefs\":", i ? "," : "");
		if (how < 240)
			put_grefs();
		else
			put_any();
		put(",\"port\":");
		if (how % 16 < 15)
			put("%u", 9 + (how % 16 < 13 ? i : i % 3));
		else
			put_any();
		put("}");
	}
	put("]");
	return nr;
}

static void put_filters(void)
{
	static const char *const filters[] = {
		"limit", "limit:iops=10", "fault:op=read,delay_ms=1", "trace:fd=0", "trace:fd=9",
		"latency", "fault:error=EIO,percent=50", "none", "limit:iops", "limit\\u0000x", "",
	};
	uint32_t nr = below(4), i;

	if (byte() > 250)
		nr = byte();
	put("[");
	for (i = 0; i < nr; i++)
		put("%s\"%s\"", i ? "," : "", filters[below(sizeof(filters) / sizeof(filters[0]))]);
	put("]");
}

/* ---- commands ---- */

/* Those in capitals are not always there. */
static const struct {
	const char *name;
	const char *members[12];
} commands[] = {
	{ "list", { NULL } },
	{ "attach", { "minor" } },
	{ "open", { "minor", "type", "path", "readonly", "SECTOR_SIZE", "LOCK_LATER", "DATA",
		    "FILTERS", "NBD", "UNPAUSE" } },
	{ "connect", { "minor", "domid", "devid", "protocol", "readonly", "persistent",
		       "discard", "queues", "JOURNAL", "GNTDEV", "XENTOP" } },
	{ "disconnect", { "domid", "devid" } },
	{ "close", { "minor" } },
	{ "pause", { "minor", "TYPE", "PATH", "SECTORS" } },
	{ "detach", { "minor" } },
	{ "pid", { NULL } },
	{ "info", { "minor" } },
	{ "resize", { "minor" } },
	{ "stats", { "minor" } },
	{ "limit", { "minor", "options" } },
	{ "trace", { "minor" } },
	{ "arena", { "minor" } },
	{ "journal", { "minor", "domid", "devid" } },
	{ "none of these", { "minor" } },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What a command comes with. */
struct company {
	uint32_t nr_queues;
	bool nbd, journal, gntdev, xentop, readonly;
};

static void put_word(const char *const *words, uint32_t nr)
{
	put("\"%s\"", words[below(nr)]);
}

static bool put_bool(void)
{
	bool yes = byte() & 1;

	put(yes ? "true" : "false");
	return yes;
}

/* A value that will do, mostly. */
static void put_good(const char *name, struct company *company)
{
	static const char *const protocols[] = { "x86_64", "x86_32", "native", "arm" };
	static const char *const ways[] = { "auto", "map", "copy", "persistent", "fast" };
	static const char *const options[] = { "iops=5", "bps=1M,burst_ms=0", "iops=x", "" };

	if (!strcmp(name, "minor"))
		put("3");
	else if (!strcmp(name, "domid") || !strcmp(name, "devid"))
		put("%u", 7 + below(2));
	else if (!strcmp(name, "type"))
		put("\"aio\"");
	else if (!strcmp(name, "path"))
		put("\"/image\"");
	else if (!strcmp(name, "protocol"))
		put_word(protocols, 4);
	else if (!strcmp(name, "queues"))
		company->nr_queues = put_queues();
	else if (!strcmp(name, "sector_size"))
		put("%u", byte() & 1 ? 512 : 4096);
	else if (!strcmp(name, "sectors"))
		put("%u", below(10));
	else if (!strcmp(name, "data"))
		put_word(ways, 5);
	else if (!strcmp(name, "filters"))
		put_filters();
	else if (!strcmp(name, "options"))
		put_word(options, 4);
	else if (!strcmp(name, "readonly"))
		company->readonly = put_bool();
	else if (!strcmp(name, "nbd"))
		company->nbd = put_bool();
	else if (!strcmp(name, "journal"))
		company->journal = put_bool();
	else if (!strcmp(name, "xentop"))
		company->xentop = put_bool();
	else
		put_bool();
}

static void put_member(const char *table_name, struct company *company)
{
	bool optional = *table_name < 'a';
	char name[32];
	uint32_t how, i;

	for (i = 0; table_name[i]; i++)
		name[i] = (char)(optional && table_name[i] != '_' ? table_name[i] + 32 :
				 table_name[i]);
	name[i] = '\0';
	how = byte();
	if (optional ? how < 128 : how > 252)
		return;
	company->gntdev |= !strcmp(name, "gntdev");
	put(",\"%s\":", name);
	if (optional ? how > 248 : how > 244)
		put_any();
	else
		put_good(name, company);
}

/* The kinds that the command wants, in @kinds; how many. */
static uint32_t good_kinds(const char *name, const struct company *company, enum kind *kinds)
{
	uint32_t nr = 0, i;

	if (!strcmp(name, "attach"))
		kinds[nr++] = MARKER;
	if (!strcmp(name, "trace"))
		kinds[nr++] = PIPE_IN;
	if (!strcmp(name, "open")) {
		kinds[nr++] = company->readonly ? IMAGE_READONLY : IMAGE;
		if (company->nbd)
			kinds[nr++] = LISTENER;
	}
	if (!strcmp(name, "connect")) {
		for (i = 0; i < company->nr_queues * (company->gntdev ? 2 : 3); i++)
			kinds[nr++] = DEVICE;
		if (company->xentop)
			kinds[nr++] = NOT_SEALED;
		if (company->journal)
			kinds[nr++] = JOURNAL;
	}
	return nr;
}

static uint32_t choose_fds(const char *name, const struct company *company, int *fds)
{
	enum kind kinds[64];
	uint32_t nr = good_kinds(name, company, kinds), how = byte(), i;

	if (how > 240) {
		for (; nr < CTL_MSG_FDS + 1; nr++)
			kinds[nr] = (enum kind)(nr % NR_KINDS);
		nr = below(CTL_MSG_FDS + 2);
	} else if (how > 224 && nr) {
		kinds[below(nr)] = (enum kind)below(NR_KINDS);
	}
	if (nr > CTL_MSG_FDS + 1)
		nr = CTL_MSG_FDS + 1;
	for (i = 0; i < nr; i++)
		fds[i] = fd_of(kinds[i]);
	return nr;
}

/* ---- clients ---- */

static void hang_up(struct client_end *client)
{
	if (client->fd >= 0)
		close(client->fd);
	*client = (struct client_end){ .fd = -1 };
}

static void send_packet(struct client_end *client, const int *fds, uint32_t nr_fds, bool says_pid)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE((CTL_MSG_FDS + 1) * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { f.text, f.used };
	struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (client->fd < 0)
		client->fd = ctl_rig_connect(&f.rig);
	if (nr_fds) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nr_fds * sizeof(int));
	}
	if (sendmsg(client->fd, &packet, MSG_NOSIGNAL) >= 0)
		client->says_pid[client->nr++] = says_pid;
	else
		must(errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
}

/* One reply, if there is one. */
static bool hear(struct client_end *client)
{
	struct ctl_msg reply = CTL_MSG_INIT;
	int err = ctl_msg_recv(client->fd, &reply), status;

	if (err == -EAGAIN)
		return false;
	if (err) {
		must(err == -ECONNRESET);
		hang_up(client);
		return false;
	}
	status = ctl_reply_status(&reply);
	must(status != -EBADMSG || ctl_has(&reply, "error"));
	must(!status || *ctl_reply_sentence(&reply));
	if (status != -ESHUTDOWN) {
		must(client->nr);
		/* Requests of one connection are answered in order. */
		must(ctl_has(&reply, "pid") == client->says_pid[0]);
		client->nr--;
		memmove(client->says_pid, client->says_pid + 1, client->nr);
	}
	ctl_msg_clear(&reply);
	return true;
}

static void hear_all(struct client_end *client)
{
	while (client->fd >= 0 && hear(client))
		;
}

/* A process that ends has another one in its place. */
static void turn(int timeout_ms)
{
	uint32_t i;

	ctl_rig_turn(&f.rig, timeout_ms);
	if (f.rig.server)
		return;
	for (i = 0; i < CLIENTS; i++) {
		hear_all(&f.clients[i]);
		must(f.clients[i].fd < 0);
	}
	ctl_rig_start(&f.rig);
}

static void settle(struct client_end *client)
{
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;

	hear_all(client);
	while (client->nr) {
		must(clock_ms() < deadline_ms);
		turn(1);
		hear_all(client);
	}
}

/* ---- acts ---- */

static void do_command(void)
{
	uint32_t which = below(NR_COMMANDS), how = byte(), i;
	const char *name = commands[which].name;
	struct company company = { 0 };
	struct client_end *client = &f.clients[how % 8 < 6 ? 0 : how % 8 - 5];
	bool says_pid = !strcmp(name, "list") || !strcmp(name, "pid");
	int fds[CTL_MSG_FDS + 1];

	f.used = 0;
	put("{\"v\":%u,\"cmd\":\"%s\"", how < 252 ? 1 : how - 252, name);
	for (i = 0; commands[which].members[i]; i++)
		put_member(commands[which].members[i], &company);
	put("}");
	i = choose_fds(name, &company, fds);
	says_pid &= (how < 252 || how == 253) && i <= CTL_MSG_FDS && f.used <= CTL_MSG_MAX;
	send_packet(client, fds, i, says_pid);
	if (how & 8)
		return;
	settle(client);
}

static void do_raw(void)
{
	uint32_t nr = byte();
	int fds[1] = { fd_of(DEVICE) };

	/* Also none: that looks like the connection's end. */
	for (f.used = 0; f.used < nr && bytes_left(); f.used++)
		f.text[f.used] = (char)byte();
	send_packet(&f.clients[below(CLIENTS)], fds, nr & 1, false);
}

static void do_json(void)
{
	f.used = 0;
	put("{\"v\":1,\"cmd\":");
	put_any();
	put(",\"minor\":");
	put_any();
	put("}");
	send_packet(&f.clients[below(CLIENTS)], NULL, 0, false);
}

static void do_turn(void)
{
	turn(0);
}

static void do_hang_up(void)
{
	hang_up(&f.clients[below(CLIENTS)]);
}

static void do_size(void)
{
	must(!ftruncate(f.rig.image_fd, byte() * 512));
}

static void do_end(void)
{
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;

	if (below(4))
		return;
	ctl_rig_tell_to_end(&f.rig);
	while (f.rig.tapdisk.stopping) {
		must(clock_ms() < deadline_ms);
		turn(1);
	}
}

/* ---- the world ---- */

static void begin(void)
{
	uint32_t i;

	if (!f.rig.guest.memory) {
		log_set_level(LOG_EMERG);
		must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
		ctl_rig_init(&f.rig);
	}
	for (i = 0; i < CLIENTS; i++)
		f.clients[i] = (struct client_end){ .fd = -1 };
	for (i = 0; i < NR_KINDS; i++)
		f.kinds[i] = -1;
}

static void check_list(void)
{
	struct client_end client = { .fd = -1 };

	f.used = 0;
	put("{\"v\":1,\"cmd\":\"list\"}");
	send_packet(&client, NULL, 0, true);
	settle(&client);
	must(client.fd >= 0);
	hang_up(&client);
}

static void end(void)
{
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;
	uint32_t i;

	for (i = 0; i < CLIENTS; i++)
		settle(&f.clients[i]);
	check_list();
	for (i = 0; i < CLIENTS; i++)
		hang_up(&f.clients[i]);
	ctl_rig_tell_to_end(&f.rig);
	while (f.rig.server) {
		must(clock_ms() < deadline_ms);
		ctl_rig_turn(&f.rig, 1);
	}
	for (i = 0; i < NR_KINDS; i++)
		if (f.kinds[i] >= 0)
			close(f.kinds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const acts[])(void) = {
		do_command, do_command, do_command, do_command, do_command, do_command,
		do_command, do_command, do_command, do_raw, do_json, do_turn, do_turn,
		do_hang_up, do_size, do_end,
	};
	unsigned int nr_fds;
	uint32_t i;

	begin();
	bytes_are(data, size);
	nr_fds = ctl_rig_count_fds();
	ctl_rig_start(&f.rig);
	for (i = 0; i < ACTS && bytes_left(); i++)
		acts[below(sizeof(acts) / sizeof(acts[0]))]();
	end();
	must(ctl_rig_count_fds() == nr_fds);
	return 0;
}
