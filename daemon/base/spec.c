// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define MILLION 1000000u

struct reason {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3)))
static int refuse(const struct reason *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, why->size, format, args);
	va_end(args);
	return -EINVAL;
}

static int add_option(struct spec *spec, char *text, const struct reason *why)
{
	char *equals = strchr(text, '=');

	if (!*text || !equals || equals == text)
		return refuse(why, "%s: \"%.80s\" is not KEY=VALUE", spec->name, text);
	*equals = '\0';
	if (spec_value(spec, text))
		return refuse(why, "%s: option %.80s is given twice", spec->name, text);
	if (spec->nr_options == SPEC_OPTIONS_MAX)
		return refuse(why, "%s: too many options", spec->name);
	spec->options[spec->nr_options++] = (struct spec_option){ text, equals + 1 };
	return 0;
}

static int add_options(struct spec *spec, char *text, const struct reason *why)
{
	int err = 0;

	while (text && !err) {
		char *comma = strchr(text, ',');

		if (comma)
			*comma++ = '\0';
		err = add_option(spec, text, why);
		text = comma;
	}
	return err;
}

static int copy_text(struct spec *spec, const char *text, const struct reason *why)
{
	/* With room for spec_format_fd() to make it a little longer. */
	if (strlen(text) > SPEC_BYTES_MAX - 16)
		return refuse(why, "\"%.40s...\" is longer than %u characters", text,
			      SPEC_BYTES_MAX - 16);
	strcpy(spec->text, text);
	return 0;
}

int spec_parse(struct spec *spec, const char *text, char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size };
	char *colon;
	int err;

	*spec = (struct spec){ 0 };
	err = copy_text(spec, text, &why);
	if (err)
		return err;
	spec->name = spec->text;
	colon = strchr(spec->text, ':');
	if (colon)
		*colon++ = '\0';
	if (!*spec->name)
		return refuse(&why, "\"%.80s\" begins with no name", text);
	return add_options(spec, colon, &why);
}

int spec_parse_options(struct spec *spec, const char *name, const char *text, char *why_text,
		       size_t why_size)
{
	const struct reason why = { why_text, why_size };
	int err;

	*spec = (struct spec){ .name = name };
	err = copy_text(spec, text, &why);
	return err ? err : add_options(spec, spec->text, &why);
}

const char *spec_value(const struct spec *spec, const char *key)
{
	unsigned int i;

	for (i = 0; i < spec->nr_options; i++)
		if (strcmp(spec->options[i].key, key) == 0)
			return spec->options[i].value;
	return NULL;
}

/* ---- values ---- */

static int read_size(const char *text, uint64_t max, uint64_t *value)
{
	static const char units[] = "KMG";
	size_t length = strlen(text);
	const char *unit = length ? strchr(units, text[length - 1]) : NULL;
	unsigned int shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;
	char digits[24];
	int err;

	if (length >= sizeof(digits))
		return -ERANGE;
	snprintf(digits, sizeof(digits), "%.*s", (int)(length - (unit ? 1 : 0)), text);
	err = parse_u64(digits, max >> shift, value);
	if (!err)
		*value <<= shift;
	return err;
}

static int read_percent(const char *text, uint64_t *value)
{
	const char *point = strchr(text, '.');
	uint64_t whole, part = 0;
	char digits[8];
	size_t length = point ? (size_t)(point - text) : strlen(text);
	int err;

	if (length >= sizeof(digits))
		return -ERANGE;
	snprintf(digits, sizeof(digits), "%.*s", (int)length, text);
	err = parse_u64(digits, 100, &whole);
	if (!err && point) {
		char decimals[] = "0000";

		length = strlen(point + 1);
		if (!length || length > 4)
			return -EINVAL;
		memcpy(decimals, point + 1, length);
		err = parse_u64(decimals, 9999, &part);
	}
	if (err)
		return err;
	*value = whole * (MILLION / 100) + part;
	return *value > MILLION ? -ERANGE : 0;
}

static int read_value(const struct spec *spec, const struct spec_option *option,
		      const struct spec_key *key, const struct reason *why)
{
	uint64_t value;
	int err;

	switch (key->kind) {
	case SPEC_TEXT:
		*(const char **)key->value = option->value;
		return 0;
	case SPEC_PERCENT:
		if (read_percent(option->value, &value))
			return refuse(why, "%s: %s=%.80s is not a percentage, 0 to 100 with up to "
				      "four decimals", spec->name, option->key, option->value);
		break;
	default:
		err = key->kind == SPEC_SIZE ? read_size(option->value, key->max, &value) :
			parse_u64(option->value, key->max, &value);
		if (err)
			return refuse(why, "%s: %s=%.80s is not a number from 0 to %llu%s",
				      spec->name, option->key, option->value,
				      (unsigned long long)key->max, key->kind == SPEC_SIZE ?
				      "; K, M and G may follow it" : "");
	}
	*(uint64_t *)key->value = value;
	return 0;
}

int spec_read(const struct spec *spec, const struct spec_key *keys, unsigned int nr_keys,
	      char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size };
	unsigned int i, k;
	int err;

	for (i = 0; i < spec->nr_options; i++) {
		const struct spec_option *option = &spec->options[i];

		for (k = 0; k < nr_keys && strcmp(keys[k].key, option->key) != 0; k++)
			;
		if (k == nr_keys)
			return refuse(&why, "%s: there is no option %.80s", spec->name,
				      option->key);
		err = read_value(spec, option, &keys[k], &why);
		if (err)
			return err;
	}
	return 0;
}

/* ---- files ---- */

int spec_open_file(const struct spec *spec, char *why_text, size_t why_size)
{
	const struct reason why = { why_text, why_size };
	const char *path = spec_value(spec, "file");
	int fd;

	/* Who starts another tapdisk opens it again, from another directory. */
	if (*path != '/') {
		refuse(&why, "%s: give file=%.200s as a path from / on", spec->name, path);
		return -EINVAL;
	}
	/* A pipe that nobody reads is told at once, and not waited for. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0) {
		fd = -errno;
		refuse(&why, "%s: cannot open %.200s: %s", spec->name, path, strerror(-fd));
	}
	return fd;
}

void spec_format_fd(const struct spec *spec, int fd, char *text)
{
	size_t used = (size_t)snprintf(text, SPEC_BYTES_MAX, "%s", spec->name);
	unsigned int i;

	for (i = 0; i < spec->nr_options && used < SPEC_BYTES_MAX; i++) {
		const struct spec_option *option = &spec->options[i];
		char separator = i ? ',' : ':';

		if (strcmp(option->key, "file") == 0)
			used += (size_t)snprintf(text + used, SPEC_BYTES_MAX - used, "%cfd=%d",
						 separator, fd);
		else
			used += (size_t)snprintf(text + used, SPEC_BYTES_MAX - used, "%c%s=%s",
						 separator, option->key, option->value);
	}
}
