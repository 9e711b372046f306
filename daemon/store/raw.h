/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lowest layer: a raw image, read and written by libaio, discarded by a thread. */
#ifndef STORE_RAW_H
#define STORE_RAW_H

#include "image/image.h"
#include "store/io.h"

/* @image stays the caller's, and must outlive the layer. 0 or -ENOMEM. */
int raw_create(const struct image *image, struct layer **out);

#endif /* STORE_RAW_H */
