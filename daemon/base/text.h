/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that somebody else wrote, as a file's name may be, before it is shown. What could
 * begin a line, steer a terminal or make an output that nobody can read becomes a question
 * mark: control characters, and bytes that are no UTF-8.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

void text_clean(char *text);

/* Of @text: to be freed, or NULL: no memory, or there is no text. */
char *text_clean_copy(const char *text);

#endif /* BASE_TEXT_H */
