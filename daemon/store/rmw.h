/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A layer for stores whose blocks are larger than what frontends count in:
 * what is not aligned to blocks goes through buffers of ours, and a write
 * reads first what it leaves unchanged of a block.
 */
#ifndef STORE_RMW_H
#define STORE_RMW_H

#include "store/io.h"

/*
 * @block_bytes: of @below, a power of two from 512 to 4096. Takes over @below
 * on success. 0 or -ENOMEM.
 */
int rmw_create(struct layer *below, uint32_t block_bytes, struct layer **out);

#endif /* STORE_RMW_H */
