// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copy a request's data to or from pages of our own: the guest's pages are not
 * mapped at all, and nobody changes the data while the store reads it. For all
 * requests of a pass by one call.
 */
#include <errno.h>
#include <stdlib.h>

#include "vbd/mover.h"

static struct mover_copy *self(struct mover *mover)
{
	return (struct mover_copy *)mover;
}

static void add(struct mover_copy *copy, struct request *request, struct xenio_copy piece)
{
	piece.domid = copy->domid;
	copy->owners[copy->nr_copies] = request;
	copy->copies[copy->nr_copies++] = piece;
}

/* Each segment has a page, and lies in it where it lies in the guest's. */
static void add_segments(struct mover_copy *copy, struct request *request, uint16_t flags)
{
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++) {
		const struct blkif_segment *segment = &request->segments[i];
		uint16_t offset = (uint16_t)(segment->first_sect * SECTOR_BYTES);

		add(copy, request, (struct xenio_copy){
			.page = request->run + i,
			.gref = segment->gref,
			.page_offset = offset,
			.gref_offset = offset,
			.len = (uint16_t)((segment->last_sect + 1u) * SECTOR_BYTES - offset),
			.flags = flags,
		});
	}
}

static bool copy_begin(struct mover *mover, struct request *request)
{
	struct mover_copy *copy = self(mover);
	unsigned int i;

	request->run = slots_take(&copy->pages, request->wire.nr_segments);
	if (request->run == SLOTS_NONE)
		return false;
	for (i = 0; i < request->wire.nr_segments; i++)
		copy->users[request->run + i] = request;
	if (!request_is_read(request))
		add_segments(copy, request, 0);
	return true;
}

int mover_copy_gref(const struct mover_copy *copy, uint32_t page, uint32_t *gref)
{
	const struct request *request = copy->users[page];

	if (!request || request->mover != &copy->mover || page < request->run ||
	    page - request->run >= request->wire.nr_segments)
		return -ENOENT;
	*gref = request->segments[page - request->run].gref;
	return 0;
}

static int copy_ready(struct mover *mover, const struct request *request)
{
	(void)mover;
	return request->error;
}

static void copy_gather(struct mover *mover, struct request *request)
{
	request_gather_run(request, xenio_page(self(mover)->xenio, request->run));
}

static void copy_end(struct mover *mover, struct request *request)
{
	/* After an error there may be another guest's data in the pages. */
	if (request_is_read(request) && !request->error)
		add_segments(self(mover), request, XENIO_COPY_TO_GUEST);
}

static void copy_release(struct mover *mover, struct request *request)
{
	slots_give(&self(mover)->pages, request->run, request->wire.nr_segments);
}

static const struct mover_ops copy_ops = {
	.begin = copy_begin,
	.ready = copy_ready,
	.gather = copy_gather,
	.end = copy_end,
	.release = copy_release,
};

bool mover_copy_fetch(struct mover_copy *copy, struct request *request)
{
	_Static_assert(BLKIF_INDIRECT_MAX * BLKIF_SEGMENT_BYTES <= BLKIF_PAGE_BYTES,
		       "one page has them all");
	request->run = slots_take(&copy->pages, 1);
	if (request->run == SLOTS_NONE)
		return false;
	add(copy, request, (struct xenio_copy){
		.page = request->run,
		.gref = request->wire.pages[0],
		.len = (uint16_t)(request->wire.nr_segments * BLKIF_SEGMENT_BYTES),
	});
	return true;
}

void mover_copy_fetched(struct mover_copy *copy, struct request *request)
{
	const uint8_t *page = xenio_page(copy->xenio, request->run);
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments && !request->error; i++)
		request->segments[i] = blkif_segment(page + i * BLKIF_SEGMENT_BYTES);
	slots_give(&copy->pages, request->run, 1);
}

static void note(struct mover_copy *copy, uint32_t first, uint32_t nr, int err)
{
	uint32_t i;

	for (i = first; i < first + nr; i++) {
		int status = err ? err : copy->copies[i].status;

		if (status && !copy->owners[i]->error)
			copy->owners[i]->error = status;
	}
}

void mover_copy_run(struct mover_copy *copy)
{
	uint32_t max = copy->xenio->batch_max;
	uint32_t first, nr;
	int err;

	for (first = 0; first < copy->nr_copies; first += nr) {
		nr = copy->nr_copies - first;
		if (nr > max)
			nr = max;
		err = copy->xenio->ops->copy(copy->xenio, copy->copies + first, nr);
		note(copy, first, nr, err);
		stats_add(&copy->stats->copy_calls, 1);
	}
	stats_add(&copy->stats->copies, copy->nr_copies);
	copy->nr_copies = 0;
}

int mover_copy_init(struct mover_copy *copy, struct xenio *xenio, uint32_t domid,
		    struct vbd_stats *stats)
{
	*copy = (struct mover_copy){
		.mover.ops = &copy_ops, .xenio = xenio, .stats = stats, .domid = domid,
		/* No page is in more than one copy of a pass. */
		.copies = calloc(xenio->nr_pool + 1, sizeof(*copy->copies)),
		.owners = calloc(xenio->nr_pool + 1, sizeof(*copy->owners)),
		.users = calloc(xenio->nr_pool + 1, sizeof(*copy->users)),
	};
	if (slots_init(&copy->pages, xenio->nr_pool) || !copy->copies || !copy->owners ||
	    !copy->users)
		return -ENOMEM;
	return 0;
}

void mover_copy_uninit(struct mover_copy *copy)
{
	slots_uninit(&copy->pages);
	free(copy->copies);
	free(copy->owners);
	free(copy->users);
}
