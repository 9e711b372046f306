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
	pthread_mutex_init(&store->mutex, NULL);
	store->witnesses = NULL;
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

bool store_fail(struct store *store)
{
	const struct store_witness *witness;
	bool before;

	pthread_mutex_lock(&store->mutex);
	before = atomic_exchange(&store->flush_failed, true);
	for (witness = store->witnesses; witness; witness = witness->next)
		__atomic_store_n(witness->word, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&store->mutex);
	return !before;
}

void store_add_witness(struct store *store, struct store_witness *witness, uint32_t *word)
{
	pthread_mutex_lock(&store->mutex);
	*witness = (struct store_witness){ word, store->witnesses };
	store->witnesses = witness;
	if (atomic_load(&store->flush_failed))
		__atomic_store_n(word, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&store->mutex);
}

void store_remove_witness(struct store *store, struct store_witness *witness)
{
	struct store_witness **link;

	if (!witness->word)
		return;
	pthread_mutex_lock(&store->mutex);
	for (link = &store->witnesses; *link != witness; link = &(*link)->next)
		;
	*link = witness->next;
	witness->word = NULL;
	pthread_mutex_unlock(&store->mutex);
}
