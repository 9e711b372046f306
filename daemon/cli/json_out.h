/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What --json prints: one value on one line, UTF-8 also where a file's name is not. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"

static inline void json_print(FILE *out, struct json_object *value)
{
	/* Its control characters are escapes by now. */
	CLEANUP_FREE char *text = text_clean_copy(
		json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE));

	fprintf(out, "%s\n", text ? text : "null");
}

#endif /* CLI_JSON_OUT_H */
