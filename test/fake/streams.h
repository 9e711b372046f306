/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams of bytes for a fuzz target, without libFuzzer. */
#ifndef FAKE_STREAMS_H
#define FAKE_STREAMS_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All files of a folder, of which there must be some. */
void known_streams(const char *folder);
/* @nr of @length bytes, always the same ones. */
void made_streams(unsigned int nr, size_t length);

#endif /* FAKE_STREAMS_H */
