// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages: one line, one write(2), no allocation, so that any thread may
 * log at any time, also under seccomp.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define LOG_LINE_MAX	1024	/* bytes of one line; longer text is cut */
#define LOG_FIELDS_MAX	192	/* of what goes before it to the journal */
#define LOG_REFILL_MS	10000	/* time in which a token bucket fills up */

/* Set once by log_init() and log_set_level(), before any thread starts. */
static struct {
	const char *name;
	int max_priority;
	bool journal;		/* stderr is the journal: prefix the priority */
	int journal_fd;		/* for messages with fields; -1: none */
	bool syslog;
} log_state = { .max_priority = LOG_INFO, .journal_fd = -1 };

/* The journal tells its clients device and inode of the stream it gave. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* Before rights are dropped, as all else. */
static int connect_journal(void)
{
	const struct sockaddr_un addr = { AF_UNIX, "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !connect(fd, (const struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

void log_init(const char *name, bool also_syslog)
{
	log_state.name = name;
	log_state.journal = stderr_is_journal();
	if (log_state.journal && log_state.journal_fd < 0)
		log_state.journal_fd = connect_journal();
	log_state.syslog = also_syslog && !log_state.journal && !isatty(STDERR_FILENO);
	if (log_state.syslog)
		openlog(name, LOG_PID, LOG_DAEMON);
}

void log_set_level(int max_priority)
{
	log_state.max_priority = max_priority;
}

size_t log_fields(char *fields, size_t size, const char *name, int priority, const char *text)
{
	unsigned int domid, disk;
	int len;

	if (sscanf(text, "domain %u, disk %u:", &domid, &disk) != 2 &&
	    sscanf(text, "domain %u, device %u:", &domid, &disk) != 2)
		return 0;
	len = snprintf(fields, size, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\nXENTAP_DOMAIN=%u\n"
		       "XENTAP_DISK=%u\nMESSAGE=", priority, name, domid, disk);
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

/* Whether it went to the journal with fields. One that is stuck must not stop us here. */
static bool send_fields(int priority, char *text)
{
	char fields[LOG_FIELDS_MAX], end[] = "\n";
	struct iovec iov[] = { { fields, 0 }, { text, strlen(text) }, { end, 1 } };
	const struct msghdr message = { .msg_iov = iov, .msg_iovlen = 3 };

	if (log_state.journal_fd < 0)
		return false;
	iov[0].iov_len = log_fields(fields, sizeof(fields), log_state.name, priority, text);
	return iov[0].iov_len &&
	       sendmsg(log_state.journal_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

void log_printf(int priority, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	size_t start = 0, end;
	va_list args;

	if (priority > log_state.max_priority)
		return;
	if (log_state.journal)
		start = (size_t)snprintf(line, sizeof(line), "<%d>", priority);
	else if (log_state.name)
		start = (size_t)snprintf(line, sizeof(line), "%.64s: ", log_state.name);

	va_start(args, format);
	vsnprintf(line + start, sizeof(line) - 1 - start, format, args);
	va_end(args);
	/* Some of it can come from a guest, or be a file's name. */
	text_clean(line + start);

	if (send_fields(priority, line + start))
		return;
	if (log_state.syslog)
		syslog(priority, "%s", line + start);
	end = strlen(line);
	line[end++] = '\n';
	/* There is nowhere to report that stderr is gone. */
	if (write(STDERR_FILENO, line, end) < 0)
		return;
}

static void log_limit_refill(struct log_limit *limit)
{
	uint64_t now = clock_ms();
	uint64_t passed = now - limit->since_ms;
	uint64_t tokens;

	if (!limit->since_ms || passed >= LOG_REFILL_MS) {
		limit->left = limit->burst;
		limit->since_ms = now;
		return;
	}
	tokens = passed * limit->burst / LOG_REFILL_MS;
	if (!tokens)
		return;
	limit->left += (unsigned int)tokens;
	if (limit->left > limit->burst)
		limit->left = limit->burst;
	limit->since_ms = now;
}

bool log_limited(struct log_limit *limit)
{
	log_limit_refill(limit);
	if (!limit->left) {
		limit->dropped++;
		return false;
	}
	limit->left--;
	if (limit->dropped) {
		log_warning("%u similar messages were dropped", limit->dropped);
		limit->dropped = 0;
	}
	return true;
}
