/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What --json prints: one value on one line. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include <json-c/json.h>
#include <stdio.h>

static inline void json_print(FILE *out, struct json_object *value)
{
	fprintf(out, "%s\n", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
}

#endif /* CLI_JSON_OUT_H */
