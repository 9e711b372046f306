// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/text.h"

#include <stddef.h>
#include <string.h>

/*
 * What may be shown, by its first byte: a table of well-formed UTF-8 (Unicode 3.9), without
 * U+0080 to U+009F, which some terminals take for escapes. Bytes after the second are 80 to BF.
 */
static const struct form {
	unsigned char first, last;
	unsigned char second_min, second_max;
	size_t length;
} forms[] = {
	{ 0x20, 0x7e, 0x00, 0xff, 1 },
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* The bytes of the character at @text; 0: it is none that may be shown. */
static size_t character(const unsigned char *text)
{
	const struct form *form = forms;
	size_t i;

	while (*text < form->first || *text > form->last)
		if (++form == forms + sizeof(forms) / sizeof(forms[0]))
			return 0;
	if (form->length > 1 && (text[1] < form->second_min || text[1] > form->second_max))
		return 0;
	/* The end of the text is none of these. */
	for (i = 2; i < form->length; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return form->length;
}

void text_clean(char *text)
{
	size_t length;

	while (*text) {
		length = character((const unsigned char *)text);
		if (!length) {
			*text = '?';
			length = 1;
		}
		text += length;
	}
}

char *text_clean_copy(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (copy)
		text_clean(copy);
	return copy;
}
