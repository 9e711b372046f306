/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an image's store can do of discard. */
#ifndef IMAGE_DISCARD_H
#define IMAGE_DISCARD_H

#include "image/image.h"

/* Fill in what struct image says of discard; needs the rest of it. */
void discard_probe(struct image *image);

#endif /* IMAGE_DISCARD_H */
