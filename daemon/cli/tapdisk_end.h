/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a tapdisk: waiting for it, and what tapdisk has no right to remove. */
#ifndef CLI_TAPDISK_END_H
#define CLI_TAPDISK_END_H

#include <stdbool.h>

/* One that has nothing to do any more ends at once. */
#define TAPDISK_END_TIMEOUT_MS	5000

/*
 * All it had is closed then, not its socket alone: event channels can be bound again.
 * False: it, or somebody else who has its number by now, is still there.
 */
bool tapdisk_wait_for_end(int pid, int timeout_ms);

/*
 * Of one that has ended: its control socket, and that of its disk @minor. Should another
 * tapdisk have its number, that one's stay.
 */
void tapdisk_remove_sockets(int pid, int minor);

/* End one that is ours and serves nobody, and take its sockets away. */
void tapdisk_abandon(int pid, int minor);

#endif /* CLI_TAPDISK_END_H */
