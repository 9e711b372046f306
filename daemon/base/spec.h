/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Specifications on command lines and in messages, "NAME:KEY=VALUE,KEY=VALUE".
 * What is wrong with one is said in one sentence.
 */
#ifndef BASE_SPEC_H
#define BASE_SPEC_H

#include <stddef.h>
#include <stdint.h>

#define SPEC_BYTES_MAX		512u
#define SPEC_OPTIONS_MAX	16u

struct spec {
	char text[SPEC_BYTES_MAX];	/* of which the others are parts */
	const char *name;
	struct spec_option {
		const char *key;
		const char *value;
	} options[SPEC_OPTIONS_MAX];
	unsigned int nr_options;
};

/* Take @text apart. 0, or -EINVAL with the reason in @why. */
int spec_parse(struct spec *spec, const char *text, char *why, size_t why_size);
/* The same of a text that has options only, and @name in sentences. */
int spec_parse_options(struct spec *spec, const char *name, const char *text, char *why,
		       size_t why_size);

/* The value of @key, or NULL. */
const char *spec_value(const struct spec *spec, const char *key);

enum spec_kind {
	SPEC_NUMBER,	/* uint64_t */
	SPEC_SIZE,	/* uint64_t; K, M, G are powers of 1024 */
	SPEC_PERCENT,	/* uint64_t: millionths; up to four decimals */
	SPEC_TEXT,	/* const char *, which lives as long as the spec */
};

/* An option that is known, and where its value goes. */
struct spec_key {
	const char *key;
	enum spec_kind kind;
	void *value;		/* left alone if the option is not given */
	uint64_t max;		/* of numbers and sizes */
};

/* Read all options. 0, or -EINVAL with the reason in @why. */
int spec_read(const struct spec *spec, const struct spec_key *keys, unsigned int nr_keys,
	      char *why, size_t why_size);

/*
 * A descriptor of what the option "file", which must be there, names: opened to
 * be appended to, and made if it is not there. Or -errno with the reason in
 * @why.
 */
int spec_open_file(const struct spec *spec, char *why, size_t why_size);
/* The text again, with "fd=@fd" in place of "file=". @text: SPEC_BYTES_MAX. */
void spec_format_fd(const struct spec *spec, int fd, char *text);

#endif /* BASE_SPEC_H */
