/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to the journal, a terminal or syslog: one clear sentence each,
 * logged once, where the most is known.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <syslog.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where messages go: to stderr, with the <N> priority prefix that the journal
 * reads when stderr is the journal (JOURNAL_STREAM names it); with @also_syslog also to
 * syslog, for short-lived programs whose stderr nobody may see.
 * @name is the program's name and must outlive the process.
 */
void log_init(const char *name, bool also_syslog);

/*
 * What comes before the text of a message about a guest's disk, and a line break after it, in
 * the journal's native protocol (systemd's "Native Journal Protocol"): messages that begin with
 * "domain N, disk N:" or "domain N, device N:" get the fields XENTAP_DOMAIN and XENTAP_DISK.
 * The length, or 0: it is another message, or has no room.
 */
size_t log_fields(char *fields, size_t size, const char *name, int priority, const char *text);

/* Drop messages less urgent than @max_priority; LOG_INFO unless told. */
void log_set_level(int max_priority);

void log_printf(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_printf(LOG_ERR, __VA_ARGS__)
#define log_warning(...)	log_printf(LOG_WARNING, __VA_ARGS__)
#define log_info(...)	log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_printf(LOG_DEBUG, __VA_ARGS__)

/*
 * A token bucket for messages that a guest can cause: @burst messages at
 * once, then @burst per ten seconds. log_limited() is false when the message
 * is to be dropped; the next one that passes is preceded by a count.
 */
struct log_limit {
	unsigned int burst;
	unsigned int left;
	unsigned int dropped;
	uint64_t since_ms;
};

bool log_limited(struct log_limit *limit);

#endif /* BASE_LOG_H */
