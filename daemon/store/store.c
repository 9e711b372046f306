// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/store.h"

#include <stddef.h>

#include "store/raw.h"
#include "store/rmw.h"

int store_open(struct store *store, struct image *image)
{
	struct layer *top = NULL;
	int err;

	store->image = image;
	atomic_init(&store->flush_failed, false);
	err = raw_create(image, &top);
	if (!err && image->block_bytes > image->sector_bytes)
		err = rmw_create(top, image->block_bytes, &top);
	atomic_init(&store->top, top);
	if (err)
		store_close(store);
	return err;
}

void store_close(struct store *store)
{
	while (store->top) {
		struct layer *layer = store->top;

		store->top = layer->below;
		layer->ops->destroy(layer);
	}
}
