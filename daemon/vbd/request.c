// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/request.h"

#include <errno.h>
#include <stddef.h>

void request_list_init(struct request_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

void request_list_add(struct request_list *list, struct request *request)
{
	request->next = NULL;
	*list->end = request;
	list->end = &request->next;
}

struct request *request_list_take(struct request_list *list)
{
	struct request *request = list->first;

	if (!request)
		return NULL;
	list->first = request->next;
	if (!list->first)
		list->end = &list->first;
	return request;
}

static int check_operation(const struct blkif_request *wire, bool readonly)
{
	switch (wire->op) {
	case BLKIF_READ:
		return wire->nr_segments ? 0 : -EINVAL;
	case BLKIF_WRITE:
		if (readonly)
			return -EROFS;
		return wire->nr_segments ? 0 : -EINVAL;
	case BLKIF_FLUSH:
		/* With segments: a flush, then a write. */
		return wire->nr_segments && readonly ? -EROFS : 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int check_segments(const struct blkif_request *wire, uint32_t block_sectors,
			  uint32_t *sectors)
{
	unsigned int i;

	*sectors = 0;
	for (i = 0; i < wire->nr_segments; i++) {
		const struct blkif_segment *segment = &wire->segments[i];
		uint32_t length;

		if (segment->first_sect > segment->last_sect ||
		    segment->last_sect >= BLKIF_SECTORS_PER_PAGE)
			return -EINVAL;
		length = segment->last_sect - segment->first_sect + 1u;
		if (segment->first_sect % block_sectors || length % block_sectors)
			return -EINVAL;
		*sectors += length;
	}
	return 0;
}

int request_check(const struct blkif_request *wire, const struct image *image,
		  bool readonly, uint32_t *bytes)
{
	uint32_t block_sectors = image->block_bytes >> SECTOR_SHIFT;
	uint32_t sectors;
	int err;

	err = check_operation(wire, readonly);
	if (err)
		return err;
	if (wire->nr_segments > BLKIF_SEGMENTS_MAX)
		return -EINVAL;
	err = check_segments(wire, block_sectors, &sectors);
	if (err)
		return err;
	/* An empty flush has no place; its sector number means nothing. */
	if (sectors && (wire->sector % block_sectors || sectors > image->sectors ||
			wire->sector > image->sectors - sectors))
		return -EINVAL;
	*bytes = sectors << SECTOR_SHIFT;
	return 0;
}

void request_gather(struct request *request, const struct xenio *xenio)
{
	uint8_t *end = NULL;
	unsigned int i;

	request->nr_iov = 0;
	for (i = 0; i < request->wire.nr_segments; i++) {
		const struct blkif_segment *segment = &request->wire.segments[i];
		uint8_t *page = xenio_address(xenio, request->arena, request->slot + i);
		uint8_t *start = page + segment->first_sect * SECTOR_BYTES;
		size_t length = (segment->last_sect - segment->first_sect + 1u) * SECTOR_BYTES;

		if (start == end)
			request->iov[request->nr_iov - 1].iov_len += length;
		else
			request->iov[request->nr_iov++] = (struct iovec){ start, length };
		end = start + length;
	}
}
