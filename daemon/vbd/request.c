// SPDX-License-Identifier: GPL-2.0-or-later
#include "vbd/request.h"

#include <errno.h>

/* What takes segments, and how many. */
static int check_count(const struct blkif_request *wire)
{
	bool may_be_empty = wire->op == BLKIF_FLUSH || wire->op == BLKIF_BARRIER;
	unsigned int max = wire->indirect ? BLKIF_INDIRECT_MAX : BLKIF_SEGMENTS_MAX;

	if (wire->indirect && wire->op != BLKIF_READ && wire->op != BLKIF_WRITE)
		return -EINVAL;
	return wire->nr_segments > max || (!wire->nr_segments && !may_be_empty) ? -EINVAL : 0;
}

int request_check(const struct request *request, const struct request_limits *limits)
{
	const struct blkif_request *wire = &request->wire;
	int err = check_count(wire);

	/* Inside an indirect one, any other operation is a mistake. */
	if (wire->indirect && err)
		return err;
	switch (wire->op) {
	case BLKIF_READ:
		return err;
	case BLKIF_WRITE:
		return limits->readonly ? -EROFS : err;
	case BLKIF_FLUSH:	/* with segments: a flush, then a write */
	case BLKIF_BARRIER:
		return limits->readonly && wire->nr_segments ? -EROFS : err;
	case BLKIF_DISCARD:
		if (!limits->discard)
			return -EOPNOTSUPP;
		return limits->readonly ? -EROFS : 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int count_sectors(const struct request *request, uint32_t block_sectors,
			 uint32_t *sectors)
{
	unsigned int i;

	*sectors = 0;
	for (i = 0; i < request->wire.nr_segments; i++) {
		const struct blkif_segment *segment = &request->segments[i];
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

/* No sum that a guest's numbers could make wrap. */
static bool is_inside(uint64_t sector, uint64_t nr, const struct request_limits *limits)
{
	return nr <= limits->sectors && sector <= limits->sectors - nr;
}

int request_check_segments(struct request *request, const struct request_limits *limits)
{
	uint64_t sector = request->wire.sector;
	uint32_t sectors;
	int err;

	_Static_assert(BLKIF_INDIRECT_MAX <= UINT32_MAX / BLKIF_PAGE_BYTES, "bytes fit");
	err = count_sectors(request, limits->block_sectors, &sectors);
	if (err)
		return err;
	/* An empty flush has no place; its sector number means nothing. */
	if (sectors && (sector % limits->block_sectors || !is_inside(sector, sectors, limits)))
		return -EINVAL;
	request->bytes = sectors << SECTOR_SHIFT;
	return 0;
}

/*
 * A frontend should ask for whole pieces only. What is beside them stays as it
 * is: a discard is a hint, and must never touch more than it names.
 */
int request_discard_range(const struct request *request, const struct request_limits *limits,
			  uint64_t *sector, uint64_t *nr)
{
	uint64_t first = request->wire.sector;
	uint64_t end = first + request->wire.nr_sectors;
	uint64_t piece = limits->discard_sectors;
	uint64_t offset = limits->discard_offset % piece;

	if (!is_inside(first, request->wire.nr_sectors, limits))
		return -EINVAL;
	first = first <= offset ? offset : (first - offset + piece - 1) / piece * piece + offset;
	/* The last piece may be cut short by the end of the disk. */
	if (end != limits->sectors)
		end = end < offset ? 0 : (end - offset) / piece * piece + offset;
	*sector = first;
	*nr = end > first ? end - first : 0;
	return 0;
}

void request_gather(struct request *request, unsigned int i, uint8_t *page)
{
	const struct blkif_segment *segment = &request->segments[i];
	uint8_t *start = page + segment->first_sect * SECTOR_BYTES;
	size_t length = (segment->last_sect - segment->first_sect + 1u) * SECTOR_BYTES;
	struct iovec *last = request->iov + request->nr_iov - 1;

	if (request->nr_iov && start == (uint8_t *)last->iov_base + last->iov_len)
		last->iov_len += length;
	else
		request->iov[request->nr_iov++] = (struct iovec){ start, length };
}

void request_gather_run(struct request *request, uint8_t *page)
{
	unsigned int i;

	for (i = 0; i < request->wire.nr_segments; i++)
		request_gather(request, i, page + (size_t)i * XENIO_SLOT_BYTES);
}
